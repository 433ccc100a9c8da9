"""Autograd functions called the quick way: the same numbers, and who looks on still sees all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import tempreg
from tempreg.ops import cbuild, lif_short
from tempreg.ops.ckernel import room_for
from tempreg.ops.dispatch import state_dtype

needs_compiler = pytest.mark.skipif(not cbuild.loads("lif"), reason="needs a C compiler")


class Seen(TorchDispatchMode):
    """Notes the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def passes(x: Tensor, state: Tensor | None) -> list[Tensor]:
    """Spikes, last state and gradients of a layer."""
    leaf = x.clone().requires_grad_()
    made = tempreg.LIF()(leaf) if state is None else tempreg.LIF()(leaf, state)
    outputs = [made] if isinstance(made, Tensor) else [*made]
    sum((o.float() * (1 + i)).square().sum() for i, o in enumerate(outputs)).backward()
    assert leaf.grad is not None
    return [*(o.detach() for o in outputs), leaf.grad]


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("stateful", [False, True])
def test_the_quick_way_gives_the_same_bits(dtype: torch.dtype, *, stateful: bool) -> None:
    x = torch.randn(5, 3, 40).to(dtype)
    state = torch.rand(3, 40, dtype=state_dtype(dtype)) if stateful else None
    quick = passes(x, state)
    with Seen() as seen:
        watched = passes(x, state)
    assert all(torch.equal(a, b) for a, b in zip(quick, watched, strict=True))
    for name in ("tempreg.lif_forward", "tempreg.lif_backward"):
        assert any(name in operator for operator in seen.names)


@needs_compiler
def test_without_gradients_it_gives_the_same_bits() -> None:
    x, lif = torch.randn(4, 2, 30), tempreg.LIF()
    with torch.no_grad():
        alone = lif(x)
    asked = lif(x.requires_grad_())
    assert torch.equal(alone, asked)
    assert not alone.requires_grad
    assert type(asked.grad_fn).__name__ == "_ShortLIFBackward"


KINDS: dict[str, dict[str, Any]] = {
    "default": {},
    "soft": {"v_reset": None, "surrogate": "atan", "surrogate_param": 2.0},
    "detached": {"v_reset": -0.2, "surrogate": "sigmoid", "detach_reset": True, "v_threshold": 0.7},
}


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 5, 9), (2, 40_000), (40_000, 2), (8, 16_384), (20, 1_500)]
)
def test_a_small_layer_goes_the_short_way_to_the_same_bits(
    shape: tuple[int, ...], dtype: torch.dtype, kind: str
) -> None:
    neuron = tempreg.LIF(backend="compiled", **KINDS[kind])
    x, upstream = torch.randn(2, *shape, dtype=dtype)
    short, general = (x.clone().requires_grad_() for _ in range(2))
    spikes = neuron(short)
    wanted, _ = neuron(general, neuron.initial_state(x))
    assert type(spikes.grad_fn).__name__ == "_ShortLIFBackward"
    assert torch.equal(spikes, wanted)
    for made in (spikes, wanted):
        made.backward(upstream)
    assert short.grad is not None
    assert torch.equal(short.grad, general.grad)


@needs_compiler
@pytest.mark.parametrize("threads", [2, 3, 16])
@pytest.mark.parametrize("shape", [(4, 3 * 8192 - 5), (15, 16_448), (16, 2 * 8192 + 1), (300, 131)])
def test_however_many_threads_share_it_the_bits_are_the_same(
    shape: tuple[int, int], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In blocks that threads get as many of, the short way and the general one."""
    x, upstream = torch.randn(2, *shape)

    def both() -> list[Tensor]:
        leaf = x.clone().requires_grad_()
        made = tempreg.LIF(backend="compiled", tau=3.0)(leaf)
        made.backward(upstream)
        assert leaf.grad is not None
        return [made.detach(), leaf.grad]

    before, alone = torch.get_num_threads(), both()
    torch.set_num_threads(threads)
    try:
        for most in (lif_short.MOST, 0):
            monkeypatch.setattr(lif_short, "MOST", most)
            assert all(torch.equal(a, b) for a, b in zip(both(), alone, strict=True))
    finally:
        torch.set_num_threads(before)


@needs_compiler
def test_the_short_way_back_is_mapped_and_refuses_a_second_derivative() -> None:
    x, upstream = torch.randn(3, 7, requires_grad=True), torch.randn(5, 3, 7)
    spikes = tempreg.LIF()(x)
    each = [torch.autograd.grad(spikes, x, u, retain_graph=True)[0] for u in upstream]
    (mapped,) = torch.autograd.grad(spikes, x, upstream, is_grads_batched=True, retain_graph=True)
    assert torch.equal(mapped, torch.stack(each))
    (first,) = torch.autograd.grad(spikes, x, upstream[0], create_graph=True)
    with pytest.raises(RuntimeError, match="can be differentiated once"):
        first.sum().backward()


@needs_compiler
@pytest.mark.parametrize("gradients", [True, False])
def test_what_outlived_a_transform_is_unwrapped(*, gradients: bool) -> None:
    kept: list[Tensor] = []

    def keeping(x: Tensor) -> Tensor:
        kept.append(x.clone())
        return x.sum()

    torch.func.grad(keeping)(torch.randn(4, 8))
    with torch.set_grad_enabled(gradients):
        spikes = tempreg.LIF()(kept[0])
    assert spikes.sum() == tempreg.LIF()(torch.tensor(kept[0].tolist())).sum()


@needs_compiler
def test_a_trace_holds_the_layer_and_not_its_answer() -> None:
    lif, (first, second) = tempreg.LIF(), torch.randn(2, 4, 2, 30)
    program = torch.export.export(torch.nn.Sequential(lif), (first,)).module()
    assert torch.equal(program(second), lif(second))
    traced = torch.fx.experimental.proxy_tensor.make_fx(lif, tracing_mode="real")(first)
    assert torch.equal(traced(second), lif(second))


@needs_compiler
def test_another_default_device_changes_nothing() -> None:
    """Kernels write where tensors of the input's device are, and not into those of another."""
    x = torch.randn(4, 3, 50, dtype=torch.float64)
    wanted = passes(x, None)
    with torch.device("meta"):
        found = passes(x, None)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_room_is_lent_again_and_grows() -> None:
    x = torch.empty(4, 100)
    first, block = room_for(x, 4, 100, 1, 4096)
    assert len(first) >= 4 * block
    assert room_for(x, 4, 100, 1, 4096)[0].data_ptr() == first.data_ptr()
    assert len(room_for(x, 400, 5000, 1, 4096)[0]) > len(first) or len(first) >= 400 * 16
    assert room_for(x.double(), 4, 100, 1, 4096)[0].dtype == torch.float64
