"""Data sets, event recordings and augmentation."""

from tempreg.data.augment import Augmentation
from tempreg.data.base import ArraySplit, DataSet, Split
from tempreg.data.events import Recordings, events_to_frames
from tempreg.data.options import DataOptions
from tempreg.data.registry import SOURCES, load_dataset
from tempreg.data.source import DataError, Source

__all__ = [
    "SOURCES",
    "ArraySplit",
    "Augmentation",
    "DataError",
    "DataOptions",
    "DataSet",
    "Recordings",
    "Source",
    "Split",
    "events_to_frames",
    "load_dataset",
]
