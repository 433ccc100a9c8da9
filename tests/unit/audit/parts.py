"""What the networks of these tests are made of: custom neurons and a frame to put them in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import tempreg

STEPS, BATCH, FEATURES, HIDDEN, CLASSES = 4, 3, 6, 12, 3


def inputs(seed: int = 0) -> Tensor:
    """[T, B, F] of both signs."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(STEPS, BATCH, FEATURES, generator=generator) * 2


def frames(seed: int = 0) -> Tensor:
    """[T, B, 2, 6, 6] in [0, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(STEPS, BATCH, 2, 6, 6, generator=generator) * 3


class Net(nn.Module):
    """fc1, a middle, fc2: [T, B, F] -> [T, B, classes]. The parts have the names given."""

    def __init__(self, **middle: nn.Module) -> None:
        super().__init__()
        self.fc1 = nn.Linear(FEATURES, HIDDEN)
        self.order = list(middle)
        for name, module in middle.items():
            self.add_module(name, module)
        self.fc2 = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        for name in self.order:
            x = self.get_submodule(name)(x)
        return self.fc2(x)


class Apply(nn.Module):
    """A function of the input alone."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Triangle(torch.autograd.Function):
    """A step, with a triangle for its derivative."""

    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return (u > 0).to(u)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        return grad * (1 - u.abs()).clamp(min=0)


class OwnLIF(nn.Module):
    """Hard reset, tau 2, over the first dimension; what it does wrong is said by its settings."""

    def __init__(
        self,
        *,
        fire: Callable[[Tensor], Tensor] = Triangle.apply,
        detach: bool = False,
        keep: bool = False,
        give: str = "spike",
    ) -> None:
        super().__init__()
        self.fire, self.detach, self.keep, self.give = fire, detach, keep, give
        self.v: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        v = self.v if self.keep and self.v is not None else torch.zeros_like(x[0])
        made = []
        for x_t in x.unbind(0):
            h = v / 2 + x_t
            s = self.fire(h - 1)
            v = (1 - s) * h
            made.append(s if self.give == "spike" else v)
            v = v.detach() if self.detach else v
        if self.keep:
            self.v = v.detach()
        return torch.stack(made)


def lif(**settings: Any) -> nn.Module:
    """tempreg's neurons."""
    return tempreg.LIF(**settings)
