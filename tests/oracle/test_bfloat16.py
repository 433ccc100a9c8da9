"""LIF, and batch norm and LIF in one pass, in bfloat16 and in both orders of memory.

Spikes are held to those of the equations on the same inputs, gradients to theirs, rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, final

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tempreg import IF, LIF
from tempreg.models import fused
from tempreg.ops import lif_c
from tempreg.ops.dispatch import lif
from tempreg.ops.layout import same_order
from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import DERIVATIVES
from tests.conftest import needs_compiler
from tests.oracle.test_norm_lif import NORMS, norm_of, passes

pytestmark = needs_compiler
HALF = torch.bfloat16
ROUNDED = 2.0**-8
"""How far the nearest bfloat16 is from a number, relative to it, at most."""
SPECS = st.builds(
    LIFSpec,
    v_threshold=st.floats(0.2, 1.5),
    v_reset=st.sampled_from([0.0, -0.3, 0.1, None]),
    surrogate=st.sampled_from(list(DERIVATIVES)),
    surrogate_param=st.floats(0.5, 4.0),
    detach_reset=st.booleans(),
)
LAYOUTS = ["contiguous", "last", "last, expanded", "last, every second", "turned"]
SHAPES = st.sampled_from([(1, 1, 1, 3), (2, 3, 4, 5), (3, 5, 1, 1), (2, 70, 3, 2), (2, 2, 37, 41)])


@pytest.fixture(autouse=True)
def poisoned_memory() -> Iterator[None]:
    """Fresh memory holds NaN, so that reading what nobody wrote shows."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def last(x: Tensor) -> Tensor:
    """[T, B, C, H, W] with C last in memory."""
    return x.movedim(2, -1).contiguous().movedim(-1, 2)


def laid(x: Tensor, layout: str) -> Tensor:
    """The same numbers, but where `expanded` repeats the first timestep."""
    if layout == "last":
        return last(x)
    if layout == "last, expanded":
        return last(x[:1]).expand(x.shape)
    if layout == "last, every second":
        return last(x.repeat_interleave(2, 0))[::2]
    return x.transpose(2, 4).contiguous().transpose(2, 4) if layout == "turned" else x


@final
class Made(NamedTuple):
    """What a layer gives for random upstream gradients; `rest` are those of v0 and tau."""

    spikes: Tensor
    v: Tensor
    gx: Tensor
    rest: tuple[Tensor, ...]


def run(x: Tensor, v0: Tensor, tau: float, spec: LIFSpec, backend: str, all_of: bool) -> Made:
    """Upstream gradients are bfloat16s, in whatever dtype."""
    leaf, v0 = x.detach().requires_grad_(), v0.clone().requires_grad_(all_of)
    decay = torch.tensor(tau, dtype=v0.dtype, requires_grad=all_of)
    spikes, v = lif(leaf, v0, decay, spec, backend)
    draws = torch.Generator().manual_seed(1)
    gs, gv = (torch.randn(t.shape, generator=draws).to(HALF).to(t.dtype) for t in (spikes, v))
    leaves = [leaf, v0, decay] if all_of else [leaf]
    gx, *rest = torch.autograd.grad([spikes, v], leaves, [gs, gv])
    return Made(spikes.detach(), v.detach(), gx, tuple(rest))


