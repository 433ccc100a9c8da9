"""Configurations from plain data and back: strict types, unknown keys refused by name.

One converter serves YAML files and command-line flags alike, so both accept and refuse the
same things with the same sentences.
"""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, final

import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

from tempreg.config.retired import retired
from tempreg.config.schema import RunConfig
from tempreg.errors import RequestError
from tempreg.words import suggest

LARGEST = 1e300


@final
class ConfigError(RequestError):
    """A configuration that can't be used; the message is one sentence for its author."""


def _int(value: Any, _: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"expected a whole number, got {value!r}")


def _float(value: Any, _: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError(f"expected a number, got {value!r}")
    if not -LARGEST < value < LARGEST:  # false for NaN too
        raise ValueError(f"expected a finite number, got {str(value)[:20]}")
    return float(value)


def _bool(value: Any, _: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(f"expected true or false, got {value!r}")


def _str(value: Any, _: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"expected a name, got {value!r}")


def _literal(value: Any, kind: Any) -> Any:
    choices = typing.get_args(kind)
    if value in choices:
        return value
    raise ValueError(
        f"expected one of {', '.join(choices)}, got {value!r}{suggest(value, choices)}"
    )


def _tuple(value: Any, kind: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"expected a list such as [32, 64], got {value!r}")
    (inner, _) = typing.get_args(kind)
    return tuple(_converter().structure(item, inner) for item in value)


def _arguments(value: Any, _: Any) -> dict[str, Any]:
    """Arguments of a class of the user's: plain values by name, as YAML has them."""
    if not isinstance(value, dict):
        raise ValueError(f"expected arguments such as {{hidden: 32}}, got {value!r}")
    return value


def _optional(value: Any, kind: Any) -> Any:
    if value is None:
        return None
    inner = next(part for part in typing.get_args(kind) if part is not type(None))
    return _converter().structure(value, inner)


@cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind, hook in ((int, _int), (float, _float), (bool, _bool), (str, _str)):
        converter.register_structure_hook(kind, hook)
    origin: Any = typing.get_origin
    converter.register_structure_hook_func(lambda k: origin(k) is typing.Literal, _literal)
    converter.register_structure_hook_func(lambda k: origin(k) is tuple, _tuple)
    converter.register_structure_hook_func(lambda k: origin(k) is dict, _arguments)
    unions = (typing.Union, types.UnionType)
    converter.register_structure_hook_func(lambda k: origin(k) in unions, _optional)
    return converter


def config_from_dict(data: Any, where: str) -> RunConfig:
    """A checked configuration; ConfigError names `where` and the key that is wrong."""
    _require_sections(data, RunConfig, where, "")
    if (sentence := retired(data)) is not None:
        raise ConfigError(f"{where}: {sentence}")
    try:
        return _converter().structure(data, RunConfig)
    except ClassValidationError as error:
        raise ConfigError(f"{where}: {_sentence(error)}") from None


def _require_sections(data: Any, kind: type, where: str, path: str) -> None:
    """ConfigError where a section is anything but settings by name."""
    if not isinstance(data, dict):
        place = f"{where}: {path}" if path else where
        raise ConfigError(f"{place}: expected settings as `key: value`, got {data!r}")
    hints = typing.get_type_hints(kind)
    for name, value in data.items():
        if is_dataclass(hint := hints.get(name)):
            _require_sections(value, typing.cast(type, hint), where, name)


def config_to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain data that `config_from_dict` reads back to an equal configuration."""
    data: dict[str, Any] = _lists(_converter().unstructure(config))
    return data


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _sentence(error: BaseException, path: str = "") -> str:
    """What is wrong first, in words: the deepest cause of cattrs' nested report."""
    if isinstance(error, ForbiddenExtraKeysError):
        names = [item.name for item in fields(error.cl)]
        key = sorted(map(str, error.extra_fields))[0]
        return f"unknown key {path}{key}{suggest(key, names)}"
    if isinstance(error, (ClassValidationError, IterableValidationError)):
        cause = error.exceptions[0]
        note = next((n for n in getattr(cause, "__notes__", ()) if hasattr(n, "name")), None)
        inner = f"{path}{note.name}." if note is not None else path
        return _sentence(cause, inner)
    # Range checks of the schema name the setting themselves; type errors need its path.
    text, name = str(error), path.rstrip(".")
    return f"{name}: {text}" if text.startswith("expected") and name else text
