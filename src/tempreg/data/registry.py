"""Data sets by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tempreg.data.base import DataSet
from tempreg.data.source import Source
from tempreg.data.sources.embedded import EmbeddedFashionMNIST, EmbeddedNMNIST
from tempreg.data.sources.events import EVENT_SOURCES
from tempreg.data.sources.images import STATIC_SOURCES
from tempreg.data.sources.spoken import SPOKEN_SOURCES
from tempreg.data.sources.timed import TIMED_SOURCES
from tempreg.options import DataOptions

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        EmbeddedNMNIST(),
        EmbeddedFashionMNIST(),
        *TIMED_SOURCES,
        *EVENT_SOURCES,
        *SPOKEN_SOURCES,
        *STATIC_SOURCES,
    )
}


def load_dataset(name: str, *, num_steps: int, **options: Any) -> DataSet:
    """A data set, ready for batches.

    Args:
        name: a key of `SOURCES`.
        num_steps, options: see `DataOptions`.

    Raises:
        ValueError: an unknown name, or an option that doesn't fit the data set.
        DataError: files that are missing or damaged.
    """
    if name not in SOURCES:
        raise ValueError(
            f"this version has no reader for the data set {name!r}: it reads {', '.join(SOURCES)}"
        )
    source, asked = SOURCES[name], DataOptions(num_steps=num_steps, **options)
    data, idle = source.load(asked), source.idle(asked)
    if idle:
        names = ", ".join(f"data.{setting}" for setting in idle)
        remark = f"{name} doesn't read {names}, so that changes nothing"
        data = replace(data, remarks=(remark, *data.remarks))
    return data
