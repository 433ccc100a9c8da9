"""Classes of the user's, imported from a module or a file, and made with what they ask for."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from tempreg.config import ConfigError
from tempreg.errors import RequestError, one_line
from tempreg.runs.own.trust import Trust
from tempreg.words import suggest

GIVEN = "given"
"""The module in names of what was given from Python as an object, which no name brings back."""

_DIGEST = "__tempreg_digest__"
"""The attribute of a module of a file with the digest of what it was made of."""
_OURS = str(Path(__file__).parents[2])
_OURS_NAME = __name__.partition(".")[0]
_KINDS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def named_object(setting: str, name: str, trust: Trust) -> Any:
    """What "module:Class" or "path/to/file.py:Class" stands for.

    Raises:
        CodeNotTrusted: nobody has named it; nothing was imported.
        ConfigError: it can't be had. Of an error in the user's code it says the line.
    """
    trust.check(setting, name)
    place, _, attribute = name.rpartition(":")
    where = f"{setting} {name}"
    if place == GIVEN:
        raise ConfigError(
            f"{where} was given from Python as an object, which its name doesn't bring back: use "
            "the run from Python, with tempreg.load(run, model=...), or tempreg.train(...) to go on"
        )
    module = _of_file(where, Path(place)) if place.endswith(".py") else _of_name(where, place)
    if not hasattr(module, attribute):
        here = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise ConfigError(
            f"{where}: {_file_name(module)} has no {attribute!r}{suggest(attribute, here)}"
        )
    return getattr(module, attribute)


def _of_name(where: str, name: str) -> ModuleType:
    # The current folder may be a stranger's, and what is ours needs no trust: nothing there runs.
    ours = name.partition(".")[0] == _OURS_NAME
    with nullcontext() if ours else _findable(Path.cwd()):
        try:
            with running(where, "can't be imported"):
                return importlib.import_module(name)
        except ConfigError as told:
            error = told.__cause__
            if not isinstance(error, ModuleNotFoundError):
                raise
            if error.name is not None and f"{name}.".startswith(f"{error.name}."):
                raise ConfigError(
                    f"{where}: there is no module {error.name!r}, neither in the current folder "
                    "nor among what is installed: run the command in the module's folder, or give "
                    "its file, as path/to/file.py:Class"
                ) from None
            raise


def _of_file(where: str, path: Path) -> ModuleType:
    """The module that a file makes, once for each content."""
    try:
        path = path.expanduser().resolve()
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{where}: the file can't be read ({error.strerror})") from None
    key, name = hashlib.sha256(content).hexdigest(), path.stem
    before = sys.modules.get(name)
    if before is not None and getattr(before, "__file__", None) != str(path):
        name = f"{name}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
        before = sys.modules.get(name)
    if before is not None and getattr(before, _DIGEST, None) == key:
        return before
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    with _findable(path.parent):
        try:
            with running(where, "can't be imported"):
                spec.loader.exec_module(module)
        except ConfigError:
            del sys.modules[name]
            raise
    setattr(module, _DIGEST, key)
    return module


@contextmanager
def _findable(folder: Path) -> Iterator[None]:
    """Modules in the folder come first while something there is imported, and afterwards last."""
    place = str(folder)
    sys.path.insert(0, place)
    importlib.invalidate_caches()  # a file may be newer than what Python remembers of its folder
    try:
        yield
    finally:
        sys.path.remove(place)
        if place not in sys.path:
            sys.path.append(place)


@contextmanager
def running(where: str, what: str) -> Iterator[None]:
    """Runs code of the user's: an error in it becomes a ConfigError with its line; a sentence of
    ours stays one."""
    try:
        yield
    except RequestError:
        raise
    except Exception as error:
        said, line = one_line(str(error)) or "no message", _line_of(error)
        if isinstance(error, ValueError) and not line and _is_ours(error):
            raise ConfigError(f"{where}: {said}") from error
        raise ConfigError(f"{where} {what}: {line}{type(error).__name__}: {said}") from error


def _is_ours(error: Exception) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(_OURS)


def _line_of(error: Exception) -> str:
    """ "FILE, line N: " where the error was raised in, or by, a file that isn't installed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(error.filename)}, line {error.lineno}: "
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [
        frame
        for frame in frames
        if "site-packages" not in frame.filename
        and not frame.filename.startswith((_OURS, "<frozen", sys.base_prefix))
    ]
    return f"{_shown(theirs[-1].filename)}, line {theirs[-1].lineno}: " if theirs else ""


def _shown(file: str) -> str:
    """A file's path, from the current folder where it lies in it."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def made(
    setting: str,
    name: str,
    found: Callable[..., Any],
    known: Mapping[str, Any],
    own: Mapping[str, Any] | None,
    place: str = "",
) -> Any:
    """An object of a class, or of a function that makes it, given what its signature asks for.

    Args:
        setting, name: for sentences, as "model.name", "my_net:Net".
        found: what makes it.
        known: what it can be given, where it asks for it.
        own: what it is given in any case, in place of the known where both have it.
        place: the setting that `own` stands in; by default that beside `setting`.

    Raises:
        ConfigError: it asks for something else, doesn't take what it is given, or fails.
    """
    where, own = f"{setting} {name}", own or {}
    place = place or f"{setting.partition('.')[0]}.own"
    asked = _asked(where, found)
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in asked.values())
    names = [n for n, p in asked.items() if p.kind not in _KINDS]
    given = {n: known[n] for n in names if n in known} | dict(own)
    for key in own:
        if key not in names and not takes_all:
            raise ConfigError(
                f"{place} has {key!r}, which {name} doesn't take{suggest(key, names)}: its "
                f"arguments are {', '.join(names) or 'none'}"
            )
    for n in names:
        if n not in given and asked[n].default is inspect.Parameter.empty:
            offer = f"what it can be given is {', '.join(known)}, and " if known else ""
            raise ConfigError(
                f"{where} asks for {n!r}, which isn't known: {offer}whatever stands in {place}, "
                f"as --{place} '{{{n}: ...}}'"
            )
    with running(where, "can't be made"):
        return found(**given)


def _asked(where: str, found: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        asked = inspect.signature(found).parameters
    except (TypeError, ValueError):
        raise ConfigError(f"{where} has no signature that says what it asks for") from None
    for parameter in asked.values():
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ConfigError(
                f"{where} asks for {parameter.name!r} by its place: arguments are given by name"
            )
    return asked


def _file_name(module: ModuleType) -> str:
    return _shown(str(getattr(module, "__file__", None) or module.__name__))
