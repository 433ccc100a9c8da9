"""What an own folder holds, by its names and a few of its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from tempreg.data.errors import DataError
from tempreg.data.formats.images import IMAGE_SUFFIXES, header
from tempreg.data.formats.recordings import READERS, common_size, read_recording
from tempreg.data.layout.layout import read_layout

_LOOKED_AT = 100
"""Images whose size is read, at most; of recordings, which are read whole, a tenth of it."""


@final
@dataclass(frozen=True)
class Guess:
    """What a folder seems to be.

    Attributes:
        kind: "images" or "events".
        classes: their names, sorted.
        samples: files to train on, before any are held out.
        size: (H, W) of the images or of the sensor; of images that differ, the median of each.
        alike: whether all that was looked at has that size.
        left_out: files of other kinds, which won't be read.
        train: the name of the training part's folder or table; None: there are no parts.
    """

    kind: Literal["images", "events"]
    classes: tuple[str, ...]
    samples: int
    size: tuple[int, int]
    alike: bool
    left_out: int
    train: str | None


def guess(folder: Path) -> Guess:
    """What `folder` holds: a folder for each class, or such folders in parts; see `layout`.

    Raises:
        DataError: nothing that can be trained on; the message says why.
    """
    if folder.is_file():
        arrays = folder.suffix.lower() == ".npz"
        raise DataError(
            f"{folder} is a file: give the folder that has a folder for each class"
            + (", or for arrays of images a preset and --data.name npz" if arrays else "")
        )
    layout = read_layout(folder, IMAGE_SUFFIXES | set(READERS), others=True)
    root, by_class = layout.root, layout.files["train"]
    files = [file for each in by_class.values() for file in each]
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    recordings = [file for file in files if file.suffix.lower() in READERS]
    if images and recordings:
        raise DataError(
            f"{root} holds images and recordings, such as {images[0]} and {recordings[0]}: keep "
            "one kind"
        )
    chosen = images or recordings
    if not chosen:
        raise DataError(
            f"{root} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}) and no recordings "
            f"({', '.join(READERS)}), but {files[0]}"
        )
    if len(by_class) == 1:
        raise DataError(f"{root} has one class, {next(iter(by_class))!r}: it takes two to train")
    sizes = _image_sizes(images) if images else [_sensor_size(recordings)]
    return Guess(
        kind="images" if images else "events",
        classes=tuple(by_class),
        samples=len(chosen),
        size=(_median([s[0] for s in sizes]), _median([s[1] for s in sizes])),
        alike=len(set(sizes)) == 1,
        left_out=len(files) - len(chosen),
        train=layout.names.get("train"),
    )


def _spread(files: list[Path], most: int) -> list[Path]:
    return files[:: -(-len(files) // most)]


def _median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


def _image_sizes(files: list[Path]) -> list[tuple[int, int]]:
    """(H, W) of some images as they are shown; those that can't be read are told when loaded."""
    sizes = []
    fault: DataError | None = None
    for file in _spread(files, _LOOKED_AT):
        try:
            sizes.append(header(file)[0])
        except DataError as error:
            fault = fault or error
    if not sizes and fault is not None:
        raise fault
    return sizes


def _sensor_size(files: list[Path]) -> tuple[int, int]:
    return common_size([read_recording(f).known_size for f in _spread(files, _LOOKED_AT // 10)])
