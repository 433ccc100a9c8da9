"""Files of any module that holds our neurons, without a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from tempreg.export.nir_file import write_nir
from tempreg.export.onnx_file import Comparison, write_onnx
from tempreg.export.program import Unrolled, traced, write_program


def onnx(
    model: nn.Module,
    example: Tensor,
    path: str | Path,
    *,
    batch_dim: int = 1,
    notes: Mapping[str, str] | None = None,
) -> Comparison | None:
    """Write a network of your own as an ONNX file, and compare it by onnxruntime.

    Its neurons (`tempreg.LIF` and the others, wherever they are in it) become plain operations. The
    file has the input `frames` and the output `logits`, for batches of any size.

    Args:
        model: takes a tensor and gives [T, B, C]; a copy in evaluation mode on the CPU is written.
        example: what it takes, of at least two samples, such as [T, B, C, H, W].
        path: the file to replace.
        batch_dim: which dimension of `example` is the batch: 1, or 0 for [B, ...].
        notes: text to keep in the file's metadata, such as how inputs are scaled and the classes.

    Returns:
        How onnxruntime's logits differ; None where it isn't installed.

    Raises:
        PackageMissing: onnx or onnxscript isn't installed.
        ExportError: onnxruntime gives other logits; nothing is written.
    """
    module = Unrolled(model)
    return write_onnx(module, example.cpu(), Path(path), notes or {}, batch_dim)


def torch(
    model: nn.Module,
    example: Tensor,
    path: str | Path,
    *,
    batch_dim: int = 1,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a network of your own as a program that `torch.export.load` reads without tempreg.

    Args:
        model, example, path, batch_dim: see `onnx`.
        notes: kept as JSON, under `tempreg.json` of `extra_files`.
    """
    write_program(traced(Unrolled(model), example.cpu(), batch_dim), Path(path), notes)


def nir(
    model: nn.Module,
    path: str | Path,
    *,
    input_shape: tuple[int, ...],
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a network as a NIR graph: one of `tempreg.models`, or any whose layers are known.

    Args:
        model: takes [T, B, *input_shape] and gives [T, B, C], by torch's Conv2d, Linear,
            BatchNorm1d, BatchNorm2d, AvgPool2d, MaxPool2d of spikes, Flatten, Dropout, means over
            height and width, sums, and tempreg's LIF, IF, PLIF, CubaLIF and ThresholdLIF, which are
            given whole sequences.
        path: the file to replace.
        input_shape: of one sample at one timestep; of a `SpikingNetwork` [C, H, W].
        notes: text to keep in the graph's metadata.

    Raises:
        PackageMissing: the package nir isn't installed.
        ExportError: something else, which is named; a soft reset, a CubaLIF without decay, and
            neurons of other equations are things that NIR can't say.
    """
    from tempreg.models.base import SpikingNetwork

    size = input_shape[-2:] if isinstance(model, SpikingNetwork) else input_shape
    write_nir(model, Path(path), input_size=size, notes=notes)
