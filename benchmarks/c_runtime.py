"""The exported C beside the network in float64: answers on all test recordings, then time, in turn.

    python benchmarks/c_runtime.py RUN [--rounds 15]

RUN is a finished run. Prints, and appends to benchmarks/results/c_runtime.csv, the least and the
median time of all timesteps of one recording: C in float32 and in int8, PyTorch one timestep at a
time and all at once, onnxruntime one timestep at a time. One thread each.
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
from pathlib import Path

import numpy as np
import torch

from tempreg.bench.inference import Stepwise
from tempreg.runs import load_run
from tempreg.runs.export import export_run

RESULTS = Path(__file__).parent / "results" / "c_runtime.csv"
FLAGS = ["-std=gnu99", "-O3", "-march=native", "-fno-math-errno", "-fPIC", "-shared"]
FLOATS = ctypes.POINTER(ctypes.c_float)


class Compiled:
    """An exported network: logits [T, classes] of frames [T, C, H, W]."""

    def __init__(self, run: Path, folder: Path, *, int8: bool) -> None:
        export_run(run, "c", folder / "model.c", int8=int8)
        library = folder / "model.so"
        compiler = os.environ.get("CC", "cc")
        subprocess.run(
            [compiler, *FLAGS, str(folder / "model.c"), "-o", str(library), "-lm"], check=True
        )
        self.functions = ctypes.CDLL(str(library))
        self.functions.net_state_size.restype = ctypes.c_size_t
        self.state = (ctypes.c_double * (self.functions.net_state_size() // 8 + 1))()

    def __call__(self, frames: np.ndarray, classes: int) -> np.ndarray:
        logits = np.empty((len(frames), classes), np.float32)
        self.functions.net_reset(self.state)
        for frame, out in zip(frames, logits, strict=True):
            status = self.functions.net_step(
                self.state, frame.ctypes.data_as(FLOATS), out.ctypes.data_as(FLOATS)
            )
            if status != 0:
                raise SystemExit("net_step refused a frame")
        return logits


def onnx_stepping(run: Path, folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """onnxruntime with the potentials going in and out."""
    import onnxruntime

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    words = parser.parse_args()
    torch.set_num_threads(1)
    _, data, network, _ = load_run(words.run)
    x, y = data.test.batch(torch.arange(len(data.test)))
    frames = np.ascontiguousarray(x.transpose(0, 1).numpy())
    classes = len(data.classes)
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = Path(name)
        (folder / "int8").mkdir()
        float32 = Compiled(words.run, folder, int8=False)
        int8 = Compiled(words.run, folder / "int8", int8=True)
        own = network(x).transpose(0, 1).numpy()
        truth = network.double()(x.double()).transpose(0, 1).numpy()
        network.float()
        for label, compiled in (("float32", float32), ("int8", int8)):
            got = np.stack([compiled(f, classes) for f in frames])
            same = (got.mean(1).argmax(1) == truth.mean(1).argmax(1)).mean()
            right = (got.mean(1).argmax(1) == y.numpy()).mean()
            apart = np.abs(got - truth).max(axis=(1, 2))
            print(
                f"C {label}: same class on {same:.4%} of {len(frames)}, accuracy {right:.2%}, "
                f"logits within 1e-4 for {(apart < 1e-4).sum()}, at most {apart.max():.2g} apart"
            )
        near = (np.abs(own - truth).max(axis=(1, 2)) < 1e-4).sum()
        right = (own.mean(1).argmax(1) == y.numpy()).mean()
        print(f"PyTorch float32: accuracy {right:.2%}, logits within 1e-4 for {near}")
        onnx = onnx_stepping(words.run, folder)
        stepwise = Stepwise(load_run(words.run)[2])
        ways = {
            "C float32": lambda i: float32(frames[i], classes),
            "C int8": lambda i: int8(frames[i], classes),
            "onnxruntime stepping": lambda i: onnx(frames[i]),
            "PyTorch stepping": lambda i: stepwise.logits(x[:, i : i + 1]),
            "PyTorch at once": lambda i: network(x[:, i : i + 1]),
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        assert np.abs(onnx(frames[0]) - truth[0]).max() < 1e-3
        for i in range(words.rounds):
            for name, way in ways.items():
                way(i)
                start = time.perf_counter()
                for j in range(4):
                    way((i + j) % len(frames))
                spent[name].append((time.perf_counter() - start) / 4)
    first = statistics.median(spent["C float32"])
    fresh = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(["run", "what", "least_ms", "median_ms"])
        for name, times in spent.items():
            row = [name, f"{1e3 * min(times):.3f}", f"{1e3 * statistics.median(times):.3f}"]
            ratio = statistics.median(times) / first
            print(f"{row[0]:22} least {row[1]} ms, median {row[2]} ms, {ratio:.2f} x C float32")
            writer.writerow([words.run.name, *row])


if __name__ == "__main__":
    main()
