"""Data sets, event recordings and augmentation."""

from tempreg.data.augment import Augmentation
from tempreg.data.base import ArraySplit, DataSet, Split
from tempreg.data.errors import DataError
from tempreg.data.formats.recordings import Recording, read_recording, write_recording
from tempreg.data.frames.recordings import Recordings, events_to_frames
from tempreg.data.registry import SOURCES, load_dataset
from tempreg.data.source import Source
from tempreg.options import DataOptions

__all__ = [
    "SOURCES",
    "ArraySplit",
    "Augmentation",
    "DataError",
    "DataOptions",
    "DataSet",
    "Recording",
    "Recordings",
    "Source",
    "Split",
    "events_to_frames",
    "load_dataset",
    "read_recording",
    "write_recording",
]
