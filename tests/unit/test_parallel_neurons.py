"""Parallel spiking neurons: what a spike may see, pieces, analyses, runs, and what is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tempreg
from tempreg import analysis
from tempreg.analysis.factors import lagged_factors
from tempreg.errors import RequestError
from tempreg.export.program import Step, Unrolled, frames_like, traced
from tempreg.foreign import constant_parameters, is_spiking, sees_later

pytestmark = pytest.mark.usefixtures("without_pictures")

Tempreg = Callable[..., subprocess.CompletedProcess[str]]
STEPS = 5
KINDS: dict[str, Callable[..., Any]] = {
    "psn": lambda **rest: tempreg.PSN(STEPS, **rest),
    "masked_psn": lambda **rest: tempreg.MaskedPSN(STEPS, order=3, **rest),
    "sliding_psn": lambda **rest: tempreg.SlidingPSN(order=3, **rest),
}
PAST = ["masked_psn", "sliding_psn"]


def neuron(kind: str, **rest: Any) -> Any:
    torch.manual_seed(0)
    return KINDS[kind](v_threshold=0.2, **rest).double()


def given(*shape: int) -> Tensor:
    return 3 * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def network(kind: str, **options: Any) -> tempreg.SpikingNetwork:
    torch.manual_seed(3)
    sizes = {"num_classes": 3, "in_channels": 2, "num_steps": STEPS, "input_size": 8}
    constants: dict[str, Any] = {"v_threshold": 0.2, "norm": "none", **options}
    return tempreg.create_model("csnn", channels=(4, 6), neuron=kind, **sizes, **constants).double()


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("shape", [(1,), (3, 7), (3, 2, 5, 1)])
def test_what_a_spike_may_see(kind: str, shape: tuple[int, ...]) -> None:
    """Gradients by input: of a PSN from all timesteps, else from its own and the two before."""
    layer, x = neuron(kind, surrogate="atan"), given(STEPS, *shape).requires_grad_()
    seen = np.zeros((STEPS, STEPS), dtype=bool)
    for t in range(STEPS):
        (gradient,) = torch.autograd.grad(layer(x)[t].sum(), x)
        seen[t] = (gradient != 0).flatten(1).any(1).numpy()
    lags = np.subtract.outer(range(STEPS), range(STEPS))
    expected = np.ones_like(seen) if kind == "psn" else (lags >= 0) & (lags < 3)
    assert (seen == expected).all()


@pytest.mark.parametrize("kind", list(KINDS))
def test_networks_causality_and_independence_of_samples(kind: str) -> None:
    model = network(kind).eval()
    x = given(STEPS, 4, 2, 8, 8)
    with torch.no_grad():
        base = model(x)
        later, other = x.clone(), x.clone()
        later[3:] *= -1
        other[:, 2] *= -1
        moved = (model(later) != base).flatten(1).any(1)
        assert moved.tolist() == [kind == "psn"] * 3 + [True] * 2
        moved = (model(other) != base).any(2).any(0)
        assert moved.tolist() == [False, False, True, False]
    found = tempreg.audit(model.float(), x.float())
    assert found.checks["causality"].passed == (kind != "psn")
    if kind == "psn":
        assert found.checks["causality"].layer == "stem_neuron"
    assert all(check.passed for name, check in found.checks.items() if name != "causality")


@pytest.mark.parametrize("kind", PAST)
@pytest.mark.parametrize("steps", [1, 4, 9])
def test_step_by_step_is_the_whole(kind: str, steps: int) -> None:
    """Beyond the T of a masked one, too, where the last timestep's weights go on."""
    layer, x = neuron(kind), given(steps, 3, 31)
    state, made = layer.initial_state(x), []
    for each in x.split(1):
        spikes, state = layer(each, state)
        made.append(spikes)
    assert torch.equal(torch.cat(made), layer(x))
    assert len(state) == len(layer.states) == 2 + 2  # the potential, the count, two inputs
    if kind == "masked_psn" and steps > STEPS:
        w, b = layer.mixing[-1], layer.offset[-1]
        h = w[-1] * x[-1] + w[-2] * x[-2] + w[-3] * x[-3] + b
        assert torch.equal(made[-1][0], (h > 0.2).double())


