"""A network as an ONNX file, compared with what it was made from by onnxruntime."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from tempreg.errors import PackageMissing, to_install
from tempreg.export.errors import ExportError
from tempreg.export.notes import told
from tempreg.export.program import Step, Unrolled, prepared, traced
from tempreg.export.request import Request
from tempreg.files import replacing

TOLERANCE = 1e-5


@final
@dataclass(frozen=True)
class Comparison:
    """What onnxruntime's logits of the file differ by from the network's.

    Attributes:
        same, samples: how many of the samples were within `TOLERANCE` at every timestep.
        largest: the largest difference among those.
    """

    same: int
    samples: int
    largest: float


def write(request: Request) -> list[str]:
    """See `formats.Format`."""
    module, frames, notes = prepared(request)
    result = write_onnx(module, frames, request.file, notes)
    return [*told(notes), compared_words(result)]


def compared_words(result: Comparison | None) -> str:
    """How a file compares, in a sentence."""
    if result is None:
        return "not compared: onnxruntime is not installed"
    return (
        f"onnxruntime: logits within {TOLERANCE:g} for {result.same} of {result.samples} samples "
        f"(largest difference {result.largest:.1e})"
    )


def write_onnx(
    module: Unrolled | Step,
    frames: Tensor,
    path: Path,
    notes: Mapping[str, str],
    batch_dim: int | None = None,
) -> Comparison | None:
    """Replace the file at `path`; returns how it compares, None without onnxruntime.

    Inputs are "frames", or "pixels" where they are uint8, and with a `Step` "v_0" ...; outputs
    "logits", and "next_v_0" ....

    Args:
        module: what is exported.
        frames: samples to trace and compare with, as of `frames_like`.
        path: where to.
        notes: text that is kept in the file, by name.
        batch_dim: see `traced`.

    Raises:
        PackageMissing: onnx or onnxscript isn't installed.
        ExportError: more than one sample in four came out otherwise; nothing is written. (In
            one, a potential may be within rounding of the threshold and fall on its other side.)
    """
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise PackageMissing(f"--format onnx needs the package {package}: {to_install('onnx')}")
    program = traced(module, frames, batch_dim)
    first = "pixels" if frames.dtype == torch.uint8 else "frames"
    states = len(program.graph_signature.user_inputs) - 1
    with _without_noise():
        made = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=[first, *(f"v_{i}" for i in range(states))],
            output_names=["logits", *(f"next_v_{i}" for i in range(states))],
        )
    assert made is not None
    made.model.metadata_props.update(notes)
    with replacing(path) as temporary:
        made.save(temporary)
        if importlib.util.find_spec("onnxruntime") is None:
            return None
        result = compared(module, frames, temporary, batch_dim)
        if result.same < 0.75 * result.samples:
            wrong = f"{result.samples - result.same} of {result.samples}"
            raise ExportError(
                f"onnxruntime gives other logits than the network for {wrong} samples: nothing "
                "was written; export to torch instead, and please report it"
            )
    return result


def compared(
    module: Unrolled | Step, frames: Tensor, path: Path, batch_dim: int | None = None
) -> Comparison:
    """Both on the same frames; a `Step` from zeros and once more from where that ended."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    inputs = [frames]
    rounds = 1
    if isinstance(module, Step):
        inputs, rounds = [frames, *module.initial_states(frames)], 3
    gap = torch.zeros(frames.shape[frames.ndim - 4 if batch_dim is None else batch_dim])
    theirs = list(inputs)
    names = [item.name for item in session.get_inputs()]
    for _ in range(rounds):
        with torch.no_grad():
            result = module(*inputs)
        ours = [result] if isinstance(result, Tensor) else list(result)
        given = {name: x.numpy() for name, x in zip(names, theirs, strict=True)}
        out = [torch.from_numpy(values) for values in session.run(None, given)]
        difference = (ours[0] - out[0]).abs().amax(dim=-1)
        gap = torch.maximum(gap, difference if difference.ndim == 1 else difference.amax(0))
        inputs, theirs = [frames, *ours[1:]], [frames, *out[1:]]
    same = gap <= TOLERANCE
    return Comparison(int(same.sum()), len(gap), float(gap[same].max()) if same.any() else 0.0)


@contextmanager
def _without_noise() -> Iterator[None]:
    """Torch's exporter warns of its own use of torch, and that it does without torchvision."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning
            )
            yield
    finally:
        logger.setLevel(level)
