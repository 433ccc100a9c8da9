"""Settings by their dotted names, as flags and studies say them: "objective.lam"."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import reduce
from typing import Any

from tempreg.config.schema import RunConfig
from tempreg.config.structure import config_from_dict, config_to_dict


def leaves(kind: Any = RunConfig, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(dotted name, type, help text) of every setting."""
    hints = typing.get_type_hints(kind)
    for item in fields(kind):
        if is_dataclass(hints[item.name]):
            yield from leaves(hints[item.name], f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", hints[item.name], item.metadata["help"]


def flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings, as in a file, by dotted name; arguments of a class stay together."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        section = isinstance(value, dict) and not prefix  # below a section, it is one setting
        found |= flat(value, f"{key}.") if section else {f"{prefix}{key}": value}
    return found


def setting_of(config: RunConfig, dotted: str) -> Any:
    """The value of one setting."""
    return reduce(getattr, dotted.split("."), config)


def with_settings(config: RunConfig, changes: Mapping[str, Any], where: str) -> RunConfig:
    """The configuration with other values; ConfigError names `where` and what can't be."""
    data = config_to_dict(config)
    for dotted, value in changes.items():
        *sections, name = dotted.split(".")
        reduce(lambda section, key: section[key], sections, data)[name] = value
    return config_from_dict(data, where)
