"""Settings of what is the user's own: arguments of their classes, and how a network is wrapped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tempreg.options.field import check_settings, setting

Wrap = Literal["auto", "none", "spikingjelly", "snntorch", "norse", "sinabs"]
"""Whose network one of the user's own is; see `tempreg.interop`."""


@dataclass(frozen=True)
class OwnNetworkOptions:
    """Of a network of the user's own, "my_net:Net" or "path/to/my_net.py:Net"."""

    own: dict[str, Any] | None = setting(
        None, "arguments of a network of your own, as {hidden: 32}"
    )
    wrap: Wrap = setting("auto", "own network: whose neurons it has (auto: seen by their types)")
    wrap_options: dict[str, Any] | None = setting(
        None, "own network: how its output is read, as {output: 0} or {per_step: true}"
    )

    def __post_init__(self) -> None:
        check_settings(self, "model.")
        for name in ("own", "wrap_options"):
            check_arguments(f"model.{name}", getattr(self, name))


@dataclass(frozen=True)
class OwnDataOptions:
    """Of a data set of the user's own, "my_data:Source"."""

    own: dict[str, Any] | None = setting(
        None, "arguments of a data set of your own, as {folder: recordings}"
    )

    def __post_init__(self) -> None:
        check_arguments("data.own", self.own)


def check_arguments(name: str, given: Mapping[Any, Any] | None) -> None:
    """ValueError where a key is no name that an argument can have."""
    for key in given or ():
        if not isinstance(key, str) or not key.isidentifier():
            raise ValueError(f"{name} has the key {key!r}, which no argument can be called")


def is_own(name: str) -> bool:
    """Whether a name is that of code of the user's: "module:Class" or "file.py:Class"."""
    return ":" in name
