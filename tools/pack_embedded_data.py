"""Packs the embedded data sets from their sources; run once, kept to show where they come from.

    python tools/pack_embedded_data.py nmnist NMNIST.npz SPLIT.json src/tempreg/data/assets
    python tools/pack_embedded_data.py fashion FOLDER_OF_IDX_FILES src/tempreg/data/assets

N-MNIST: NMNIST.npz holds flat t (int32, microseconds), x, y, p (uint8) with offsets and labels.
Times become differences, split into two bytes, which compress to 10 MB; nothing is lost.
Fashion-MNIST: the first 500 / 100 images of each class in the training file become the
training and validation parts, the first 200 of each class in the test file the test part.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TRAIN, VALIDATION, TEST = 500, 100, 200


def pack_nmnist(source: Path, split: Path, target: Path) -> None:
    with np.load(source, allow_pickle=False) as data:
        t, x, y, p, offsets = (data[k] for k in ("t", "x", "y", "p", "offsets"))
        labels = data["label"]
    steps = np.diff(t, prepend=0)
    steps[offsets[:-1]] = t[offsets[:-1]]
    assert 0 <= steps.min() <= steps.max() < 2**16
    assert max(x.max(), y.max()) < 128
    assert p.max() <= 1
    part = np.full(len(labels), 255, np.uint8)
    for code, name in enumerate(("train", "validation", "test")):
        part[json.loads(split.read_text())[name]] = code
    assert part.max() <= 2
    np.savez_compressed(
        target / "nmnist.npz",
        step_low=(steps & 255).astype(np.uint8),
        step_high=(steps >> 8).astype(np.uint8),
        x_polarity=(x * 2 + p).astype(np.uint8),
        y=y,
        offsets=offsets,
        labels=labels,
        part=part,
    )


def pack_fashion(source: Path, target: Path) -> None:
    train_x, train_y = _idx(source, "train")
    test_x, test_y = _idx(source, "t10k")
    by_class = [np.flatnonzero(train_y == k) for k in range(10)]
    chosen = {
        "train": (train_x, train_y, [rows[:TRAIN] for rows in by_class]),
        "validation": (train_x, train_y, [rows[TRAIN : TRAIN + VALIDATION] for rows in by_class]),
        "test": (test_x, test_y, [np.flatnonzero(test_y == k)[:TEST] for k in range(10)]),
    }
    arrays = {}
    for name, (images, labels, rows) in chosen.items():
        order = np.sort(np.concatenate(rows))
        arrays[f"{name}_images"], arrays[f"{name}_labels"] = images[order], labels[order]
    np.savez_compressed(target / "fashion_mnist.npz", **arrays)


def _idx(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    def read(name: str, header: int) -> NDArray[np.uint8]:
        content = gzip.decompress((folder / f"{part}-{name}-ubyte.gz").read_bytes())
        return np.frombuffer(content[header:], np.uint8)

    return read("images-idx3", 16).reshape(-1, 28, 28), read("labels-idx1", 8)


if __name__ == "__main__":
    if sys.argv[1] == "nmnist":
        pack_nmnist(*map(Path, sys.argv[2:5]))
    else:
        pack_fashion(*map(Path, sys.argv[2:4]))
