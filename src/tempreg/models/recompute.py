"""Layers whose inner values are computed again in the backward pass, instead of being kept.

What is kept is what goes into each of them: spikes as bits, everything else as it is. The second
time nothing else happens than the first: the same draws, the same precision, statistics of the
same timesteps, and running statistics take in nothing. So gradients, and whatever a step leaves
behind, have the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tempreg.models.padding import mask_now, within
from tempreg.ops.layout import is_dense


@contextmanager
def statistics_kept(model: nn.Module) -> Iterator[None]:
    """Within it, what `model` keeps in buffers, as norms do running statistics, stays as it is."""
    kept = [
        (module._buffers, name, buffer)
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    for buffers, name, buffer in kept:
        buffers[name] = buffer.clone()
    try:
        yield
    finally:
        for buffers, name, buffer in kept:
            buffers[name] = buffer


@final
class _Again(AbstractContextManager[None]):
    """What holds while something is computed again; for as many times as it is."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.mask = model, mask_now()
        self.held = ExitStack()

    def __enter__(self) -> None:
        self.held.enter_context(statistics_kept(self.model))
        self.held.enter_context(nullcontext() if self.mask is None else within(self.mask))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.held.close()


def recomputed(model: nn.Module, run: Callable[..., Tensor], x: Tensor, *rest: Any) -> Tensor:
    """run(x, *rest), a part of `model`, of which only x is kept for the backward pass."""
    with torch.autograd.graph.saved_tensors_hooks(packed, unpacked):
        made: Tensor = checkpoint(
            run, x, *rest, use_reentrant=False, context_fn=partial(_contexts, model)
        )
    return made


def _contexts(model: nn.Module) -> tuple[AbstractContextManager[None], _Again]:
    return nullcontext(), _Again(model)


def if_wanted(model: nn.Module, run: Callable[..., Tensor], x: Tensor, *rest: Any) -> Tensor:
    """As `recomputed` where `model` recomputes and there will be a backward pass; else a call."""
    if getattr(model, "recomputes", False) and torch.is_grad_enabled():
        return recomputed(model, run, x, *rest)
    return run(x, *rest)


@final
class Row(nn.Sequential):
    """Modules one after the other, each recomputed where that was chosen; poolings, which keep
    nothing, with the one that follows."""

    recomputes: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """As `nn.Sequential`."""
        if not self.recomputes:
            return _in_turn(tuple(self), x)
        waiting: list[nn.Module] = []
        for module in self:
            waiting.append(module)
            if next(module.parameters(), None) is not None:
                x = if_wanted(self, partial(_in_turn, tuple(waiting)), x)
                waiting = []
        return _in_turn(tuple(waiting), x)


def _in_turn(modules: tuple[nn.Module, ...], x: Tensor) -> Tensor:
    for module in modules:
        x = module(x)
    return x


def choose_recompute(model: nn.Module, recompute: bool) -> None:
    """Whether the layers of a network by name are computed again in the backward pass.

    ValueError where they are to be, and `model` is none.
    """
    able: list[Any] = [module for module in model.modules() if hasattr(module, "recomputes")]
    if recompute and not able:
        raise ValueError(
            f"recompute layers is for networks by name, and {type(model).__name__} is none"
        )
    for module in able:
        module.recomputes = recompute


@final
class _Bits(NamedTuple):
    """Zeros and ones: eight a byte in the order of memory, and what a tensor of them is."""

    bits: Tensor
    shape: torch.Size
    strides: tuple[int, ...]
    dtype: torch.dtype


def packed(x: Tensor) -> Tensor | _Bits:
    """x itself, or, where it holds nothing but 0 and 1, eight values a byte."""
    ones = x == 1
    if not x.is_floating_point() or x.numel() < 8 or not bool((ones | (x == 0)).all()):
        return x
    if not is_dense(ones.shape, ones.stride()):
        ones = ones.contiguous()
    flat = ones.as_strided((ones.numel(),), (1,)).view(torch.uint8)
    columns = torch.nn.functional.pad(flat, (0, -flat.numel() % 8)).view(-1, 8)
    bits = torch.zeros(len(columns), dtype=torch.uint8, device=x.device)
    for place in range(8):
        bits |= columns[:, place] << place
    return _Bits(bits, x.shape, ones.stride(), x.dtype)


def unpacked(kept: Tensor | _Bits) -> Tensor:
    """What was `packed`, bit for bit but for the sign of a 0, and in the same order of memory."""
    if isinstance(kept, Tensor):
        return kept
    bits, shape, strides, dtype = kept
    places = torch.arange(8, dtype=torch.uint8, device=bits.device)
    columns = (bits[:, None] >> places) & 1
    return columns.flatten()[: shape.numel()].to(dtype).as_strided(shape, strides)
