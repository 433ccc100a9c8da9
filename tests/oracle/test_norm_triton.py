"""Batch norm and LIF in one pass for GPUs, in Triton's interpreter, against the norm and then the
neurons in plain torch."""

from __future__ import annotations

import importlib
import itertools
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tempreg import IF, LIF
from tempreg.models import fused
from tempreg.ops import norm_lif
from tempreg.surrogate import SURROGATE_CODES
from tests.oracle.test_lif_triton import bytes_moved
from tests.oracle.test_norm_lif import NORMS, norm_of
from tests.oracle.triton_child import run_again

CASES = [
    dict(zip(("surrogate", "v_reset", "detach_reset"), case, strict=True))
    for case in itertools.product(SURROGATE_CODES, (0.0, -0.2, None), (False, True))
][::5]


def test_norm_and_lif_in_the_interpreter(tmp_path: Path) -> None:
    run_again(__file__, "interpreted", tmp_path)


@pytest.fixture(autouse=True)
def kernels(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType | None:
    """The module, in the place of the CPU's."""
    if importlib.util.find_spec("triton") is None:
        return None
    module = importlib.import_module("tempreg.ops.norm_triton")
    monkeypatch.setitem(norm_lif._PASSES, "cpu", module)
    return module


def drawn(size: tuple[int, ...], dtype: torch.dtype, last: bool, seed: int = 0) -> Tensor:
    """[S, B, C, H, W], about half of it above the mean, in memory as convolutions leave it."""
    draws = torch.Generator().manual_seed(seed)
    x = (3 * torch.randn(size, generator=draws, dtype=torch.float64) + 0.5).to(dtype)
    if last:
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, size[:2])
    return x


