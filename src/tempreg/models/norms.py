"""Norms that know the timestep: each has parameters of its own.

Shapes: x [T, B, C, H, W]. Timesteps are counted from the first that a norm is given, or from where
a `state` says; beyond `num_steps` the last one's parameters go on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final, overload

import torch
from torch import Tensor, nn
from typing_extensions import override

from tempreg.errors import RequestError
from tempreg.models.padding import has_padding, of_real_rows, real_now


@final
class TooFewValues(RequestError):
    """A batch that batch norm can't take statistics of; the message says why."""


class NormOverTime(nn.Module, ABC):
    """A norm of [T, B, C, H, W]. Subclass it, and define `normal`.

    With a `state`, int64 [B] of the timesteps that each sample has seen, it gives what comes next,
    and the state after it; only in evaluation.
    """

    def __init__(self, channels: int, num_steps: int) -> None:
        super().__init__()
        self.channels, self.num_steps = channels, num_steps

    @abstractmethod
    def normal(self, x: Tensor, when: Tensor) -> Tensor:
        """x normalised; `when` [T, B or 1] is each one's timestep, in [0, num_steps)."""

    def initial_state(self, x: Tensor) -> Tensor:
        """No timestep seen, of x [T, B, ...]: zeros [B]."""
        return torch.zeros(x.shape[1], dtype=torch.int64, device=x.device)

    @overload
    def __call__(self, x: Tensor) -> Tensor: ...
    @overload
    def __call__(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]: ...
    def __call__(self, x: Tensor, state: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Run the module, hooks included; see `forward`."""
        made: Tensor | tuple[Tensor, Tensor] = super().__call__(x, state)
        return made

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """[T, B, C, H, W] -> the same shape; with a state, also the next one.

        Raises:
            ValueError: in training, with a state or more than num_steps timesteps.
        """
        steps = torch.arange(len(x), device=x.device)[:, None]
        if self.training and (state is not None or len(x) > self.num_steps):
            raise ValueError(
                f"a norm over {self.num_steps} timesteps is trained on these from the first on, "
                f"got {len(x)}" + ("" if state is None else " that go on from others")
            )
        seen = steps if state is None else steps + state
        made = self.normal(x, seen.clamp(max=self.num_steps - 1))
        return made if state is None else (made, state + len(x))


@final
class TemporalEffectiveNorm(NormOverTime):
    """Temporal effective batch norm (Duan et al., NeurIPS 2022): a factor a timestep.

        y[t] = p[t] (gamma (x[t] - mean) / sqrt(var + eps) + beta)

    with mean and variance over time, batch and places, as batch norm has them, and p from 1 on.
    """

    def __init__(self, channels: int, num_steps: int) -> None:
        super().__init__(channels, num_steps)
        self.norm = nn.BatchNorm2d(channels)
        self.scale = nn.Parameter(torch.ones(num_steps))

    @override
    def normal(self, x: Tensor, when: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[2]:
            raise TooFewValues(FEW)
        rows = x.flatten(0, 1)
        normal = of_real_rows(self.norm, rows) if has_padding(self.norm) else self.norm(rows)
        made: Tensor = normal.unflatten(0, x.shape[:2])
        return made * self.scale[when][:, :, None, None, None]


@final
class TemporalAccumulatedNorm(NormOverTime):
    """Temporal accumulated batch norm (Jiang et al., ICLR 2024): statistics up to a timestep.

        y[t] = p[t]^2 (gamma[t] (x[t] - mean[t]) / sqrt(var[t] + eps) + beta[t])

    with mean[t] and var[t] over the timesteps 0 ... t, batch and places, each with running ones of
    its own for evaluation (momentum 0.1, of the unbiased variance). So no timestep is moved by a
    later one, in training neither.

    Attributes:
        gain, bias: gamma and beta, timestep after timestep, [num_steps * C].
        scale: p [num_steps].
        mean, var: the running ones, [num_steps, C].
    """

    mean: Tensor
    var: Tensor

    def __init__(self, channels: int, num_steps: int) -> None:
        super().__init__(channels, num_steps)
        self.gain = nn.Parameter(torch.ones(num_steps * channels))
        self.bias = nn.Parameter(torch.zeros(num_steps * channels))
        self.scale = nn.Parameter(torch.ones(num_steps))
        self.register_buffer("mean", torch.zeros(num_steps, channels))
        self.register_buffer("var", torch.ones(num_steps, channels))
        self.eps, self.momentum = 1e-5, 0.1

    @override
    def normal(self, x: Tensor, when: Tensor) -> Tensor:
        if self.training:
            mean, var = self._accumulated(x)
            mean, var = mean[:, None], var[:, None]
        else:
            mean, var = self.mean[when], self.var[when]
        factor = (var + self.eps).rsqrt()
        gain, bias = (p.unflatten(0, (-1, self.channels))[when] for p in (self.gain, self.bias))
        scale = self.scale[when][:, :, None] ** 2
        weight, offset = scale * gain * factor, scale * bias
        centred = x - mean[..., None, None]
        made: Tensor = centred * weight[..., None, None] + offset[..., None, None]
        return made

    def _accumulated(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and variances up to each timestep, [T, C]; the running ones take them in."""
        steps, places = len(x), x[0, 0, 0].numel()
        if has_padding(self):
            own, own_var, count = _of_real(x, real_now())
        else:
            own_var, own = torch.var_mean(x, dim=(1, 3, 4), correction=0)
            count = torch.full((steps,), places * x.shape[1], dtype=x.dtype, device=x.device)
        total = count.cumsum(0)[:, None]
        if x.shape[1] * places == 1:
            raise TooFewValues(FEW)
        share = count.expand(steps, steps).tril() / total
        mean = share @ own
        spread = (own - mean[:, None]) ** 2  # [t, s, C], of the timestep s from the mean up to t
        var = share @ own_var + (share[:, :, None] * spread).sum(dim=1)
        with torch.no_grad():
            unbiased = var * (total / (total - 1))
            self.mean[:steps] += self.momentum * (mean.to(self.mean) - self.mean[:steps])
            self.var[:steps] += self.momentum * (unbiased.to(self.var) - self.var[:steps])
        return mean, var


def _of_real(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means and variances of each timestep [T, C], of the samples that haven't ended there (bool
    [T, B]), and how many values a channel that is [T]; 0 where all have."""
    weight = mask.to(x)[:, :, None, None, None]
    count = weight.sum(dim=(1, 2, 3, 4)) * x[0, 0, 0].numel()
    divisor = count.clamp(min=1)[:, None]
    own = (x * weight).sum(dim=(1, 3, 4)) / divisor
    spread = (x - own[:, None, :, None, None]).square() * weight
    return own, spread.sum(dim=(1, 3, 4)) / divisor, count


FEW = (
    "batch norm in training needs more than one value a channel, but T 1, a batch of 1 and 1 x 1 "
    "pixels leave one: take a batch_size that leaves no last batch of 1, more timesteps, larger "
    "images, or norm none"
)
"""Of `TooFewValues`; tab has statistics of the first timestep alone, whatever T is."""
