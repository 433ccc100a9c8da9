"""Readers of checkpoints, weights, archives and cached frames."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from tempreg.config import read_config
from tempreg.data import load_dataset
from tempreg.data.errors import DataError
from tempreg.data.fetch.unpack import unpack
from tempreg.data.frames.cache import HEADER_BYTES, opened
from tempreg.models import SpikingNetwork, create_model, load_weights
from tempreg.runs.build import build_model
from tempreg.training import checkpoint
from tests.fuzz.targets.base import OLD_RUN, Target


def tensors() -> list[Target]:
    """See this module."""

    def resume(folder: Path) -> object:
        network = _old_network()
        optimizer = torch.optim.AdamW(network.parameters())
        path = folder / "last.pt"
        settings = torch.load(OLD_RUN / "run/checkpoints/last.pt", weights_only=True)["settings"]
        return checkpoint.load_checkpoint(path, network, optimizer, settings)

    def weights(folder: Path) -> None:
        checkpoint.restore_weights(_old_network(), folder / "model.safetensors")

    def old(name: str) -> Callable[[], list[bytes]]:
        return lambda: [(OLD_RUN / "run" / name).read_bytes()]

    def unpacked(folder: Path) -> None:
        into = folder / "into"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        unpack(folder / "a.archive", into)

    def mapped(folder: Path) -> None:
        if opened(folder / "a.frames") is None:
            raise DataError("damaged, so it is built again")

    def frames() -> list[bytes]:
        values = np.arange(2 * 2 * 4 * 4, dtype=np.int16)
        held = {"shape": [1, 2, 2, 4, 4], "dtype": "int16", "events": [9, 9],
                "sensor_size": [4, 4], "checksum": zlib.crc32(values.tobytes())}  # fmt: skip
        return [json.dumps(held).encode().ljust(HEADER_BYTES) + values.tobytes()]

    return [
        Target("checkpoint", "last.pt", old("checkpoints/last.pt"), resume),
        Target("weights of a run", "model.safetensors", old("model.safetensors"), weights),
        Target("first weights .safetensors", "w.safetensors",
               lambda: [safetensors.torch.save(_network().state_dict())],
               lambda folder: load_weights(_network(), folder / "w.safetensors")),
        Target("first weights .pt", "w.pt", _saved,
               lambda folder: load_weights(_network(), folder / "w.pt")),
        Target("archive", "a.archive", _archives, unpacked),
        Target("frame cache", "a.frames", frames, mapped),
    ]  # fmt: skip


@cache
def _network() -> SpikingNetwork:
    return create_model(
        "csnn", num_classes=3, in_channels=1, num_steps=2, input_size=8, channels=[2]
    )


def _saved() -> list[bytes]:
    out = io.BytesIO()
    torch.save(_network().state_dict(), out)
    return [out.getvalue()]


def _archives() -> list[bytes]:
    zipped, packed = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a/b.txt", "x" * 100)
        archive.writestr("c", "y")
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("a/b.txt", "c"):
            info = tarfile.TarInfo(name)
            info.size = 5
            archive.addfile(info, io.BytesIO(b"abcde"))
    return [zipped.getvalue(), packed.getvalue()]


@cache
def _old_network() -> SpikingNetwork:
    data = load_dataset("npz", num_steps=2, path=OLD_RUN / "own.npz")
    return build_model(read_config(OLD_RUN / "run" / "config.yaml"), data)
