"""Batch norm followed by LIF without the normalised input in memory: one autograd function.

With mean and var of channel c over steps, images and space (or the running ones), the input
current and its gradient are (Ioffe and Szegedy 2015, arXiv 1502.03167)

    alpha = gain weight / sqrt(var + eps),   beta = gain bias - mean alpha
    current = x alpha + beta
    gx = (gh - mean(gh) - (x - mean) mean(gh (x - mean)) / (var + eps)) alpha

without the two means where var isn't a function of x. gh is LIF's gradient of the current, see
`lif_eager`; `norm_c` has the passes. Only x is kept between forward and backward.
"""

from __future__ import annotations

from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from tempreg.ops import norm_c
from tempreg.ops.mapping import FirstGradient, call, one_by_one, signed
from tempreg.ops.spec import LIFSpec


@final
class NormLIFSpec(NamedTuple):
    """The constants of a norm and the neurons after it.

    Attributes:
        steps: T, the timesteps that spikes are wanted for.
        tau: of the neurons, >= 1.
        eps: added to the variance, > 0.
        gain: a factor on the norm's output.
        lif: the neurons' other constants.
    """

    steps: int
    tau: float
    eps: float
    gain: float
    lif: LIFSpec


def norm_lif(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    statistics: tuple[Tensor, Tensor] | None,
    spec: NormLIFSpec,
) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes [T, B, C, H, W], and the mean and biased variance [C] that x was normalised by.

    x is [T, B, C, H, W], or [1, B, C, H, W] for an input that is shown T times; float32 or
    float64, on a CPU where the C kernels load. `statistics` are the mean and variance to use,
    or None for those of x. Differentiable once, with respect to x, weight and bias.
    """
    mean, var = (None, None) if statistics is None else statistics
    result: tuple[Tensor, Tensor, Tensor] = call(NormLIF, x, weight, bias, mean, var, spec)
    return result


def _affine(
    weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, spec: NormLIFSpec
) -> tuple[Tensor, Tensor, Tensor]:
    """alpha, beta and 1 / sqrt(var + eps)."""
    invstd = (var.double() + spec.eps).rsqrt().to(var.dtype)
    alpha = invstd if weight is None else invstd * weight
    beta = -mean * alpha if bias is None else bias - mean * alpha
    if spec.gain != 1.0:
        alpha, beta = alpha * spec.gain, beta * spec.gain
    return alpha, beta, invstd


@final
@signed
class NormLIF(torch.autograd.Function):
    """(x, weight, bias, mean, var, spec) -> (spikes, mean, var); once differentiable."""

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor | None,
        var: Tensor | None,
        spec: NormLIFSpec,
    ) -> tuple[Tensor, Tensor, Tensor]:
        if mean is None or var is None:
            mean, var = norm_c.channel_statistics(x)
        else:
            mean, var = mean.clone(), var.clone()
        alpha, beta, _ = _affine(weight, bias, mean, var, spec)
        v_threshold, v_reset = spec.lif[:2]
        spikes = norm_c.norm_lif_forward(x, alpha, beta, spec.steps, spec.tau, v_threshold, v_reset)
        return spikes, mean, var

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, weight, bias, mean, _, ctx.spec = inputs
        ctx.own_statistics = mean is None
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(x, weight, bias, *output[1:])

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, var = ctx.saved_tensors
        gx, gweight, gbias = NormLIFBackward.apply(
            grad_outputs[0], x, weight, bias, mean, var, ctx.own_statistics, ctx.spec
        )
        of_x, of_weight, of_bias, *_ = ctx.needs_input_grad
        return (
            gx if of_x else None,
            gweight if of_weight else None,
            gbias if of_bias else None,
            None,
            None,
            None,
        )


@final
@signed
class NormLIFBackward(FirstGradient):
    """The gradients of `NormLIF`; refuses to be differentiated."""

    @staticmethod
    def forward(
        gs: Tensor,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        var: Tensor,
        own_statistics: bool,
        spec: NormLIFSpec,
    ) -> tuple[Tensor, Tensor, Tensor]:
        alpha, beta, invstd = _affine(weight, bias, mean, var, spec)
        gx, total, dot = norm_c.norm_lif_backward(
            gs, x, alpha, beta, mean, invstd if own_statistics else None, spec.tau, *spec.lif.coded
        )
        return gx, dot * invstd * spec.gain, total * spec.gain

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        return one_by_one(NormLIFBackward, info, in_dims, args)
