"""Which timestep a weight's gradient comes from.

A weight acts on the loss through what its layer returns, so its gradient is a sum over the
layer's timesteps: with z[t] = f_w(a[t]), dL/dw = sum_t (dz[t]/dw)^T dL/dz[t]. Each part is
computed by running that layer alone on what it was given at step t.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tempreg.analysis.capture import Call
from tempreg.analysis.per_sample import trainable


def parts_by_step(
    name: str,
    module: nn.Module,
    calls: list[Call],
    grads: Sequence[Tensor | None],
    steps: int,
    batch: int,
) -> dict[str, Tensor]:
    """[T, *shape] for each of a layer's own parameters; NaN where it runs once for all steps.

    A layer is split by time where its calls have [T, B, ...] or [T * B, ...], or where there is
    one a timestep.
    """
    own = trainable(module)
    parts = {n: p.new_zeros((steps, *p.shape), dtype=torch.float64) for n, p in own.items()}
    for index, (call, grad) in enumerate(zip(calls, grads, strict=True)):
        if grad is None:
            continue
        x = call.args[0].detach()
        if len(calls) == steps and x.shape[0] in (1, batch):
            pieces = [(index, x, grad)]
        elif x.shape[0] == steps * batch:
            pieces = [
                (t, x_t, g_t)
                for t, (x_t, g_t) in enumerate(zip(x.split(batch), grad.split(batch), strict=True))
            ]
        elif x.shape[:2] == (steps, batch) and not any(module.children()):
            pieces = [(t, x[t : t + 1], grad[t : t + 1]) for t in range(steps)]
        else:
            return {n: torch.full_like(part, torch.nan) for n, part in parts.items()}
        for t, x_t, g_t in pieces:
            with torch.enable_grad():
                made = module(x_t, *call.args[1:], **call.kwargs)
                first = made[0] if isinstance(made, (tuple, list)) else made
                gradients = torch.autograd.grad(first, list(own.values()), g_t, allow_unused=True)
            for key, value in zip(own, gradients, strict=True):
                if value is not None:
                    parts[key][t] += value.detach()
    return parts


def shares(parts: Tensor) -> tuple[Tensor, Tensor]:
    """Of [T, *shape]: the share of each step <g[t], g> / ||g||^2, which add up to 1 over t and
    may be negative, and the norms ||g[t]||; both [T]. Shares of a zero gradient are NaN."""
    flat = parts.flatten(1)
    whole = flat.sum(dim=0)
    return flat @ whole / whole.square().sum(), flat.norm(dim=1)