@pytest.mark.parametrize("kind", list(KINDS))
def test_constants_foreign_and_half_precision(kind: str) -> None:
    layer = KINDS[kind]()
    assert is_spiking(layer)
    assert constant_parameters(layer) == {id(p) for p in layer.parameters()}
    assert sees_later(nn.Sequential(nn.ReLU(), layer)) == ("1" if kind == "psn" else None)
    x = 3 * torch.randn(STEPS, 40)
    half = layer(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.equal(half.float(), layer(x.bfloat16().float()))  # sums are in float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), layer(x.clone()))
        mixed = layer(x)
    assert torch.equal(mixed, layer(x))


@pytest.mark.parametrize("kind", list(KINDS))
def test_analyses_know_them(kind: str) -> None:
    model = network(kind, surrogate="atan")
    x, y = given(STEPS, 6, 2, 8, 8), torch.arange(6) % 3
    gradients = analysis.temporal_gradients(model, x, y, tempreg.StepLoss())
    assert gradients.layers == ["stem_neuron", "body.1.neuron"]
    backwards = np.triu(gradients.matrix[-1], 1) if gradients.matrix.ndim == 3 else None
    assert backwards is not None
    spikes = analysis.spikes(model, x)
    assert spikes.rate.min() > 0
    found = analysis.fisher_information(model, x, y, estimator="exact")
    losses = [tempreg.RateLoss() for _ in range(STEPS)]
    by_hand = np.zeros(STEPS)
    for n in range(6):
        for t, loss in enumerate(losses):
            model.zero_grad()
            loss(model(x[:, n : n + 1])[: t + 1], y[n : n + 1]).backward()
            by_hand[t] += sum(
                float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None
            )
    np.testing.assert_allclose(found.per_step, by_hand / 6, rtol=1e-6)


def test_no_potential_is_handed_on() -> None:
    for kind in PAST:
        layer = neuron(kind).requires_grad_(False)
        assert all(not factor.any() for factor in lagged_factors(layer, given(4, 7)))


@pytest.mark.filterwarnings("default:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("kind", ["psn", "masked_psn"])
def test_curvature(kind: str) -> None:
    pytest.importorskip("curvlinops")
    x, y = given(STEPS, 3, 2, 8, 8), torch.arange(3)
    model = network(kind, surrogate="atan")
    found = analysis.surrogate_curvature(model, x, y, probes=2)
    assert np.isfinite(found.trace).all()
    assert "spike" not in vars(model.stem_neuron)


@pytest.mark.parametrize("kind", list(KINDS))
def test_programs(kind: str) -> None:
    model = network(kind).float().eval()
    frames = frames_like(model, (8, 8), events=True, stateful=False)
    with torch.no_grad():
        expected = model(frames)
        torch.testing.assert_close(traced(Unrolled(model), frames).module()(frames), expected)
        if kind == "psn":
            return
        step = Step(model)
        program, states = traced(step, frames[0]).module(), step.initial_states(frames[0])
        for t, frame in enumerate(frames):
            logits, *states = program(frame, *states)
            torch.testing.assert_close(logits, expected[t])


def test_streams_step_those_that_see_the_past() -> None:
    x = given(STEPS + 2, 3, 2, 8, 8)
    for kind in PAST:
        model = network(kind).eval()
        stream = tempreg.Stream(model)
        with torch.no_grad():
            whole = model(x)
            for t in range(2):
                torch.testing.assert_close(stream.step(x[t]).logits, whole[t])
            stream.reset([1])  # the second sample begins anew, two timesteps behind the others
            for t in range(2, STEPS + 2):
                shown = x[t].index_copy(0, torch.tensor([1]), x[t - 2, 1:2])
                logits = stream.step(shown).logits
                torch.testing.assert_close(logits[::2], whole[t, ::2])
                torch.testing.assert_close(logits[1], whole[t - 2, 1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "psn", "order": 2}, "a constant of the neuron masked_psn and sliding_psn, and"),
        ({"kind": "sliding_psn", "order": 0}, "order must be >= 1, at most 10000, got 0"),
        ({"kind": "psn", "tau": 1.5}, "neither leaks nor is reset, so it has no tau: leave it at"),
        ({"kind": "masked_psn", "v_reset": None}, "so it has no v_reset: leave it at 0.0"),
        ({"kind": "psn", "detach_reset": True}, "so it has no detach_reset: leave it at False"),
        ({"kind": "psn", "backend": "eager"}, "the neuron psn has the backends auto and reference"),
    ],
)
def test_settings_that_they_do_not_have(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        network(**options)


def test_what_a_psn_refuses() -> None:
    model = network("psn").eval()
    with pytest.raises(RequestError, match="weights from each of 5 timesteps to each, and got 4"):
        model(given(4, 3, 2, 8, 8))
    with pytest.raises(RequestError, match=r"stem_neuron has psn neurons.*can't step it"):
        tempreg.Stream(model)
    with pytest.raises(TypeError, match="floating"):
        tempreg.PSN(2)(torch.ones(2, 3).long())
    with pytest.raises(ValueError, match="num_steps must be >= 1, got 0"):
        tempreg.MaskedPSN(0)
    model.padded = True
    with pytest.raises(ValueError, match="what is padded move the timesteps before it"):
        model(given(STEPS, 3, 2, 8, 8))


SMALL = [
    *("--data.train-size", "40", "--data.size", "8", "--augment.shift", "0", "--epochs", "1"),
    *("--model.channels", "[4]", "--num-steps", "3", "--model.v-threshold", "0.2"),
]


UNEQUAL = ("--data.unequal", "true", "--data.frames", "duration", "--data.frame-ms", "100")


def test_runs_of_a_psn_say_that_they_have_no_early_answers(
    tempreg_here: Tempreg, tmp_path: Path
) -> None:
    words = ["train", "nmnist-trt", "--model.neuron", "psn", *SMALL, "--out", "run"]
    done = tempreg_here(*words)
    assert done.returncode == 0, done.stderr
    said = "psn neurons see later timesteps"
    assert said in done.stdout
    assert said in tempreg_here("evaluate", "run").stdout
    tempreg_here("report", "run")
    assert said in (tmp_path / "run" / "report.html").read_text()
    recording = tmp_path / "one.csv"
    recording.write_text("t,x,y,p\n0,1,2,1\n900,3,2,0\n")
    done = tempreg_here("predict", "run", str(recording))
    assert done.returncode == 0
    assert "only what stands after the last is an answer" in done.stderr
    done = tempreg_here("analyze", "run", "anytime", "--samples", "4")
    assert done.returncode == 0, done.stderr
    assert "running at another T: left out" in done.stderr
    for words, told in (
        (["calibrate", "run", "--risk", "0.1"], "can't answer early: stem_neuron has psn neurons"),
        (["predict", "run", "--until", "0.9", str(recording)], "a stream can't step it"),
        (["evaluate", "run", "--num-steps", "4"], "from each of 3 timesteps to each, and got 4"),
        (["export", "run", "--format", "torch", "--stateful"], "export all timesteps"),
        (["export", "run", "--format", "c"], "PSN: export to onnx or torch"),
        (["train", "nmnist-trt", "--model.neuron", "psn", *UNEQUAL, *SMALL, "--out", "other"],
         "what is padded"),
    ):  # fmt: skip
        done = tempreg_here(*words)
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "other").exists()
    assert not (tmp_path / "run" / "calibration.json").exists()


@pytest.mark.parametrize("settings", [["--model.norm", "tebn"], ["--model.neuron", "masked_psn"]])
def test_what_counts_timesteps_runs_at_another_number_of_them(
    settings: list[str], tempreg_here: Tempreg
) -> None:
    done = tempreg_here("train", "nmnist-trt", *settings, *SMALL, "--out", "run")
    assert done.returncode == 0, done.stderr
    done = tempreg_here("evaluate", "run", "--num-steps", "4")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()[0].split()) == 1 + 4
