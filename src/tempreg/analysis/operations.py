"""Synaptic operations: what a weight layer's inputs set in motion, counted from the inputs.

Each input that isn't 0 costs one operation for every output that it reaches: all of a linear
layer's, and those of a convolution's windows that it lies in, so less at a border and at a
stride. Zero weights count as any others; biases, norms (folded into the weights on a chip) and
the neurons themselves don't count. `dense` is what the layer costs with no input at 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.analysis.capture import Call
from tempreg.unwrap import unwrap

_CONVOLUTIONS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.Conv1d: F.conv1d,
    nn.Conv2d: F.conv2d,
    nn.Conv3d: F.conv3d,
}


def connections(model: nn.Module) -> dict[str, nn.Module]:
    """The linear layers and convolutions by module path, in the model's order.

    ValueError for a convolution whose padding isn't zeros: its border inputs count repeatedly.
    """
    kinds: tuple[type[nn.Module], ...] = (nn.Linear, *_CONVOLUTIONS)
    found = {n: m for n, m in unwrap(model).named_modules() if isinstance(m, kinds)}
    for name, module in found.items():
        mode = getattr(module, "padding_mode", "zeros")
        if mode != "zeros":
            raise ValueError(
                f"the convolution {name!r} pads with mode {mode!r}: its operations can only be "
                "counted where padding is zeros"
            )
    return found


def operations(layer: Any, inputs: Tensor) -> Tensor:
    """Operations that each of the inputs' leading entries causes: [N, ...] -> float64 [N].

    inputs [N, *, F] of a linear layer, [N, C, *D] of a convolution.
    """
    active = (inputs != 0).to(torch.float32)
    if isinstance(layer, nn.Linear):
        used: Tensor = active.flatten(1).sum(dim=1, dtype=torch.float64)
        return used * layer.out_features
    # One filter of ones a group; each of the group's real filters reaches as far.
    size = (layer.groups, layer.in_channels // layer.groups, *layer.kernel_size)
    ones = active.new_ones(size)
    convolve = next(f for kind, f in _CONVOLUTIONS.items() if isinstance(layer, kind))
    reached = convolve(
        active, ones, None, layer.stride, layer.padding, layer.dilation, layer.groups
    )
    total: Tensor = reached.flatten(1).sum(dim=1, dtype=torch.float64)
    filters: int = layer.out_channels // layer.groups
    return total * filters


def is_binary(inputs: Tensor) -> bool:
    """Whether all inputs are 0 or 1, so that a weight is added as it is."""
    return bool(((inputs == 0) | (inputs == 1)).all())


def inputs_by_step(name: str, calls: list[Call], steps: int, batch: int) -> list[Tensor]:
    """Inputs [N, ...] of each timestep, from the calls of one weight layer in one forward pass.

    A layer called once with one batch, for input that is the same at every timestep, is counted
    at the first; the list is empty where the layer wasn't called.
    """
    inputs = [call.args[0] for call in calls]
    if len(inputs) == 1:
        x = inputs[0]
        if x.shape[:2] == (steps, batch):
            return list(x.unbind(0))
        if x.shape[0] == steps * batch:
            return list(x.unflatten(0, (steps, batch)).unbind(0))
        if x.shape[0] == batch:
            return [x]
        if x.shape[:2] == (1, batch):
            return [x[0]]
    if not inputs:
        return []
    if len(inputs) == steps and all(x.shape[0] == batch for x in inputs):
        return inputs
    if len(inputs) == steps and all(x.shape[:2] == (1, batch) for x in inputs):
        return [x[0] for x in inputs]
    shapes = sorted({tuple(x.shape) for x in inputs})
    raise ValueError(
        f"the layer {name!r} was called {len(inputs)} times with shapes {shapes}: expected one "
        f"call with [T, B, ...], [T * B, ...] or [B, ...], or one a timestep (T={steps}, B={batch})"
    )
