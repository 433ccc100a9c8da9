"""A finished run's network in a file of another tool's format."""

from __future__ import annotations

from pathlib import Path

from tempreg.data import DataSet
from tempreg.errors import RequestError
from tempreg.export.nir import write_nir
from tempreg.export.onnx import TOLERANCE, write_onnx
from tempreg.export.program import Step, Unrolled, frames_like, traced, write_program
from tempreg.models import SpikingNetwork
from tempreg.prediction import stored_network
from tempreg.training.run_directory import RunDirectory

SUFFIXES = {"nir": ".nir", "onnx": ".onnx", "torch": ".pt2"}
"""Of the file, by format."""


def export_run(path: Path, kind: str, out: Path | None, *, stateful: bool = False) -> list[str]:
    """Write the network of the run in `path`; returns what to tell about it, a sentence each.

    Args:
        path: a finished run's folder; the data isn't needed.
        kind: "nir", "onnx" or "torch".
        out: the file; model.nir, model.onnx or model.pt2 in the run's folder where None.
        stateful: for onnx and torch: one timestep, potentials in and out, rather than all.

    Raises:
        RunDirectoryError, CheckpointError: the run can't be used.
        RequestError: the request can't be met; PackageMissing, ExportError among them.
    """
    if stateful and kind == "nir":
        raise RequestError("--stateful is for onnx and torch: the neurons of NIR keep their state")
    config, data, network = stored_network(path)
    network.float().eval()
    file = out if out is not None else path / f"model{SUFFIXES[kind]}"
    if not file.parent.is_dir() or file.is_dir():
        raise RequestError(f"--out {file}: give a file's name in a folder that exists")
    run = RunDirectory(path)
    said = [f"weights: {run.weights}{_epoch(run)}"]
    if kind == "nir":
        write_nir(network, file, input_size=data.input_size)
        said.append("NIR: dt 0.001 s a timestep, batch norm folded; readers: docs/export.md")
    else:
        said += _traced(network, data, kind, file, stateful)
    return [*said, f"{file}: {config.model.name}, {len(data.classes)} classes"]


def _traced(
    network: SpikingNetwork, data: DataSet, kind: str, file: Path, stateful: bool
) -> list[str]:
    events = data.reading is None or data.reading.kind == "events"
    module = Step(network) if stateful else Unrolled(network)
    frames = frames_like(network, data.input_size, events=events, stateful=stateful)
    layout = "frames [T, batch, C, H, W]" if frames.ndim == 5 else "frames [batch, C, H, W]"
    steps = "one timestep, potentials in and out" if stateful else f"{network.num_steps} timesteps"
    said = [f"input: {layout}, {steps}; {[*frames.shape[-3:]]} each"]
    if kind == "torch":
        write_program(traced(module, frames), file)
        return said
    notes = {"source": "tempreg", "input": said[0], "classes": "\n".join(data.classes)}
    result = write_onnx(module, frames, file, notes)
    if result is None:
        return [*said, "not compared: onnxruntime is not installed"]
    return [
        *said,
        f"onnxruntime: logits within {TOLERANCE:g} for {result.same} of {result.samples} samples "
        f"(largest difference {result.largest:.1e})",
    ]


def _epoch(run: RunDirectory) -> str:
    epoch = run.read_json(run.summary).get("kept_epoch") if run.summary.is_file() else None
    return "" if epoch is None else f", after epoch {epoch}"
