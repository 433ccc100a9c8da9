"""What the exported C costs as spikes get more: a curve, its exponent, and where a dense run wins.

    python -m benchmarks.c_density [--rounds 15]

A csnn of random weights, on frames of 34 x 34 in which a share d of the entries is 1; the threshold
of each layer is set so that its neurons spike as often. Density is the share of the network's
multiplications whose input isn't zero, over all layers: what a run that skips zeros has to do. The
times of four timesteps of one sample are taken in turn, C at each density and two dense runs, whose
time the density doesn't change: onnxruntime and PyTorch, one timestep at a time. One thread each,
in its processor time, which others on the machine move less than the clock's.
Fitted is time = a + b density^k (least squares of logarithms); dense runs win above the density
where the curve, drawn straight between its points in logarithms, reaches their times. Results are
compared before times. Prints, and writes benchmarks/results/c_density.csv.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import curve_fit
from torch import Tensor, nn

from tempreg import create_model
from tempreg.bench.inference import Stepwise
from tempreg.export.c.library import Library
from tempreg.export.onnx_file import write
from tempreg.export.request import Request
from tempreg.models import SpikingNetwork
from tempreg.neurons import LIF

RESULTS = Path(__file__).parent / "results" / "c_density.csv"
SHARES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
STEPS, SIZE = 4, (34, 34)
Way = Callable[[], Any]


def fresh() -> SpikingNetwork:
    """The network before its thresholds are set: the same weights each time."""
    torch.manual_seed(0)
    model = create_model("csnn", num_classes=10, in_channels=2, num_steps=STEPS, input_size=SIZE)
    return model.eval()


def potentials(current: Tensor, tau: float, threshold: float) -> Tensor:
    """h of LIF neurons with this current [T, ...] and a reset to 0, before their spikes."""
    v, found = torch.zeros_like(current[0]), []
    for x in current:
        found.append(v / tau + x)
        v = torch.where(found[-1] > threshold, 0.0, found[-1])
    return torch.stack(found)


def threshold_for(share: float, current: Tensor, tau: float) -> float:
    """With which so many spike, and as far as can be from every potential: rounding moves none."""
    low, high = -100.0, 100.0
    for _ in range(30):
        middle = (low + high) / 2
        fires = float((potentials(current, tau, middle) > middle).double().mean())
        low, high = (middle, high) if fires > share else (low, middle)
    values = potentials(current, tau, high).flatten().double().sort().values
    place = int(torch.searchsorted(values, high))
    near = values[max(0, place - 100) : place + 100]
    widest = int(near.diff().argmax())
    return float(near[widest] + near[widest + 1]) / 2


@torch.no_grad()
def with_density(share: float) -> tuple[SpikingNetwork, Tensor, float]:
    """A network whose layers spike as often, its frames [T, 1, C, H, W], and the density."""
    model, draws = fresh(), torch.Generator().manual_seed(1)
    x = (torch.rand(STEPS, 1, 2, *SIZE, generator=draws) < share).float()
    for neuron in [m for m in model.modules() if isinstance(m, LIF)]:
        seen: list[Tensor] = []
        hook = neuron.register_forward_pre_hook(lambda m, args, seen=seen: seen.append(args[0]))
        model(x)
        hook.remove()
        threshold = threshold_for(share, seen[0], float(neuron.current_tau()))
        neuron.spec = neuron.spec._replace(v_threshold=threshold)
    return model, x, density(model, x)


def density(model: SpikingNetwork, x: Tensor) -> float:
    """The share of multiplications whose input isn't zero."""
    done = total = 0.0
    hooks = []

    def look(layer: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal done, total
        given = args[0]
        weights = layer.weight.numel()  # type: ignore[union-attr]
        places = out.numel() / out.shape[-1] if isinstance(layer, nn.Linear) else (
            out.numel() / layer.out_channels  # type: ignore[operator]
        )  # fmt: skip
        total += places * weights
        done += places * weights * float((given != 0).double().mean())

    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            hooks.append(layer.register_forward_hook(look))
    model(x)
    for hook in hooks:
        hook.remove()
    return done / total


def stepped_c(library: Library, x: Tensor) -> Tensor:
    """Logits [T, classes] of frames [T, 1, C, H, W]."""
    state = library.state()
    return torch.stack([library.step(state, frame[0]) for frame in x])


def stepped_onnx(model: SpikingNetwork, x: Tensor, file: Path) -> Callable[[], np.ndarray]:
    """The same by onnxruntime, the potentials going in and out."""
    import onnxruntime

    classes = tuple(map(str, range(10)))
    write(Request(model, file, SIZE, True, classes, stateful=True))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options)
    names = [item.name for item in session.get_inputs()]
    shapes = [m.shape[1:] for m in _currents(model, x)]
    frames = x.numpy()

    def run() -> np.ndarray:
        states = [np.zeros((1, *shape[1:]), np.float32) for shape in shapes]
        logits = []
        for frame in frames:
            out, *states = session.run(None, dict(zip(names, [frame, *states], strict=True)))
            logits.append(out[0])
        return np.stack(logits)

    return run


