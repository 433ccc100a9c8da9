"""Data sets, event recordings and augmentation."""

from tempreg.data.augment import Augmentation
from tempreg.data.base import ArraySplit, DataSet, Split
from tempreg.data.events import Recordings, events_to_frames
from tempreg.data.registry import DATASETS, load_dataset

__all__ = [
    "DATASETS",
    "ArraySplit",
    "Augmentation",
    "DataSet",
    "Recordings",
    "Split",
    "events_to_frames",
    "load_dataset",
]
