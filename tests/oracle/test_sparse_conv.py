"""Convolutions that walk non-zeros against torch's, in float64: results and every gradient."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from tempreg.ops import cbuild, sparse_conv
from tempreg.ops.ckernel import kernel
from tempreg.ops.sparse_conv import Pair, Passes, density, sparse_conv2d
from tests.conftest import needs_compiler

pytestmark = needs_compiler
TAPS = st.integers(1, 7)
SMALL = st.integers(1, 4)


def inputs(shape: tuple[int, ...], share: float, values: str, generator: torch.Generator) -> Tensor:
    """Of which about that share isn't zero."""
    x = (torch.rand(shape, generator=generator) < share).float()
    if values == "counts":
        x *= torch.randint(1, 5, shape, generator=generator) / 4
    elif values == "any":
        x *= torch.randn(shape, generator=generator)
    return x


def derived(x: Tensor, weight: Tensor, bias: Tensor | None, how: tuple[Pair, Pair]) -> list[Tensor]:
    """Result and gradients, by lists for float32 and by torch for float64."""
    given = [t.detach().requires_grad_() for t in (x, weight, bias) if t is not None]
    convolve = sparse_conv2d if x.dtype == torch.float32 else F.conv2d
    out = convolve(given[0], given[1], given[2] if bias is not None else None, *how)
    upstream = torch.arange(out.numel()).reshape(out.shape).mul(0.7).cos().to(x.dtype)
    return [out.detach(), *torch.autograd.grad(out, given, upstream)]


@given(
    images=st.integers(1, 9),
    channels=st.tuples(st.integers(1, 5), st.sampled_from([1, 2, 5, 16, 31, 33, 70])),
    size=st.tuples(st.integers(1, 13), st.integers(1, 13)),
    taps=st.tuples(TAPS, TAPS),
    stride=st.tuples(SMALL, SMALL),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    share=st.sampled_from([0.0, 0.05, 0.2, 0.5, 1.0]),
    values=st.sampled_from(["spikes", "counts", "any"]),
    biased=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_equals_torch_to_summation_order(
    images: int,
    channels: tuple[int, int],
    size: tuple[int, int],
    taps: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    share: float,
    values: str,
    biased: bool,
    seed: int,
) -> None:
    taps = min(taps[0], size[0] + 2 * padding[0]), min(taps[1], size[1] + 2 * padding[1])
    draws = torch.Generator().manual_seed(seed)
    x = inputs((images, channels[0], *size), share, values, draws)
    weight = torch.randn(channels[1], channels[0], *taps, generator=draws)
    bias = torch.randn(channels[1], generator=draws) if biased else None
    ours = derived(x, weight, bias, (stride, padding))
    wide = None if bias is None else bias.double()
    wanted = derived(x.double(), weight.double(), wide, (stride, padding))
    for mine, theirs in zip(ours, wanted, strict=True):
        scale = 1e-5 * (1.0 + float(theirs.abs().max()))
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=scale)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(3, 64, 40), (6, 5, 5)])
def test_strips_groups_and_threads_change_no_bit(size: tuple[int, int, int], stride: int) -> None:
    images, height, width = size
    draws = torch.Generator().manual_seed(1)
    x = inputs((images * 8, 24, height, width), 0.15, "counts", draws)
    weight = torch.randn(80, 24, 3, 3, generator=draws)
    how = ((stride, stride), (1, 1))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(derived(x, weight, None, how))
    finally:
        torch.set_num_threads(before)
    for others in found[1:]:
        assert torch.equal(others[0], found[0][0])
        assert torch.equal(others[2], found[0][2])
    wanted = derived(x.double(), weight.double(), None, how)
    for mine, theirs in zip(found[0], wanted, strict=True):
        scale = 1e-5 * float(theirs.abs().max())
        torch.testing.assert_close(mine.double(), theirs, rtol=0, atol=scale)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names features of x86 processors")
@pytest.mark.parametrize("without", ["-mno-avx512f", "-mno-avx"])
def test_older_processors_give_the_same_to_summation_order(
    without: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = torch.Generator().manual_seed(1)
    x = inputs((3, 20, 9, 13), 0.2, "counts", draws)
    weight = torch.randn(45, 20, 3, 3, generator=draws)
    found = []
    for flag in ("", without):
        monkeypatch.setenv("CC", f"{os.environ.get('CC', 'cc')} {flag}")
        monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path))
        forget()
        for stride in (1, 2):
            found.append(derived(x, weight, None, ((stride, stride), (1, 1))))
        monkeypatch.undo()
    forget()
    assert len(list(tmp_path.glob("kernels/*.so"))) == 2
    for ours, others in zip(found[:2], found[2:], strict=True):
        for mine, theirs in zip(ours, others, strict=True):
            scale = 1e-5 * float(theirs.abs().max())
            torch.testing.assert_close(mine, theirs, rtol=0, atol=scale)


def forget() -> None:
    """Kernels are loaded once more, and shapes planned for them."""
    for function in (cbuild.load, cbuild._compiler_version, kernel, sparse_conv._plan):
        function.cache_clear()


def test_other_layouts_and_what_is_no_number() -> None:
    x = inputs((4, 6, 9, 9), 0.2, "spikes", torch.Generator().manual_seed(0))
    weight = torch.randn(5, 6, 3, 3)
    how = ((1, 1), (1, 1))
    expected = sparse_conv2d(x, weight, None, *how)
    last = x.contiguous(memory_format=torch.channels_last)
    other = weight.contiguous(memory_format=torch.channels_last)
    assert torch.equal(sparse_conv2d(last, other, None, *how), expected)
    x[1, 2, 3, 4], x[2, 0, 0, 0] = torch.nan, torch.inf
    found, wanted = sparse_conv2d(x, weight, None, *how), F.conv2d(x, weight, None, *how)
    assert found.isnan().any()
    torch.testing.assert_close(found, wanted, equal_nan=True, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("passes", [Passes(True, False), Passes(False, True), Passes(False, False)])
def test_passes_are_chosen_one_by_one(passes: Passes) -> None:
    x = inputs((3, 4, 8, 8), 0.3, "spikes", torch.Generator().manual_seed(0))
    weight = torch.randn(7, 4, 3, 3, requires_grad=True)
    how = ((1, 1), (1, 1))
    out = sparse_conv2d(x, weight, None, *how, passes)
    (gradient,) = torch.autograd.grad(out.square().sum(), weight)
    dense = F.conv2d(x, weight, None, *how)
    (wanted,) = torch.autograd.grad(dense.square().sum(), weight)
    assert torch.equal(out, dense) or passes.result
    torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-4)


def test_second_derivatives_are_torchs() -> None:
    x = inputs((2, 3, 6, 6), 0.3, "any", torch.Generator().manual_seed(0)).requires_grad_()
    weight = torch.randn(4, 3, 3, 3, requires_grad=True)
    seconds = []
    for convolve in (sparse_conv2d, F.conv2d):
        out = convolve(x, weight, None, (1, 1), (1, 1)).pow(3).sum()
        first = torch.autograd.grad(out, (x, weight), create_graph=True)
        seconds.append(torch.autograd.grad(sum(g.square().sum() for g in first), (x, weight)))
    for mine, theirs in zip(*seconds, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


def test_a_density_is_that_of_all_inputs_nearly() -> None:
    x = inputs((40, 24, 16, 16), 0.1, "counts", torch.Generator().manual_seed(0))
    assert abs(density(x) - float(x.count_nonzero()) / x.numel()) < 0.01
    assert density(torch.zeros(1, 1, 2, 2)) == 0.0
    assert density(torch.ones(1, 1, 2, 2)) == 1.0
