"""Images in .npz files."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tempreg.data import DataError, DataSet, load_dataset
from tests.conftest import CommandLine

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 6, 8, 3), dtype=np.uint8)
Y = np.arange(40) % 4


def seen(data: DataSet, part: str) -> np.ndarray:
    """The pixels [N, C, H, W] of a part, standardisation undone."""
    reading, split = data.reading, data.split(part)
    assert reading is not None
    scale, offset = (torch.tensor(v)[:, None, None] for v in (reading.scale, reading.offset))
    x = split.inputs(torch.arange(len(split)))
    return ((x - offset) / scale).round().byte().numpy()


@pytest.mark.parametrize("values", [X, X.transpose(0, 3, 1, 2), X / 255, X.astype(np.int32)])
def test_layouts_hold_the_same_pixels(tmp_path: Path, values: np.ndarray) -> None:
    path = tmp_path / "own.npz"
    np.savez_compressed(path, x=values, y=Y, x_test=values[:8], labels_test=Y[:8])
    data = load_dataset("npz", num_steps=2, path=path, validation=0.25)
    assert (len(data.train), len(data.validation), data.input_size) == (32, 8, (6, 8))
    assert np.array_equal(seen(data, "test"), X[:8].transpose(0, 3, 1, 2))
    x = data.train.inputs(torch.arange(32))
    assert x.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (x.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-2


def test_all_parts_are_drawn_from_one(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, images=X[..., 0], labels=Y, classes=np.array(list("abcd")))
    data = load_dataset("npz", num_steps=2, path=path, validation=0.2)
    parts = [seen(data, name) for name in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [24, 8, 8]
    rows = {part.tobytes() for part in np.concatenate(parts)}
    assert rows == {image.tobytes() for image in X[..., 0]}
    assert data.classes == tuple("abcd")


def npy_header(shape: str) -> bytes:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy_header("(1000000, 1000, 1000, 3)"))
    with pytest.raises(DataError, match="claims 3,000,000,000,000 bytes"):
        load_dataset("npz", num_steps=2, path=path)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("executed", "w")


def test_objects_are_refused_and_not_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("own.npz", x=np.array([Trap()], dtype=object), y=Y)
    with pytest.raises(DataError, match="holds Python objects"):
        load_dataset("npz", num_steps=2, path=tmp_path / "own.npz")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X}, "lacks y of its train part"),
        ({"x": X, "y": Y[:-1]}, "40 images but 39 labels"),
        ({"x": X, "y": Y - 1}, "label -1 of train image 0"),
        ({"x": X, "y": Y, "classes": np.array(["a"])}, "label 1 of train image 1"),
        ({"x": X[..., :2], "y": Y}, "has the shape"),
        ({"x": X * 2.0, "y": Y}, "outside of 0"),
        ({"x": X, "y": Y / 2}, "whole numbers"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, arrays: dict, words: str) -> None:
    np.savez(tmp_path / "own.npz", **arrays)
    with pytest.raises(DataError, match=words):
        load_dataset("npz", num_steps=2, path=tmp_path / "own.npz")


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_damaged(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "own.npz"
    np.savez_compressed(path, x=X, y=Y)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(DataError, match=r"own\.npz can't be read as \.npz"):
        load_dataset("npz", num_steps=2, path=path)


@pytest.mark.parametrize(("offset", "value"), [(6, 250), (8, 1), (10, 99)])
def test_versions_passwords_and_methods_that_are_unknown(
    tmp_path: Path, offset: int, value: int
) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, x=X, y=Y)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + offset] = value
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"own\.npz can't be read as \.npz"):
        load_dataset("npz", num_steps=2, path=path)


def encoded(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> Path:
    files = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        files.append(buffer.getvalue())
    path = folder / f"cifar10_jpeg_{part}.npz"
    np.savez(
        path,
        jpeg=np.frombuffer(b"".join(files), dtype=np.uint8),
        offsets=np.cumsum([0, *map(len, files)]),
        labels=labels,
        classes=np.array(list("abcd")),
    )
    return path


def test_encoded_images(tmp_path: Path) -> None:
    encoded(tmp_path, "train", X, Y)
    path = encoded(tmp_path, "test", X[:8], Y[:8])
    data = load_dataset("cifar10-jpeg", num_steps=2, path=tmp_path)
    assert np.array_equal(seen(data, "test"), X[:8].transpose(0, 3, 1, 2))
    with np.load(path) as arrays:
        kept = dict(arrays)
    kept["jpeg"][kept["offsets"][3] : kept["offsets"][4]] = 0
    np.savez(path, **kept)
    with pytest.raises(DataError, match="image 3 is not an image"):
        load_dataset("cifar10-jpeg", num_steps=2, path=tmp_path)


def test_cifar10_trains_from_files_and_predicts(
    tempreg_here: CommandLine, tmp_path: Path, shared: Path
) -> None:
    for part, count in (("train", 300), ("test", 50)):
        with np.load(shared / "data" / f"cifar10_jpeg_{part}.npz") as whole:
            jpeg, offsets, labels = whole["jpeg"], whole["offsets"], whole["labels"]
            files = [
                jpeg[offsets[i] : offsets[i + 1]]
                for i in np.arange(count) * (len(labels) // count)  # they lie class by class
            ]
            np.savez(
                tmp_path / f"cifar10_jpeg_{part}.npz",
                jpeg=np.concatenate(files),
                offsets=np.cumsum([0, *map(len, files)]),
                labels=labels[np.arange(count) * (len(labels) // count)],
                classes=whole["classes"],
            )
            if part == "test":
                (tmp_path / "one.jpg").write_bytes(files[0].tobytes())
    done = tempreg_here(
        "train", "fashion-trt", "--out", "run", "--epochs", "1", "--num-steps", "2",
        "--data.name", "cifar10-jpeg", "--data.path", str(tmp_path), "--model.channels", "[8,16]",
        "--augment.shift", "4", "--augment.flip", "true",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert 0 < summary["test_accuracy"] <= 1
    done = tempreg_here("predict", "run", "one.jpg")
    assert done.returncode == 0, done.stderr
    assert "one.jpg" in done.stdout