@given(
    spec=SPECS,
    shape=SHAPES,
    steps=st.integers(1, 17),
    layout=st.sampled_from(LAYOUTS),
    tau=st.sampled_from([1.0, 2.0, 2.7, 4.0]),
    all_of=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_lif(
    spec: LIFSpec, shape: tuple[int, ...], steps: int, layout: str, tau: float, all_of: bool,
    seed: int,
) -> None:  # fmt: skip
    """Bit for bit what float32 gives, rounded; spikes and states are the equations' own."""
    draws = torch.Generator().manual_seed(seed)
    x = laid((1.5 * torch.randn(steps, *shape, generator=draws)).to(HALF), layout)
    v0 = 0.5 * torch.randn(shape, generator=draws)
    half = run(x, v0, tau, spec, "compiled", all_of)
    full = run(x.float(), v0, tau, spec, "compiled", all_of)
    exact = run(x.float(), v0, tau, spec, "reference", all_of)
    assert (half.spikes.dtype, half.v.dtype, half.gx.dtype) == (HALF, torch.float32, HALF)
    for other in (full, exact):
        assert torch.equal(half.spikes.float(), other.spikes)
        assert torch.equal(half.v, other.v)
    assert torch.equal(half.gx, full.gx.to(HALF))
    size = float(exact.gx.abs().max())
    torch.testing.assert_close(half.gx.float(), exact.gx, rtol=ROUNDED, atol=1e-5 * size + 1e-30)
    for ours, theirs in zip(half.rest, full.rest, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)  # summed in another order
    dense = layout != "contiguous"
    for made in (half.spikes, half.gx) if dense else ():
        assert same_order(made[0], x.shape[1:], x.stride()[1:])


def test_a_pass_through_time_goes_on_where_it_stopped() -> None:
    """The state that one call gives is taken by the next, in its own order of memory or another."""
    x = last(torch.randn(6, 2, 5, 4, 3).to(HALF))
    whole, end = lif(x, None, 2.0, LIFSpec(), "compiled")
    first, state = lif(x[:2], None, 2.0, LIFSpec(), "compiled")
    assert same_order(state, x.shape[1:], x.stride()[1:])
    for given_state in (state, state.contiguous()):
        second, after = lif(x[2:], given_state, 2.0, LIFSpec(), "compiled")
        assert torch.equal(torch.cat([first, second]), whole)
        assert torch.equal(after, end)


def test_nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of inputs and gradients with channels last, in any dtype."""

    def refused(*_: object, **__: object) -> None:
        pytest.fail("a copy was made")

    for dtype in (HALF, torch.float32, torch.float64):
        x = last(torch.randn(3, 2, 4, 5, 3).to(dtype))
        with monkeypatch.context() as patch:
            for name in ("contiguous", "copy_", "clone", "float"):
                patch.setattr(torch.Tensor, name, refused)
            spikes, _ = lif_c.forward(x, None, 2.0, LIFSpec())
            (gx,) = lif_c.backward(spikes, None, x, None, 2.0, LIFSpec(), False)
        assert gx.dtype == dtype


def charged(x: Tensor, spikes: Tensor, tau: float | None, spec: LIFSpec) -> Tensor:
    """The potentials of currents x in float64, each after the spikes that were given."""
    v, found = torch.zeros_like(x[0]), []
    for current, s in zip(x, spikes.double(), strict=True):
        h = (v if tau is None else v / tau) + current
        found.append(h)
        v = (
            h - s * spec.v_threshold
            if spec.v_reset is None
            else torch.where(s > 0, spec.v_reset, h)
        )
    return torch.stack(found)


def normed(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    with torch.no_grad():
        return norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])


@given(
    kind=st.sampled_from(list(NORMS)),
    spec=SPECS,
    shape=SHAPES,
    steps=st.integers(1, 7),
    static=st.booleans(),
    training=st.booleans(),
    channels_last=st.booleans(),
    tau=st.sampled_from([None, 1.0, 2.0, 2.7]),
    offset=st.sampled_from([0.0, 0.0, 30.0]),
    seed=st.integers(0, 10**6),
)
def test_norm_and_lif(
    kind: str, spec: LIFSpec, shape: tuple[int, ...], steps: int, static: bool, training: bool,
    channels_last: bool, tau: float | None, offset: float, seed: int,
) -> None:  # fmt: skip
    """Against float64: spikes but within float32's rounding of the threshold, gradients rounded
    once where all spikes are the same, statistics to float32's rounding."""
    draws = torch.Generator().manual_seed(seed)
    size = (1 if static else steps, *shape)
    x = (3 * torch.randn(size, generator=draws) + offset).to(HALF)
    x = last(x) if channels_last else x
    norm = norm_of(kind, shape[1], torch.float32, draws).train(training)
    neuron = IF(**spec._asdict()) if tau is None else LIF(tau=tau, **spec._asdict())
    upstream = torch.randn((steps, *shape), generator=draws).to(HALF)
    spikes, gradients, buffers = passes(x, norm, neuron, steps, upstream, True)
    assert spikes.dtype == HALF
    assert gradients[0].dtype == HALF
    if channels_last:
        assert all(same_order(m[0], x.shape[1:], x.stride()[1:]) for m in (spikes, gradients[0]))
    exact = passes(x.double(), norm.double(), neuron, steps, upstream.double(), False)
    for ours, theirs in zip(buffers, exact[2], strict=True):
        torch.testing.assert_close(ours.double(), theirs.double(), rtol=1e-5, atol=1e-5)
    current = normed(x.double(), norm).expand(steps, *shape)
    h = charged(current, spikes, tau, spec)
    near = (h - spec.v_threshold).abs() <= 1e-5 * (1 + current.abs().amax() * steps + abs(offset))
    assert torch.equal((h > spec.v_threshold)[~near], (spikes > 0)[~near])
    if torch.equal(spikes.double(), exact[0]) and spec.surrogate != "rectangle":
        for place, (ours, theirs) in enumerate(zip(gradients, exact[1], strict=True)):
            most = float(theirs.abs().max()) + 1e-3
            error = (ours.double() - theirs).abs()
            assert (error <= (ROUNDED * theirs.abs() if place == 0 else 0) + 2e-4 * most).all()


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_gradients_of_the_norm_are_rounded_once(channels_last: bool, training: bool) -> None:
    """They are float32's, rounded, but for the few that lie halfway between two bfloat16s."""
    draws = torch.Generator().manual_seed(3)
    x = (torch.randn(4, 3, 6, 19, 23, generator=draws) * 2 + 1).to(HALF)
    x = last(x) if channels_last else x
    norm = norm_of("bn", 6, torch.float32, draws).train(training)
    upstream = torch.randn(x.shape, generator=draws).to(HALF)
    half = passes(x, norm, LIF(v_threshold=0.8), 4, upstream, True)
    full = passes(x.float(), norm, LIF(v_threshold=0.8), 4, upstream.float(), True)
    assert torch.equal(half[0].float(), full[0])
    assert half[0].sum() > 1000
    assert (half[1][0] != full[1][0].to(HALF)).float().mean() <= 1e-3
    for ours, theirs in zip(half[1][1:] + half[2], full[1][1:] + full[2], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["bn", "tdbn"])
@pytest.mark.parametrize("static", [False, True])
def test_the_order_of_memory_changes_rounding_alone(
    dtype: torch.dtype, kind: str, static: bool
) -> None:
    draws = torch.Generator().manual_seed(5)
    x = torch.randn(1 if static else 3, 2, 70, 13, 11, generator=draws, dtype=dtype) * 2 + 1
    norm = norm_of(kind, 70, dtype, draws)
    upstream = torch.randn(3, *x.shape[1:], generator=draws, dtype=dtype)
    one, two = (passes(each, norm, LIF(), 3, upstream, True) for each in (x, last(x)))
    assert torch.equal(one[0], two[0])
    assert same_order(two[0][0], x.shape[1:], last(x).stride()[1:])
    close = {torch.float32: 1e-4, torch.float64: 1e-10}[dtype]
    for a, b in zip(one[1] + one[2], two[1] + two[2], strict=True):
        torch.testing.assert_close(a, b, rtol=close, atol=close)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_again(channels_last: bool, threads: int) -> None:
    draws, before = torch.Generator().manual_seed(4), torch.get_num_threads()
    x = torch.randn(4, 3, 5, 40, 37, generator=draws).to(HALF)
    x, norm = last(x) if channels_last else x, norm_of("bn", 5, torch.float32, draws)
    upstream = torch.randn(x.shape, generator=draws).to(HALF)
    alone = passes(x, norm, LIF(), 4, upstream, True)
    try:
        torch.set_num_threads(threads)
        first, again = (passes(x, norm, LIF(), 4, upstream, True) for _ in range(2))
    finally:
        torch.set_num_threads(before)
    for a, b in zip(
        [first[0], *first[1], *first[2]], [again[0], *again[1], *again[2]], strict=True
    ):
        assert torch.equal(a, b)
    assert torch.equal(first[0], alone[0])  # nor do statistics depend on the threads


def test_numbers_at_the_ends() -> None:
    """Subnormal, huge and non-finite ones, as float32 has them, rounded."""
    tiny, huge = torch.finfo(HALF).smallest_normal, torch.finfo(HALF).max
    values = [0.0, -0.0, tiny / 64, -tiny / 2, huge, -huge, math.inf, -math.inf, math.nan, 1.0]
    x = torch.tensor(values).to(HALF).expand(3, len(values))
    for spec in (LIFSpec(), LIFSpec(v_reset=None, surrogate="atan")):
        results = []
        for each in (x, x.float()):
            leaf = each.clone().requires_grad_()
            spikes, v = lif(leaf, None, 2.0, spec, "compiled")
            (gx,) = torch.autograd.grad(spikes, leaf, torch.full_like(spikes, 2.0**-130))
            results.append([spikes.to(HALF), v, gx.to(HALF)])
        for ours, theirs in zip(*results, strict=True):
            assert torch.equal(ours.isnan(), theirs.isnan())
            assert torch.equal(ours.nan_to_num(7.0), theirs.nan_to_num(7.0))


def test_taken_in_bfloat16_and_not_in_float16() -> None:
    norm, x = nn.BatchNorm2d(3), torch.randn(2, 2, 3, 4, 4)
    assert fused.applies(x.to(HALF), norm, LIF(), 2)
    assert not fused.applies(x.half(), norm, LIF(), 2)
    assert not fused.applies(x.to(HALF), norm.to(HALF), LIF(), 2)
