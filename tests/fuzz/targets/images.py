"""Readers of images, and of data sets of them."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

from tempreg.data import load_dataset
from tempreg.data.formats.images import IMAGE_SUFFIXES, decoded, header
from tempreg.data.layout.layout import read_layout
from tempreg.data.sources.cifar import CIFAR10
from tempreg.data.sources.idx import read_idx
from tempreg.data.sources.imagenet import TinyImageNet
from tempreg.data.sources.npz import encoded_images, read_npz
from tempreg.data.sources.svhn import read_svhn
from tests.fuzz.targets.base import Target, inside, made_by
from tests.unit.data.sources import test_static_cifar as cifar
from tests.unit.data.sources.test_static_idx import idx


def images() -> list[Target]:
    """See this module."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)

    def picture(kind: str) -> list[bytes]:
        out = io.BytesIO()
        image = Image.fromarray(pixels)
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(out, kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}))
        grey = io.BytesIO()
        image.convert("L").save(grey, kind)
        return [out.getvalue(), grey.getvalue()]

    def target(kind: str) -> Target:
        return Target(
            f"image {kind}", "a.png", lambda: picture(kind),
            lambda folder: (header(folder / "a.png"), decoded(folder / "a.png", 3, 8)),
        )  # fmt: skip

    def batch(folder: Path) -> None:
        cifar.written(folder, "cifar10", binary=False)

    def binary(folder: Path) -> None:
        cifar.written(folder, "cifar10", binary=True)

    def cifar_target(name: str, file: str, around: Callable[[Path], None]) -> Target:
        return Target(
            f"{name} (CIFAR)", file, lambda: made_by(around, file),
            lambda folder: load_dataset("cifar10", num_steps=2, path=folder), around,
        )  # fmt: skip

    def archive() -> list[bytes]:
        with tempfile.TemporaryDirectory() as made:
            binary(Path(made))
            packed = Path(made, "a.tar.gz")
            with tarfile.open(packed, "w:gz") as tar:
                tar.add(Path(made, CIFAR10().folders[0]), CIFAR10().folders[0])
            return [packed.read_bytes()]

    def tiny(folder: Path) -> None:
        for name in ("n01", "n02"):
            images = folder / "train" / name / "images"
            images.mkdir(parents=True)
            (images / f"{name}_0.JPEG").touch()
        (folder / "val").mkdir()
        (folder / "val" / "val_annotations.txt").write_text("0.JPEG\tn01\t0\n1.JPEG\tn02\t1\n")

    def labelled(folder: Path) -> None:
        for i in range(4):
            (folder / f"{i}.png").touch()

    def tables() -> list[bytes]:
        return [b"file,label\n0.png,a\n1.png,b\n2,a\n", b"0.png\ta\n", b"f;a;b\n0;1;0\n1;0;1\n"]

    def tiny_parts(folder: Path) -> None:
        parts = TinyImageNet().parts(folder)
        inside(folder, [file for files in parts["test"].values() for file in files])

    def npz() -> list[bytes]:
        out = io.BytesIO()
        x = rng.integers(0, 256, (30, 8, 8), dtype=np.uint8)
        np.savez(out, x=x, y=np.arange(30) % 3)
        return [out.getvalue()]

    def encoded() -> list[bytes]:
        out = io.BytesIO()
        joined = b"".join(files := picture("JPEG")[:1] * 2)
        offsets = np.cumsum([0, *map(len, files)])
        np.savez(out, jpeg=np.frombuffer(joined, np.uint8), offsets=offsets, labels=[0, 1])
        return [out.getvalue()]

    def read_encoded(folder: Path) -> None:
        path = folder / "own.npz"
        encoded_images(read_npz(path), path, None)

    def mat() -> list[bytes]:
        out = io.BytesIO()
        x = rng.integers(0, 256, (32, 32, 3, 20), dtype=np.uint8)
        y = (np.arange(20) % 10 + 1).astype(np.uint8)[:, None]
        scipy.io.savemat(out, {"X": x, "y": y})
        return [out.getvalue()]

    binaries, folder_name = CIFAR10().folders
    return [
        *(target(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")),
        Target("images .npz", "own.npz", npz,
               lambda folder: load_dataset("npz", num_steps=2, path=folder / "own.npz")),
        Target("images encoded in .npz", "own.npz", encoded, read_encoded),
        Target("images idx", "a", lambda: [idx(pixels[..., 0][None])],
               lambda folder: read_idx(folder / "a", 3)),
        Target("images .mat (SVHN)", "train_32x32.mat", mat,
               lambda folder: read_svhn(folder / "train_32x32.mat")),
        cifar_target("images pickled", f"{folder_name}/data_batch_1", batch),
        cifar_target("images", f"{binaries}/data_batch_1.bin", binary),
        cifar_target("classes", f"{binaries}/batches.meta.txt", binary),
        cifar_target("classes pickled", f"{folder_name}/batches.meta", batch),
        Target("archive (CIFAR)", CIFAR10().archives[0], archive,
               lambda folder: load_dataset("cifar10", num_steps=2, path=folder)),
        Target("table of labels", "labels.csv", tables,
               lambda folder: read_layout(folder, IMAGE_SUFFIXES), labelled),
        Target("classes (Tiny-ImageNet)", "val/val_annotations.txt",
               lambda: made_by(tiny, "val/val_annotations.txt"), tiny_parts, tiny),
    ]  # fmt: skip