def both(
    x: Tensor, norm: nn.BatchNorm2d, neuron: nn.Module, steps: int, exact: bool = False
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Spikes, gradients and buffers of the one pass, and of the norm and then the neurons, the
    latter in float64 where `exact`; and how far h is from the threshold, at least, by neuron."""
    gain, found = getattr(norm, "gain", 1.0), []
    upstream = drawn((steps, *x.shape[1:]), x.dtype, False, seed=7)
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    for one in (True, False):
        norm.load_state_dict(state)
        layer = norm if one or not exact else norm.double()
        given = x if one else x.contiguous()  # torch's own has wrong gradients of one image, last
        leaf = (given if one or not exact else given.double()).detach().requires_grad_()
        if one:
            spikes = fused.normed_spikes(leaf, layer, gain, neuron, steps)
        else:
            current = layer(leaf.flatten(0, 1)).unflatten(0, leaf.shape[:2])
            current = current.expand(steps, *current.shape[1:])
            spikes = neuron(current)
        leaves = [leaf, *layer.parameters()]
        gradients = torch.autograd.grad(spikes, leaves, upstream.to(spikes.dtype))
        found.append([spikes.detach(), *gradients, *(b.clone() for b in layer.buffers())])
    return found[0], found[1], distance(current.detach(), neuron)


def distance(current: Tensor, neuron: Any) -> Tensor:
    """|h - v_threshold| of the plain neurons, the least over time up to each timestep."""
    v, least = torch.zeros_like(current[0]), []
    tau, (threshold, v_reset, *_) = float(neuron.current_tau()), neuron.spec
    for x in current:
        h = v / tau + x
        s = (h > threshold).to(h.dtype)
        v = h - s * threshold if v_reset is None else (1 - s) * h + s * v_reset
        least.append((h - threshold).abs())
    return torch.stack(least).cummin(0).values


def interpreted_interpreter_runs() -> None:
    from tempreg.ops.norm_triton_kernels import forward_kernel

    assert type(forward_kernel).__name__ == "InterpretedFunction"


SIZES = ((2, 3, 4, 5), (3, 1, 1, 1), (2, 33, 3, 2), (1, 2, 17, 16))


@pytest.mark.parametrize("kind", [kind for kind in NORMS if kind != "mean so far"])
@pytest.mark.parametrize("last", [False, True], ids=["planes", "last"])
def interpreted_equals_norm_then_neurons(kind: str, last: bool) -> None:
    """Spikes exactly in float64, where no potential is that near to the threshold."""
    for number, (size, training) in enumerate(itertools.product(SIZES, (True, False))):
        steps, static = (3, 10, 2, 1, 4)[number % 5], number in (1, 2)
        x = drawn((1 if static else steps, *size), torch.float64, last, seed=number)
        if x.numel() == x.shape[2]:
            continue
        norm = norm_of(kind, size[1], x.dtype, torch.Generator().manual_seed(1)).train(training)
        case = CASES[number % len(CASES)]
        neuron = (
            IF(backend="eager", **case) if number % 3 else LIF(tau=1.7, backend="eager", **case)
        )
        ours, theirs, near = both(x, norm, neuron, steps)
        assert near.min() > 1e-12
        assert torch.equal(ours[0], theirs[0])
        for mine, other in zip(ours[1:], theirs[1:], strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("last", [False, True], ids=["planes", "last"])
def interpreted_float32_differs_at_the_threshold_alone(last: bool) -> None:
    x = drawn((6, 2, 8, 15, 13), torch.float32, last)
    norm = norm_of("bn", 8, x.dtype, torch.Generator().manual_seed(2))
    ours, exact, near = both(x, norm, LIF(backend="eager"), 6, exact=True)
    wrong = ours[0] != exact[0]
    assert ours[0].sum() > 1000
    assert near[wrong].numel() <= 2
    assert (near[wrong] <= 1e-5).all()
    if not wrong.any():
        for mine, other in zip(ours[1:], exact[1:], strict=True):
            assert (mine - other).double().norm() <= 1e-5 * other.double().norm()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("last", [False, True], ids=["planes", "last"])
def interpreted_half_is_as_if_the_current_were_stored(last: bool, dtype: torch.dtype) -> None:
    """Parameters, statistics and potentials of float32; the current rounds to half precision."""
    x = drawn((4, 2, 6, 9, 8), dtype, last)
    norm = norm_of("bn", 6, torch.float32, torch.Generator().manual_seed(3))
    ours, theirs, near = both(x, norm, LIF(backend="eager"), 4)
    unit = torch.finfo(dtype).eps * 4  # of a current below 4
    wrong = ours[0] != theirs[0]
    assert ours[0].dtype == dtype
    assert (near[wrong] <= unit).all()
    assert wrong.float().mean() <= 0.01
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        assert mine.dtype == other.dtype
        assert (mine - other).double().norm() <= 0.05 * other.double().norm()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter computes with numpy
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def interpreted_nan_is_not_hidden(value: float) -> None:
    x = drawn((3, 2, 4, 3, 3), torch.float32, False)
    x[1, 0, 2, 1, 1] = value
    norm = norm_of("bn", 4, x.dtype, torch.Generator().manual_seed(1))
    ours, theirs, _ = both(x, norm, LIF(backend="eager"), 3)
    assert ours[0].isnan().any()
    assert torch.equal(ours[0].isnan(), theirs[0].isnan())
    others = [0, 1, 3]
    torch.testing.assert_close(ours[1][:, :, others], theirs[1][:, :, others])


def interpreted_statistics_lose_no_digits_far_from_zero(kernels: Any) -> None:
    for last in (False, True):
        x = drawn((3, 4, 2, 15, 17), torch.float32, last) / 3 + 4096.0
        spec = norm_lif.NormLIFSpec(3, 2.0, 1e-5, 1.0, LIF().spec)
        _, mean, var = kernels.forward(x, None, None, None, None, None, spec)
        exact = x.double().transpose(0, 2).flatten(1)
        torch.testing.assert_close(mean.double(), exact.mean(1), rtol=1e-7, atol=0)
        torch.testing.assert_close(var.double(), exact.var(1, unbiased=False), rtol=5e-6, atol=0)


@pytest.mark.parametrize("last", [False, True], ids=["planes", "last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def interpreted_traffic_and_what_is_kept(dtype: torch.dtype, last: bool) -> None:
    """x twice and spikes; then x and their gradient twice and that of x: 8 elements a step and
    neuron, and numbers of channels and parts, which neighbours in memory have more of. The norm and
    LIF, each by itself, move 13: x twice and a current, that and spikes; their gradient and it and
    one, which is read twice with x, and that of x. In between x alone is kept, and [C]."""
    x = drawn((10, 2, 32, 16, 16), dtype, last).requires_grad_()
    norm, kept = nn.BatchNorm2d(32), []
    with bytes_moved() as moved:
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            spikes = fused.normed_spikes(x, norm, 1.0, LIF(backend="eager"), 10)
        forward = sum(moved)
        torch.autograd.grad(spikes, [x, *norm.parameters()], torch.ones_like(spikes))
    print(last, dtype, forward / x.nbytes, sum(moved) / x.nbytes)
    more = (0.5 if last else 0.1) * 4 / x.element_size()
    assert 3 * x.nbytes <= forward <= (3 + more / 2) * x.nbytes
    assert 8 * x.nbytes <= sum(moved) <= (8 + more) * x.nbytes
    assert sum(t.nbytes for t in kept if t.shape != (32,)) == x.nbytes


def interpreted_a_trial_tells_whether_the_kernels_are_right(
    kernels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert norm_lif._same_spikes(kernels, "cpu")
    right = kernels.forward
    monkeypatch.setattr(kernels, "forward", lambda x, *rest: right(-x, *rest))
    assert not norm_lif._same_spikes(kernels, "cpu")
