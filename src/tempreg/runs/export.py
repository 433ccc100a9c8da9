"""A finished run's network in a file of another tool's format."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from tempreg.data import DataSet
from tempreg.errors import RequestError
from tempreg.export.formats import FORMATS, HUB
from tempreg.export.request import Request
from tempreg.runs.build import build_options
from tempreg.runs.calibrate import calibration_of
from tempreg.runs.hub import write_hub
from tempreg.runs.own.trust import Trust
from tempreg.runs.read import stored_network
from tempreg.training.run_directory import RunDirectory


def export_run(
    path: Path,
    kind: str,
    out: Path | None,
    *,
    stateful: bool = False,
    trust_code: bool | Trust = False,
    prefix: str | None = None,
    int8: bool = False,
    raw: bool = False,
) -> list[str]:
    """Write the network of the run in `path`; returns what to tell about it, a sentence each.

    Args:
        path: a finished run's folder; the data isn't needed.
        kind: a key of `FORMATS`, "c", "nir", "onnx" or "torch"; or "hub", see `hub.write_hub`.
        out: the file; `model` with the format's suffix in the run's folder where None.
        stateful: for onnx and torch: one timestep, potentials in and out, rather than all.
        trust_code: whether code that the run names may be imported, see `load_run`.
        prefix: for c: what names begin with; None: net.
        int8: for c: whole numbers in place of float32.
        raw: of images, the input is what the network takes, standardised; else pixels 0 to 255.

    Raises:
        RunDirectoryError, CheckpointError: the run can't be used.
        RequestError: the request can't be met; PackageMissing, ExportError among them.
    """
    _check(kind, stateful=stateful, prefix=prefix, int8=int8, raw=raw)
    if kind == HUB:
        return write_hub(path, out)
    network: Any
    config, data, network = stored_network(path, trust_code=trust_code)
    network.float().eval()
    file = _file(path, kind, out, data)
    run, reading = RunDirectory(path), data.reading
    request = Request(
        network,
        file,
        data.input_size,
        reading is None or reading.kind == "events",
        data.classes,
        stateful,
        scale=1.0 if reading is None else reading.scale,
        offset=0.0 if reading is None else reading.offset,
        **(_exit(path, config.num_steps) if kind == "c" else {}),
        prefix=prefix or "net",
        int8=int8,
        reading=reading,
        options=build_options(config),
        raw=raw,
        numbers=bool(data.numbers),
    )
    said = importlib.import_module(f"tempreg.export.{FORMATS[kind].module}").write(request)
    return [
        f"weights: {run.weights}{_epoch(run)}",
        *said,
        f"{file}: {config.model.name}, {len(data.classes)} "
        + ("numbers" if data.numbers else "classes"),
    ]


def _file(path: Path, kind: str, out: Path | None, data: DataSet) -> Path:
    """Where the network goes; RequestError where it can't, or not in this format."""
    if data.numbers and kind == "c":
        raise RequestError(
            f"--format c answers with a class, and the run in {path} with numbers: take onnx, "
            "torch or nir"
        )
    file = out if out is not None else path / f"model{FORMATS[kind].suffix}"
    if not file.parent.is_dir() or file.is_dir():
        raise RequestError(f"--out {file}: give a file's name in a folder that exists")
    return file


def _check(kind: str, *, stateful: bool, prefix: str | None, int8: bool, raw: bool) -> None:
    """RequestError for a format that there is none of, or that can't hold what is asked for."""
    if kind not in (*FORMATS, HUB):
        raise RequestError(f"unknown format {kind!r}: choose of {', '.join((*FORMATS, HUB))}")
    if kind == HUB:
        if stateful or prefix is not None or int8 or raw:
            raise RequestError(f"--format {HUB} copies the run's network as it is: no option fits")
        return
    if stateful and not FORMATS[kind].stateful:
        able = " and ".join(name for name, each in FORMATS.items() if each.stateful)
        raise RequestError(f"--stateful is for {able}: {kind} can't hold a single timestep")
    if prefix is not None and kind != "c":
        raise RequestError(f"--prefix is for c: {kind} has no names in C")
    if int8 and not FORMATS[kind].int8:
        raise RequestError(f"--int8 is for c: {kind} holds float32")
    if raw and not FORMATS[kind].raw:
        able = ", ".join(name for name, each in FORMATS.items() if each.raw)
        raise RequestError(f"--raw is for {able}: {kind} takes pixels as they are")


def _epoch(run: RunDirectory) -> str:
    epoch = run.read_json(run.summary).get("kept_epoch") if run.summary.is_file() else None
    return "" if epoch is None else f", after epoch {epoch}"


def _exit(path: Path, steps: int) -> dict[str, list[float]]:
    """Thresholds and temperatures of the run's calibration.json, if it has one."""
    found = calibration_of(path)
    if found is None:
        return {}
    if found.score != "confidence" or len(found.temperatures) != steps:
        raise RequestError(
            f"calibration.json in {path} is of the {found.score} after {len(found.temperatures)} "
            f"timesteps; C takes the confidence after {steps}: calibrate again"
        )
    return {"thresholds": [found.threshold] * steps, "temperatures": found.temperatures}