def _currents(model: SpikingNetwork, x: Tensor) -> list[Tensor]:
    seen: list[Tensor] = []
    hooks = [
        m.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        for m in model.modules()
        if isinstance(m, LIF)
    ]
    model(x)
    for hook in hooks:
        hook.remove()
    return seen


def alternated(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each way in each round, each the mean of some calls."""
    calls = {}
    for name, way in ways.items():
        way()
        start = time.thread_time()
        way()
        calls[name] = max(1, round(0.01 / (time.thread_time() - start)))
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.thread_time()
            for _ in range(calls[name]):
                way()
            spent[name].append((time.thread_time() - start) / calls[name])
    return spent


def fitted(densities: list[float], seconds: list[float]) -> tuple[float, float]:
    """k of a + b density^k, and its standard error."""
    d, t = np.array(densities), np.array(seconds)

    def curve(d: np.ndarray, a: float, b: float, k: float) -> np.ndarray:
        return np.log(np.exp(a) + np.exp(b) * d**k)

    first = (np.log(t[0] / 2), np.log(t[-1] / d[-1]), 1.0)
    found, spread = curve_fit(curve, d, np.log(t), p0=first, maxfev=20_000)
    return float(found[2]), float(np.sqrt(spread[2, 2]))


def break_even(densities: list[float], seconds: list[float], dense: float) -> float:
    """The density at which C takes as long as a dense run; infinity where it never does."""
    if max(seconds) < dense:
        return float("inf")
    rising = np.maximum.accumulate(seconds)
    return float(np.exp(np.interp(np.log(dense), np.log(rising), np.log(densities))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    words = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        ways, densities = {}, []
        for share in SHARES:
            model, x, found = with_density(share)
            library, truth = Library(model, SIZE), model(x)[:, 0]
            apart = float((stepped_c(library, x) - truth).abs().max() / truth.abs().max())
            if apart > 1e-4:
                raise SystemExit(f"at a density of {found:.4f} C's logits are {apart:.2g} apart")
            densities.append(found)
            ways[f"C {share:g}"] = lambda library=library, x=x: stepped_c(library, x)
        onnx = stepped_onnx(model, x, Path(folder) / "step.onnx")
        if np.abs(onnx() - truth.numpy()).max() > 1e-3 * float(truth.abs().max()):
            raise SystemExit("onnxruntime's logits are others")
        ways["onnxruntime"] = onnx
        stepwise = Stepwise(model)
        ways["PyTorch"] = lambda: stepwise.logits(x)
        spent = alternated(ways, words.rounds)
    middle = {name: statistics.median(times) for name, times in spent.items()}
    _tell(densities, spent, middle)


def _tell(densities: list[float], spent: dict[str, list[float]], middle: dict[str, float]) -> None:
    curve = [middle[f"C {share:g}"] for share in SHARES]
    rows = [["what", "density", "median_ms", "least_ms", "of_onnxruntime"]]
    for (name, times), found in zip(spent.items(), [*densities, "", ""], strict=True):
        shown = f"{found:.5f}" if found else ""
        ms = [f"{1e3 * statistics.median(times):.4f}", f"{1e3 * min(times):.4f}"]
        rows.append([name, shown, *ms, f"{middle[name] / middle['onnxruntime']:.4f}"])
    exponent, error = fitted(densities, curve)
    rows.append(["exponent", "", f"{exponent:.4f}", f"{error:.4f}", ""])
    for name in ("onnxruntime", "PyTorch"):
        rows.append([f"break-even with {name}", f"{break_even(densities, curve, middle[name]):.4f}",
                     "", "", ""])  # fmt: skip
    for row in rows:
        print(f"{row[0]:28} {row[1]:>9} {row[2]:>10} {row[3]:>10} {row[4]:>8}")
    with RESULTS.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
