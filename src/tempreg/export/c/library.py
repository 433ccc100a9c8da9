"""A network's C, compiled here and called from Python: for one sample at a time."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from tempreg.export.c.emit import Answer, CFiles, emitted
from tempreg.export.c.graph import graph_of
from tempreg.files import scratch
from tempreg.models.base import SpikingNetwork
from tempreg.ops.cbuild import KernelUnavailable, cache_dir, processor

FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fPIC", "-shared")
_FLOATS = ctypes.POINTER(ctypes.c_float)


@final
class Library:
    """A compiled network: makes states, and steps them.

    Raises:
        ExportError: the runtime doesn't know the network.
        KernelUnavailable: there is no C compiler, or it can't build this.
    """

    def __init__(self, model: SpikingNetwork, input_size: tuple[int, int]) -> None:
        channels, steps = model.in_channels, model.num_steps
        graph = graph_of(model, input_size, np.ones(channels), np.zeros(channels))
        names = [str(k) for k in range(model.num_classes)]
        answer = Answer(names, steps, [2.0] * steps, [1.0] * steps)
        files = emitted(graph, answer, prefix="net", stem="model", int8=False, about=["tempreg"])
        self.shape = (model.in_channels, *input_size)
        self.classes = model.num_classes
        self._functions = ctypes.CDLL(str(_built(files)))
        self._functions.net_state_size.restype = ctypes.c_size_t
        self._size = self._functions.net_state_size()

    def state(self) -> Any:
        """A sample's state, before its first timestep."""
        return (ctypes.c_double * -(-self._size // 8))()

    def step(self, state: Any, frames: Tensor) -> Tensor:
        """Logits [classes] of one timestep's frames [C, H, W], float32 and contiguous."""
        logits = torch.empty(self.classes)
        status = self._functions.net_step(state, _floats(frames), _floats(logits))
        if status != 0:
            raise ValueError("frames hold a number that is not finite: nothing was changed")
        return logits


def _floats(x: Tensor) -> Any:
    return ctypes.cast(x.data_ptr(), _FLOATS)


def compiler() -> list[str]:
    """The C compiler's command; KernelUnavailable where there is none."""
    words = shlex.split(os.environ.get("CC", "cc"))
    if not words or shutil.which(words[0]) is None:
        raise KernelUnavailable(
            f"no C compiler was found (looked for {' '.join(words)!r}): install one, name it in "
            "the environment variable CC, or take backend torch"
        )
    return words


def _built(files: CFiles) -> Path:
    """The shared object, from the cache of kernels where it was built before."""
    words = compiler()
    said = [*words, *FLAGS, processor(), files.source, files.header, files.weights]
    digest = hashlib.sha256("\0".join(said).encode()).hexdigest()[:20]
    target = cache_dir() / "networks" / f"network-{digest}.so"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch(target.parent) as folder:
        for name, text in (
            ("model.c", files.source),
            ("model.h", files.header),
            ("model_weights.h", files.weights),
        ):
            (folder / name).write_text(text, encoding="utf-8")
        made = folder / "network.so"
        command = [*words, *FLAGS, str(folder / "model.c"), "-o", str(made), "-lm"]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            lines = result.stderr.strip().splitlines() or ["it said nothing"]
            raise KernelUnavailable(f"{' '.join(words)} could not build a network: {lines[0]}")
        made.replace(target)
    return target
