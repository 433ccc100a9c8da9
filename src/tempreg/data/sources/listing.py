"""Files of an own folder as lists: their labels, and which of them belong together."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from tempreg.data.base import SPLITS
from tempreg.data.errors import DataError
from tempreg.data.layout.sessions import Kin, kin
from tempreg.data.sources.arrays import Rows, drawn_parts
from tempreg.data.splits.cautions import shared
from tempreg.data.splits.drawn import natural
from tempreg.data.splits.sessions import Sessions, sessions_of
from tempreg.options import DataOptions

Parts = dict[str, dict[str, list[Path]]]
"""Files by part (of SPLITS) and class."""


@final
@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        parts: the files.
        remarks: what was taken to be what, a sentence each.
        bases: the folder of each class, by part; None: folders and names say nothing of sessions.
    """

    parts: Parts
    remarks: tuple[str, ...] = ()
    bases: dict[str, dict[str, Path]] | None = None


@final
@dataclass(frozen=True)
class Listing:
    """Files and their labels.

    Attributes:
        classes: names, in the order of their indices.
        files: by part.
        labels: class indices, likewise.
        kin: which files are of one session, of all parts in the order of `files`; None: unknown.
        remarks: a sentence each.
    """

    classes: list[str]
    files: dict[str, list[Path]]
    labels: dict[str, NDArray[np.int64]]
    kin: Kin | None
    remarks: tuple[str, ...]

    def without(self, damaged: Container[Path]) -> Listing:
        """The same without some files."""
        kept = {part: [f not in damaged for f in of] for part, of in self.files.items()}
        files = {
            p: [f for f, k in zip(of, kept[p], strict=True) if k] for p, of in self.files.items()
        }
        labels = {part: of[np.array(kept[part], dtype=bool)] for part, of in self.labels.items()}
        known = self.kin
        if known is not None:
            flat = [k for of in kept.values() for k in of]
            names = [name for name, k in zip(known.names, flat, strict=True) if k]
            known = replace(known, names=names)
        return replace(self, files=files, labels=labels, kin=known)

    @property
    def order(self) -> list[object]:
        """What sorts the training part."""
        return [natural(file.as_posix()) for file in self.files["train"]]

    def sessions(self, options: DataOptions) -> Sessions | None:
        """Of all parts, in the order of `files`; None: each file is on its own."""
        if self.kin is None or options.sessions == "none":
            return None
        order = [natural(file.as_posix()) for part in self.files.values() for file in part]
        labels = np.concatenate(list(self.labels.values()))
        return sessions_of(self.kin.names, order, labels, self.kin.counted)

    def drawn(self, options: DataOptions) -> Rows:
        """Which file is in which split."""
        sessions = self.sessions(options)
        return drawn_parts(self.labels, options, self.classes, self.order, sessions)

    def shared(self, options: DataOptions) -> tuple[str, ...]:
        """A sentence where parts that are given share a session."""
        if self.kin is None or options.sessions == "none" or len(self.files) < 2:
            return ()
        names = iter(self.kin.names)
        told = [
            (part, int(c), name)
            for part in self.files
            for c, name in zip(self.labels[part], names, strict=False)
        ]
        return shared([(part, self.classes[c], name) for part, c, name in told if name is not None])


def listed(folder: Path, found: Found) -> Listing:
    """The files of `folder` in lists, parts in the order of SPLITS.

    Raises:
        DataError: a class that training lacks.
    """
    classes = list(found.parts["train"])
    for part, by_class in found.parts.items():
        if unknown := [name for name in by_class if name not in classes]:
            raise DataError(
                f"{folder}: the {part} part has the class {unknown[0]}, and training has not"
            )
    there = [part for part in SPLITS if part in found.parts]
    files = {part: [f for of in found.parts[part].values() for f in of] for part in there}
    targets = {
        part: [classes.index(name) for name, of in found.parts[part].items() for _ in of]
        for part in there
    }
    known = None
    if found.bases is not None:
        known = kin(
            [file for part in there for file in files[part]],
            [
                found.bases[part][name]
                for part in there
                for name, of in found.parts[part].items()
                for _ in of
            ],
            [target for part in there for target in targets[part]],
            classes,
        )
    labels = {part: np.array(of, dtype=np.int64) for part, of in targets.items()}
    remarks = (*found.remarks, *(() if known is None else known.remarks))
    return Listing(classes, files, labels, known, remarks)
