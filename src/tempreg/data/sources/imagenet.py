"""ImageNet, its hundred classes, and Tiny-ImageNet, from their folders."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, final

from typing_extensions import override

from tempreg.data.errors import DataError
from tempreg.data.formats.images import IMAGE_SUFFIXES
from tempreg.data.layout.class_folders import class_folders
from tempreg.data.sources.arrays import Statistics
from tempreg.data.sources.folder import FileSource
from tempreg.data.sources.listing import Parts

IMAGENET = Statistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class ImageNet100(FileSource):
    """100 classes of ImageNet; any folder with train and val of class folders."""

    name: ClassVar[str] = "imagenet100"
    title: ClassVar[str] = "ImageNet-100"
    licence: ClassVar[str] = "ImageNet's terms of access: research only"
    homepage: ClassVar[str] = "https://www.image-net.org"
    instructions: ClassVar[str] = (
        "Put the class folders into train and val: train/n01440764/n01440764_18.JPEG"
    )
    channels: ClassVar[int | None] = 3
    size: ClassVar[int | None] = 224
    statistics: ClassVar[Statistics | None] = IMAGENET

    @override
    def missing(self, folder: Path) -> list[str]:
        return [str(folder / p) for p in ("train", "val") if not (folder / p).is_dir()]

    def parts(self, folder: Path) -> Parts:
        """The official validation part is the test part, for the test labels aren't public."""
        found = {p: class_folders(folder / d, IMAGE_SUFFIXES) for p, d in _OFFICIAL}
        if len(found["train"]) != len(found["test"]):
            raise DataError(
                f"{folder}: train has {len(found['train'])} classes and val {len(found['test'])}"
            )
        return found


@final
class ImageNet(ImageNet100):
    """ImageNet-1k."""

    name: ClassVar[str] = "imagenet"
    title: ClassVar[str] = "ImageNet-1k"


@final
class TinyImageNet(FileSource):
    """200 classes, 64 x 64: train/wnid/images, val/images with val_annotations.txt."""

    name: ClassVar[str] = "tiny-imagenet"
    title: ClassVar[str] = "Tiny-ImageNet"
    licence: ClassVar[str] = "ImageNet's terms of access: research only"
    homepage: ClassVar[str] = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    instructions: ClassVar[str] = "Unpack tiny-imagenet-200.zip there."
    channels: ClassVar[int | None] = 3
    statistics: ClassVar[Statistics | None] = IMAGENET

    @override
    def missing(self, folder: Path) -> list[str]:
        base = _tiny(folder)
        there = {base / "train": (base / "train").is_dir()}
        there[base / "val" / "val_annotations.txt"] = (base / "val/val_annotations.txt").is_file()
        return [str(path) for path, found in there.items() if not found]

    def parts(self, folder: Path) -> Parts:
        """Its val part is the test part, for the test labels aren't public."""
        base = _tiny(folder)
        train = class_folders(base / "train", IMAGE_SUFFIXES)
        notes = base / "val" / "val_annotations.txt"
        test: dict[str, list[Path]] = {name: [] for name in train}
        try:
            lines = notes.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{notes} can't be read: {error}") from None
        for number, line in enumerate(lines, 1):
            file, tab, rest = line.partition("\t")
            name = rest.split("\t")[0]
            if not tab or name not in train or Path(file).name != file or "\0" in file:
                raise DataError(f"{notes}, line {number}: no file and known class: {line[:60]!r}")
            test[name].append(base / "val" / "images" / file)
        return {"train": train, "test": test}


_OFFICIAL = (("train", "train"), ("test", "val"))


def _tiny(folder: Path) -> Path:
    inner = folder / "tiny-imagenet-200"
    return inner if inner.is_dir() else folder
