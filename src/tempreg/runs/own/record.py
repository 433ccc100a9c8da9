"""Which files the user's code is made of, and whether they are what they were."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import sysconfig
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tempreg.runs.own.code import GIVEN, named_object
from tempreg.runs.own.trust import Trust
from tempreg.training.run_directory import RunDirectory

_OURS = Path(__file__).parents[2]


def records(named: Mapping[str, str], trust: Trust) -> dict[str, str]:
    """What a run notes of code, as of `trust.code_in`, in environment.json: of each name its file
    and that file's digest, and so of every file that this one imports."""
    found: dict[str, str] = {}
    for setting, name in named.items():
        if name.partition(":")[0] == GIVEN:
            continue
        key, thing = f"code_{setting.replace('.', '_')}", named_object(setting, name, trust)
        file = _source(thing)
        if file is None:
            found[key] = f"{name}, not from a file"
            continue
        found[key] = f"{name}, {file.name}, {_digest(file)}"
        for other, called in imported_files(file, thing.__module__).items():
            found[f"{key}_imports_{called}"] = f"{name}, {called}, {_digest(other)}"
    return found


def warn_of_changed_code(run: RunDirectory, now: Mapping[str, str]) -> None:
    """A warning for each of the user's files that isn't what it was when the run was trained."""
    if not now:
        return
    before = run.read_json(run.environment)
    for key, record in now.items():
        if before.get(key) not in (None, record):
            name, file = record.split(", ")[:2]
            what = f"{file}, which {name} imports," if "_imports_" in key else f"{name} in {file}"
            warnings.warn(
                f"{what} has changed since the run in {run.path} was trained with it: the network "
                "may be another one now",
                stacklevel=3,
            )


def imported_files(file: Path, module: str) -> dict[Path, str]:
    """The files that a file's imports stand for, theirs too, with how they are called.

    Read from the text, so that the order in which things were imported plays no part. Those of
    Python, of installed packages and of tempreg are left out; a file beside it is found by its
    place, another one where it is loaded.

    Args:
        file: of Python's text.
        module: its name, which says what its relative imports begin from.
    """
    root = file.parents[module.count(".") + (file.name == "__init__.py")]
    found: dict[Path, str] = {}
    waiting = [(file.resolve(), module)]
    while waiting:
        path, name = waiting.pop()
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for wanted in _imports(path, package):
            for other, called in _files_of(wanted, root):
                if other != file.resolve() and other not in found:
                    inside = other.is_relative_to(root.resolve())
                    place = other.relative_to(root.resolve()) if inside else Path(other.name)
                    found[other] = place.as_posix()
                    waiting.append((other, called))
    return dict(sorted(found.items()))


def _imports(path: Path, package: str) -> Iterator[str]:
    """The names of modules, and of what might be one, in a file's import statements."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # named by an import that never ran, or it would have failed
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def _files_of(module: str, root: Path) -> Iterator[tuple[Path, str]]:
    """The user's files of a module and of the packages that it is in, with their modules."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        name = ".".join(parts[:count])
        place = root.joinpath(*parts[:count])
        loaded = Path(getattr(sys.modules.get(name), "__file__", None) or "")
        for path in (place.with_suffix(".py"), place / "__init__.py", loaded):
            if path.suffix == ".py" and path.is_file():
                if not _installed(path.resolve()):
                    yield path.resolve(), name
                break


def _installed(path: Path) -> bool:
    places = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), _OURS)
    inside = any(path.is_relative_to(Path(place).resolve()) for place in places)
    return inside or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _source(found: Any) -> Path | None:
    try:
        file = inspect.getsourcefile(found)
    except TypeError:
        return None
    path = None if file is None else Path(file)
    return path if path is not None and path.is_file() else None


def _digest(file: Path) -> str:
    return f"sha256 {hashlib.sha256(file.read_bytes()).hexdigest()}"
