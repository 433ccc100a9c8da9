"""SVHN's MATLAB files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from tempreg.data import DataError, load_dataset

X = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 40), dtype=np.uint8)
Y = (np.arange(40) % 10 + 1).astype(np.uint8)[:, None]


def written(folder: Path, compressed: bool = True) -> Path:
    for part in ("train", "test"):
        savemat(folder / f"{part}_32x32.mat", {"X": X, "y": Y}, do_compression=compressed)
    return folder / "train_32x32.mat"


@pytest.mark.parametrize("compressed", [True, False])
def test_pixels_read_back(tmp_path: Path, compressed: bool) -> None:
    written(tmp_path, compressed)
    data = load_dataset("svhn", num_steps=2, path=tmp_path)
    assert data.reading is not None
    scale, offset = (
        torch.tensor(v)[:, None, None] for v in (data.reading.scale, data.reading.offset)
    )
    x, y = data.test.batch(torch.arange(40))
    pixels = ((x - offset) / scale).round().byte().numpy()
    assert np.array_equal(pixels, X.transpose(3, 2, 0, 1))
    assert y.tolist() == [(i + 1) % 10 for i in range(40)]


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("end", [0, 20, 127, 128, 140, 1000, 100_000])
def test_cut_short(tmp_path: Path, end: int, compressed: bool) -> None:
    path = written(tmp_path, compressed)
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(DataError, match=r"train_32x32\.mat"):
        load_dataset("svhn", num_steps=2, path=tmp_path)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"X": X}, "lacks the array y"),
        ({"X": X.astype(float), "y": Y}, "lacks the array X of uint8"),
        ({"X": X[..., :-1], "y": Y}, "must be"),
        ({"X": X, "y": Y / 2}, "whole numbers"),
        ({"X": X, "y": Y + 1}, "label 11 of train image 9"),
        (
            {"X": X, "y": np.array([{"a": 1}] * 40, dtype=object)[:, None]},
            "lacks the array y of numbers",
        ),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, arrays: dict, words: str) -> None:
    savemat(written(tmp_path), arrays)
    with pytest.raises(DataError, match=words):
        load_dataset("svhn", num_steps=2, path=tmp_path)


def test_text_is_refused(tmp_path: Path) -> None:
    written(tmp_path).write_text("some text, long enough to be a header " * 10)
    with pytest.raises(DataError, match="can't be read as a MATLAB 5 file"):
        load_dataset("svhn", num_steps=2, path=tmp_path)
