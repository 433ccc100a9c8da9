"""What is spoilt for a case of tests/bad_inputs.py: files, weights, settings and networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

Prepare = Callable[[Path], None]
"""Given the folder of a case, spoils something in it."""


def arrays(**changes: Any) -> dict[str, Any]:
    """30 images of 3 classes, which differ in brightness."""
    y = np.arange(30) % 3
    noise = np.random.default_rng(0).integers(0, 60, (30, 8, 8))
    return {"x": (noise + 70 * y[:, None, None]).astype(np.uint8), "y": y} | changes


def npz(name: str = "own.npz", **changes: Any) -> Prepare:
    """Other arrays in `own.npz`; None leaves one out."""

    def prepare(folder: Path) -> None:
        values = {k: v for k, v in arrays(**changes).items() if v is not None}
        np.savez(folder / name, **values)

    return prepare


def text(name: str, content: str) -> Prepare:
    """A text file."""

    def prepare(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)

    return prepare


def without(name: str) -> Prepare:
    """A file that is missing."""
    return lambda folder: (folder / name).unlink()


def cut(name: str, share: float = 0.5, also: str | None = None) -> Prepare:
    """A file that ends too early; `also` another one that is missing."""

    def prepare(folder: Path) -> None:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(len(whole) * share)])
        if also is not None:
            (folder / also).unlink()

    return prepare


def weights(
    change: Callable[[dict[str, torch.Tensor]], None], name: str = "run/model.safetensors"
) -> Prepare:
    """The run's weights, changed."""

    def prepare(folder: Path) -> None:
        tensors = load_file(folder / "run" / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / name)

    return prepare


def edited(name: str, old: str, new: str) -> Prepare:
    """A text file with other words in it."""

    def prepare(folder: Path) -> None:
        content = (folder / name).read_text()
        assert old in content, content
        (folder / name).write_text(content.replace(old, new))

    return prepare


def recording(rows: Any, name: str = "0.npy", classes: str = "ab") -> Prepare:
    """Folders a and b of recordings (t, x, y, p), the first of a with these rows."""
    good = [[i * 10, i % 8, i % 5, i % 2] for i in range(20)]

    def prepare(folder: Path) -> None:
        for label in classes:
            (folder / "events" / label).mkdir(parents=True)
            for i in range(6):
                np.save(folder / "events" / label / f"{i}.npy", np.array(good))
        np.save(folder / "events" / "a" / name, np.array(rows))

    return prepare


def images(sizes: dict[str, tuple[int, int]]) -> Prepare:
    """Image files of these sizes."""

    def prepare(folder: Path) -> None:
        for name, size in sizes.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", size, 90).save(folder / name)

    return prepare


def poison(tensors: dict[str, torch.Tensor]) -> None:
    tensors["head.weight"][0, 0] = float("nan")


def rename(tensors: dict[str, torch.Tensor]) -> None:
    tensors["tail.weight"] = tensors.pop("head.weight")


def narrow(tensors: dict[str, torch.Tensor]) -> None:
    tensors["head.weight"] = tensors["head.weight"][:, :2].clone()


def pickled(name: str) -> Prepare:
    def prepare(folder: Path) -> None:
        torch.save({"version": print}, folder / name)
        (folder / "run" / "summary.json").unlink()

    return prepare


def in_turn(*steps: Prepare) -> Prepare:
    def prepare(folder: Path) -> None:
        for step in steps:
            step(folder)

    return prepare


Y = np.arange(30) % 3
_FLOATS = np.random.default_rng(0).random((30, 8, 8)).astype(np.float32)


def with_float(value: float) -> Any:
    changed = _FLOATS.copy()
    changed[7, 3, 2] = value
    return changed


_NET = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.head = nn.Linear(in_channels * 64, num_classes)
        self.v = 0.0

    def forward(self, x):
        return self.head(x.flatten(2))
"""
"""A network of the user's, which cases change."""


def net(*changes: tuple[str, str], settings: str = "") -> Prepare:
    """`mine.yaml` with the network net:Net, of which text is replaced."""

    def prepare(folder: Path) -> None:
        content = _NET
        for old, new in changes:
            assert old in content, old
            content = content.replace(old, new)
        (folder / "net.py").write_text(content)
        (folder / "mine.yaml").write_text(f"model: {{name: net.py:Net{settings}}}\n")

    return prepare
