"""A data set of the user's as one that a run trains on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tempreg.config import ConfigError
from tempreg.data import DataSet, Source
from tempreg.data.base import SPLITS
from tempreg.data.sources.mapped import mapped_data_set
from tempreg.options import DataOptions
from tempreg.runs.own.code import made, named_object, running
from tempreg.runs.own.trust import Trust


def own_data(
    name: str, own: Mapping[str, Any] | None, options: DataOptions, trust: Trust
) -> DataSet:
    """The data set that `data.name` names: see `as_data_set` for what it may be, or a
    `tempreg.data.Source`. What makes it may ask for num_steps, and for options, all of them.

    Raises:
        CodeNotTrusted, ConfigError: see `code.named_object` and `code.made`.
        DataError: its files or items can't be used.
    """
    found = named_object("data.name", name, trust)
    if callable(found):
        known = {"num_steps": options.num_steps, "options": options}
        found = made("data.name", name, found, known, own)
    with running(f"data.name {name}", "can't be read"):
        if isinstance(found, Source):
            return found.load(options)
        return as_data_set(name, found, options)


def as_data_set(name: str, given: Any, options: DataOptions) -> DataSet:
    """A data set of a `DataSet`, of a map-style one of (frames, label), or of several of them.

    Args:
        name: what it is called.
        given: several are a dict by part, "train", "validation" and "test", or a tuple
            (train, test) or (train, validation, test). Parts that aren't there are drawn.
        options: of how data is read: num_steps, validation, split_seed, cache.

    Raises:
        ConfigError: something else.
        DataError, ValueError: see `data.sources.mapped.mapped_data_set`.
    """
    if isinstance(given, DataSet):
        return given
    if isinstance(given, tuple) and len(given) in (2, 3):
        names = SPLITS if len(given) == 3 else ("train", "test")
        given = dict(zip(names, given, strict=True))
    parts = dict(given) if isinstance(given, Mapping) else {"train": given}
    for part, items in parts.items():
        if not (hasattr(items, "__len__") and hasattr(items, "__getitem__")):
            raise ConfigError(
                f"{name}: {part} is a {type(items).__name__}, but a data set has a length and "
                "items (frames, label) by index, as torch's map-style ones"
            )
    return mapped_data_set(name, parts, options)
