"""A data set as something that lies in files: where, whether it is all there, how to read it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from tempreg.data.base import DataSet
from tempreg.data.errors import DataError
from tempreg.data.fetch.catalogue import DOWNLOADS, Download
from tempreg.options import DataOptions, SourceOptions

if TYPE_CHECKING:
    from tempreg.data.checks import Check


_OF_EVENTS = ("frames", "frame_ms", "normalise", "resize")
"""Settings that images don't read; those of images are refused for events."""


class Source(ABC):
    """A data set by name. Subclass it, and put an instance into `registry.SOURCES`."""

    name: ClassVar[str]
    title: ClassVar[str]
    kind: ClassVar[Literal["images", "events"]]
    licence: ClassVar[str]
    homepage: ClassVar[str] = ""
    instructions: ClassVar[str] = ""
    """Which files to put into the folder, where they can't be fetched."""
    without: ClassVar[tuple[str, ...]] = ("gap", "skip_damaged")
    """Settings that change nothing here, beside those of events where it has images."""

    @property
    def downloads(self) -> tuple[Download, ...]:
        """What `tempreg data fetch` gets; nothing, where a login is needed or it ships with us."""
        return DOWNLOADS.get(self.name, ())

    def folder(self, options: DataOptions) -> Path:
        """Where this data set is: `options.path`, or `default_folder`."""
        path = options.path
        return default_folder(self.name) if path is None else Path(path).expanduser()

    def complete_folder(self, options: DataOptions) -> Path:
        """`folder`; DataError unless all of it is there, which says what is missing."""
        folder = self.folder(options)
        if missing := self.missing(folder):
            raise DataError(f"{self.name} is not complete: {missing[0]}. {self.instructions}")
        return folder

    @abstractmethod
    def missing(self, folder: Path) -> list[str]:
        """What is not in `folder` but must be, in words a user can act on; empty if complete."""

    @abstractmethod
    def load(self, options: DataOptions) -> DataSet:
        """The three splits; DataError where files are missing or damaged."""

    def idle(self, options: DataOptions) -> list[str]:
        """The settings that aren't left at their defaults, and change nothing of this data set."""
        names = (*(_OF_EVENTS if self.kind == "images" else ()), *self.without)
        default = SourceOptions()
        return [name for name in names if getattr(options, name) != getattr(default, name)]

    def check(self, options: DataOptions) -> Check:
        """Everything read, and all faults found; DataError where there is no beginning."""
        from tempreg.data.checks import check_splits

        return check_splits(self.load(options))


def data_root() -> Path:
    """The folder of all data sets: $TEMPREG_DATA, else `tempreg/data` in the user's data folder."""
    if chosen := os.environ.get("TEMPREG_DATA"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "tempreg" / "data"


def default_folder(name: str) -> Path:
    """Where the data set `name` is looked for when no path is given."""
    return data_root() / name
