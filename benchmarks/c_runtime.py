"""The exported C beside the network in float64: answers on all test recordings, then time, in turn.

    python -m benchmarks.c_runtime RUN [--only checks|times] [--recordings 300] [--rounds 15]

RUN is a finished run. Prints, and appends to benchmarks/results/c_checks.csv, how far classes,
logits and spikes are equal (see `c_spikes`); and to benchmarks/results/c_runtime.csv the least and
the median time of all timesteps of one recording: C in float32 and in int8, PyTorch one timestep at
a time and all at once, onnxruntime one timestep at a time. One thread each, in its processor time,
which others on the machine move less than the clock's. With `--folder` the
compiled networks are kept there, and used again.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.c_spikes import Differences, Reader, count, potentials, with_spikes_copied
from torch import Tensor

from tempreg.bench.inference import Stepwise
from tempreg.data import DataSet
from tempreg.export.errors import ExportError
from tempreg.runs import load_run
from tempreg.runs.export import export_run

RESULTS = Path(__file__).parent / "results"
CHECKS = (
    "run", "number", "recordings", "timesteps", "same_class", "right", "right_in_pytorch",
    "logits_within_1e-4", "pytorch_within_1e-4", "largest_apart", "spikes", "spikes_that_differ",
    "recordings_with_any", "first_that_differ", "furthest_from_threshold",
    "in_roundings_of_float32",
)  # fmt: skip
AT_ONCE = 4
FLAGS = ["-std=gnu99", "-O3", "-march=native", "-fno-math-errno", "-fPIC", "-shared"]
FLOATS = ctypes.POINTER(ctypes.c_float)


class Compiled:
    """An exported network: logits [T, classes] of frames [T, C, H, W]."""

    def __init__(self, run: Path, folder: Path, *, int8: bool) -> None:
        folder = folder / ("int8" if int8 else "float32")
        library = folder / "model.so"
        if not library.exists():
            folder.mkdir(parents=True, exist_ok=True)
            export_run(run, "c", folder / "model.c", int8=int8)
            spied = with_spikes_copied((folder / "model.c").read_text())
            (folder / "spied.c").write_text(spied)
            compiler = os.environ.get("CC", "cc")
            for name in ("spied", "model"):
                words = [str(folder / f"{name}.c"), "-o", str(folder / f"{name}.so"), "-lm"]
                subprocess.run([compiler, *FLAGS, *words], check=True)
        self.folder = folder
        self.open("model")

    def open(self, name: str) -> None:
        """Use the network as it is, or "spied"."""
        self.functions = ctypes.CDLL(str(self.folder / f"{name}.so"))
        self.functions.net_state_size.restype = ctypes.c_size_t
        self.state = (ctypes.c_double * (self.functions.net_state_size() // 8 + 1))()

    def __call__(
        self, frames: np.ndarray, classes: int, each: Callable[[], object] = lambda: None
    ) -> np.ndarray:
        logits = np.empty((len(frames), classes), np.float32)
        self.functions.net_reset(self.state)
        for frame, out in zip(frames, logits, strict=True):
            status = self.functions.net_step(
                self.state, frame.ctypes.data_as(FLOATS), out.ctypes.data_as(FLOATS)
            )
            if status != 0:
                raise SystemExit("net_step refused a frame")
            each()
        return logits


def onnx_stepping(run: Path, folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """onnxruntime with the potentials going in and out."""
    import onnxruntime

    if not (folder / "step.onnx").exists():
        export_run(run, "onnx", folder / "step.onnx", stateful=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "step.onnx"), options)
    names = [item.name for item in session.get_inputs()]
    _, _, network, _ = load_run(run)
    shapes: list[tuple[int, ...]] = []
    hooks = [
        m.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
        for m in network.modules()
        if hasattr(m, "current_tau")
    ]
    size = (network.in_channels, *load_run(run)[1].input_size)
    with torch.no_grad():
        network(torch.zeros(1, 1, *size))
    for hook in hooks:
        hook.remove()

    def step_all(frames: np.ndarray) -> np.ndarray:
        states = [np.zeros(shape, np.float32) for shape in shapes]
        logits = []
        for frame in frames:
            out, *states = session.run(None, dict(zip(names, [frame[None], *states], strict=True)))
            logits.append(out[0])
        return np.stack(logits)

    return step_all


def _appended(name: str, columns: tuple[str, ...], rows: list[list[Any]]) -> None:
    file = RESULTS / name
    fresh = not file.exists()
    with file.open("a", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerows([columns, *rows] if fresh else rows)


def samples(data: DataSet, steps: int, count: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """The first test samples: x [T, N, C, H, W] as the network takes them and labels [N]; and as C
    does, [N, T, C, H, W] of events counted or of pixels 0 ... 255."""
    x, y = data.test.batch(torch.arange(count))
    if x.ndim == 5:
        return x, y, np.ascontiguousarray(x.transpose(0, 1).numpy())
    assert data.reading is not None
    scale, offset = (
        torch.as_tensor(each, dtype=torch.float64).reshape(-1, 1, 1)
        for each in (data.reading.scale, data.reading.offset)
    )
    pixels = ((x.double() - offset) / scale).round()
    assert pixels.min() >= 0
    assert pixels.max() <= 255
    frames = pixels.float().unsqueeze(1).expand(-1, steps, -1, -1, -1)
    return x.expand(steps, *x.shape), y, np.ascontiguousarray(frames.numpy())


@torch.no_grad()
def check(run: Path, folder: Path, recordings: int) -> None:
    """C in float32 beside the network in float64, on some test recordings; in int8 beside PyTorch's
    float32, on all."""
    _, data, network, _ = load_run(run)
    x, y, frames = samples(data, network.num_steps, len(data.test))
    parts = x.split(AT_ONCE, dim=1)
    own = torch.cat([network(part) for part in parts], dim=1).transpose(0, 1).numpy()
    try:
        int8 = Compiled(run, folder, int8=True)
    except ExportError as error:  # of images whose scaling moves zero
        print(error)
    else:
        got = np.stack([int8(each, len(data.classes)) for each in frames])
        _told(run, "int8", (got, own, own), y.numpy(), None)
    compiled = Compiled(run, folder, int8=False)
    compiled.open("spied")
    network.double()
    reader = Reader(compiled.functions, compiled.state, network, data.input_size)
    neurons, differences = [place[0] for place in reader.places], Differences()
    got, truth = np.empty(own[:recordings].shape, np.float32), np.empty(own[:recordings].shape)
    for rows in np.split(np.arange(len(got)), range(AT_ONCE, len(got), AT_ONCE)):
        logits, margins = potentials(network, neurons, x[:, rows].double())
        truth[rows] = logits.transpose(0, 1).numpy()
        for place, row in enumerate(rows):
            stepped: list[list[np.ndarray]] = []
            note = partial(_note, reader, stepped)
            got[row] = compiled(frames[row], len(data.classes), note)
            count(differences, stepped, [m[:, place].numpy() for m in margins])
    of = own[: len(got)]
    _told(run, "float32", (got, truth, of), y.numpy()[: len(got)], differences)


def _note(reader: Reader, stepped: list[list[np.ndarray]]) -> None:
    stepped.append(reader.layers())


def _told(
    run: Path,
    label: str,
    logits: tuple[np.ndarray, ...],
    y: np.ndarray,
    spikes: Differences | None,
) -> None:
    """Print a row and append it; logits [N, T, classes] of C, what it is held against, PyTorch."""
    got, truth, own = logits
    answers = [each.mean(1).argmax(1) for each in logits]
    apart = [np.abs(each - truth).max(axis=(1, 2)) for each in (got, own)]
    values: list[Any] = [
        run.name, label, len(y), got.shape[1], (answers[0] == answers[1]).mean(),
        (answers[0] == y).mean(), (answers[2] == y).mean(), (apart[0] < 1e-4).sum(),
        (apart[1] < 1e-4).sum(), f"{apart[0].max():.3g}",
    ]  # fmt: skip
    if spikes is not None:
        values += [spikes.spikes, spikes.differ, spikes.recordings, spikes.first]
        values += [f"{spikes.furthest:.3g}", f"{spikes.rounding:.3g}"]
    else:
        values += [""] * 6
    for name, value in zip(CHECKS, values, strict=True):
        print(f"{name:26} {value}")
    _appended("c_checks.csv", CHECKS, [values])


def measure(run: Path, folder: Path, rounds: int) -> None:
    """The ways in turn, on four recordings a round."""
    _, data, network, _ = load_run(run)
    x, _, frames = samples(data, network.num_steps, 8)
    classes = len(data.classes)
    float32, int8 = (Compiled(run, folder, int8=i) for i in (False, True))
    onnx, stepwise = onnx_stepping(run, folder), Stepwise(load_run(run)[2])
    ways: dict[str, Callable[[int], Any]] = {
        "C float32": lambda i: float32(frames[i], classes),
        "C int8": lambda i: int8(frames[i], classes),
        "onnxruntime stepping": lambda i: onnx(frames[i]),
        "PyTorch stepping": lambda i: stepwise.logits(x[:, i : i + 1]),
        "PyTorch at once": lambda i: network(x[:, i : i + 1]),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    with torch.inference_mode():
        truth = network(x[:, :1])[:, 0].numpy()
        assert np.abs(onnx(frames[0]) - truth).max() < 1e-3
        assert np.abs(float32(frames[0], classes) - truth).max() < 1e-3
        for i in range(rounds):
            for name, way in ways.items():
                way(i % 8)
                start = time.thread_time()
                for j in range(4):
                    way((i + j) % 8)
                spent[name].append((time.thread_time() - start) / 4)
    first = statistics.median(spent["C float32"])
    rows = []
    for name, times in spent.items():
        row = [name, f"{1e3 * min(times):.3f}", f"{1e3 * statistics.median(times):.3f}"]
        ratio = statistics.median(times) / first
        print(f"{row[0]:22} least {row[1]} ms, median {row[2]} ms, {ratio:.2f} x C float32")
        rows.append([run.name, *row])
    _appended("c_runtime.csv", ("run", "what", "least_ms", "median_ms"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--only", choices=("checks", "times"))
    parser.add_argument("--recordings", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = words.folder or Path(name)
        if words.only != "times":
            check(words.run, folder, words.recordings)
        if words.only != "checks":
            measure(words.run, folder, words.rounds)


if __name__ == "__main__":
    main()
