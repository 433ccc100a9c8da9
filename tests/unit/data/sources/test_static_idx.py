"""MNIST's files, as the tests write them byte by byte."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from tempreg.data import DataError, load_dataset


def idx(values: np.ndarray) -> bytes:
    shape = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes((0, 0, 8, values.ndim)) + shape + values.tobytes()


def written(folder: Path, packed: bool) -> np.ndarray:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (60, 28, 28), dtype=np.uint8)
    labels = (np.arange(60) % 10).astype(np.uint8)
    for part, rows in (("train", slice(0, 40)), ("t10k", slice(40, 60))):
        for name, values in (("images-idx3", pixels[rows]), ("labels-idx1", labels[rows])):
            data = idx(values)
            path = folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data) if packed else data)
    return pixels


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist-full"])
def test_pixels_read_back(tmp_path: Path, packed: bool, name: str) -> None:
    pixels = written(tmp_path, packed)
    data = load_dataset(name, num_steps=2, path=tmp_path, validation=0.25)
    assert (len(data.train), len(data.validation), len(data.test)) == (30, 10, 20)
    reading = data.reading
    assert reading is not None
    scale, offset = (torch.tensor(v)[:, None, None] for v in (reading.scale, reading.offset))
    x, y = data.test.batch(torch.arange(20))
    assert torch.equal(((x - offset) / scale).round()[:, 0].byte(), torch.from_numpy(pixels[40:]))
    assert y.tolist() == [i % 10 for i in range(20)]


def test_resized(tmp_path: Path) -> None:
    written(tmp_path, True)
    data = load_dataset("mnist", num_steps=2, path=tmp_path, size=14, validation=0.25)
    assert data.input_size == (14, 14)
    assert data.train.inputs(torch.tensor([0])).shape == (1, 1, 14, 14)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"", "begins with nothing"),
        (lambda data: data[:-1], "must hold 31,360 values after its header, and holds 31,359"),
        (lambda data: data + b"x", "holds more"),
        (lambda data: b"some text, no idx file", "is not an idx file"),
        (lambda data: bytes((0, 0, 8, 3)) + b"\xff" * 12, "claims"),
        (lambda data: gzip.compress(data)[:200], "can't be read"),
        (lambda data: gzip.compress(data + bytes(1 << 24)), "holds more"),
        (lambda data: b"\x1f\x8b\x08\x00 not gzip really", "can't be read"),
    ],
)
def test_damaged(tmp_path: Path, change, words: str) -> None:
    written(tmp_path, False)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=words) as caught:
        load_dataset("mnist", num_steps=2, path=tmp_path)
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    written(tmp_path, False)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz"):
        load_dataset("mnist", num_steps=2, path=tmp_path)


def test_files_as_torchvision_keeps_them(tmp_path: Path) -> None:
    """Both sets side by side: each reads its own."""
    for name, value in (("MNIST", 1), ("FashionMNIST", 2)):
        for part, count in (("train", 30), ("t10k", 20)):
            place = tmp_path / name / "raw"
            place.mkdir(parents=True, exist_ok=True)
            images = np.random.default_rng(value).integers(0, 256, (count, 28, 28), dtype=np.uint8)
            head = bytes((0, 0, 8, 3)) + np.array(images.shape, dtype=">u4").tobytes()
            (place / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
            head = bytes((0, 0, 8, 1)) + np.array([count], dtype=">u4").tobytes()
            labels = np.full(count, value, np.uint8)
            (place / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    for name, value in (("mnist", 1), ("fashion-mnist-full", 2)):
        data = load_dataset(name, num_steps=1, path=tmp_path)
        assert set(data.test.targets.tolist()) == {value}
