"""Batch norm followed by LIF without the normalised input in memory: one autograd function.

With mean and var of channel c over steps, images and space (or the running ones), the input
current and its gradient are (Ioffe and Szegedy 2015, arXiv 1502.03167)

    alpha = gain weight / sqrt(var + eps),   beta = gain bias - mean alpha
    current = x alpha + beta
    gx = (gh - mean(gh) - (x - mean) mean(gh (x - mean)) / (var + eps)) alpha

without the two means where var isn't a function of x. gh is LIF's gradient of the current, see
`lif_eager`; `norm_c` has the passes on a CPU, `norm_triton` those on a GPU. Only x is kept between
forward and backward.
"""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from tempreg.ops import lif_eager, norm_c
from tempreg.ops.dispatch import TRIAL_DEVICE
from tempreg.ops.mapping import FirstGradient, call, one_by_one, signed
from tempreg.ops.spec import LIFSpec, NormLIFSpec
from tempreg.ops.trial import TrialFailed, tried

# A plain dictionary, as in `dispatch`.
_PASSES: dict[str, ModuleType | None] = {"cpu": norm_c}


@final
class Running(NamedTuple):
    """Running statistics [C], which a pass moves to those of its batch.

    Attributes:
        mean, var: written to; var is unbiased.
        factor: the share of the batch, in [0, 1].
    """

    mean: Tensor
    var: Tensor
    factor: float


def passes(device_type: str) -> ModuleType | None:
    """The module with `takes`, `forward` and `backward` for this type of device; None where there
    is none, and where its kernels don't run, which is said once."""
    if device_type not in _PASSES:
        _PASSES[device_type] = _tried() if device_type == "cuda" else None
    return _PASSES[device_type]


def _tried() -> ModuleType | None:
    try:
        return tried("tempreg.ops.norm_triton", TRIAL_DEVICE, _same_spikes)
    except TrialFailed as error:
        warnings.warn(
            f"batch norm and neurons run one after the other on cuda, not in one pass: {error}",
            stacklevel=3,
        )
        return None


def _same_spikes(module: ModuleType, device: str) -> bool:
    """Whether both passes run on a few neurons, and the spikes are those of the equations."""
    here = torch.device("cpu")  # and not another default device
    x = torch.tensor([0.4, 0.9, 2.5, -1.0, 0.3, 1.4, 2.0, -0.2], device=here).reshape(2, 1, 2, 1, 2)
    spec = NormLIFSpec(2, 2.0, 1e-5, 1.0, LIFSpec())
    normal = torch.nn.functional.batch_norm(x.flatten(0, 1), None, None, training=True)
    zeros, tau = torch.zeros(1, 2, 1, 2, device=here), torch.full((), spec.tau, device=here)
    wanted, _ = lif_eager.forward(normal.unflatten(0, (2, 1)), zeros, tau, spec.lif)
    there = x.to(device)
    spikes, mean, var = module.forward(there, None, None, None, None, None, spec)
    module.backward(spikes, there, None, None, mean, var, True, spec)
    return torch.equal(spikes.cpu(), wanted)


def _there(x: Tensor) -> ModuleType:
    """Those of the device that x is on, which `models.fused` has asked for."""
    module = passes(x.device.type)
    assert module is not None
    return module


def norm_lif(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    statistics: tuple[Tensor, Tensor] | None,
    spec: NormLIFSpec,
    running: Running | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes [T, B, C, H, W], and the mean and biased variance [C] that x was normalised by.

    x is [T, B, C, H, W], or [1, B, C, H, W] for an input that is shown T times; bfloat16, float32
    or float64 on a CPU where the C kernels load, float16, too, on a GPU. With half precision
    statistics, weight and bias are float32. Spikes lie in memory as x does. `statistics` are the
    mean and variance to use, or None for those of x, to which `running` is moved. Differentiable
    once, with respect to x, weight and bias.
    """
    mean, var = (None, None) if statistics is None else statistics
    arguments = (x, weight, bias, mean, var, running, spec)
    result: tuple[Tensor, Tensor, Tensor] = call(NormLIF, *arguments)
    return result


@final
@signed
class NormLIF(torch.autograd.Function):
    """(x, weight, bias, mean, var, running, spec) -> (spikes, mean, var); once differentiable."""

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor | None,
        var: Tensor | None,
        running: Running | None,
        spec: NormLIFSpec,
    ) -> tuple[Tensor, Tensor, Tensor]:
        made: tuple[Tensor, Tensor, Tensor] = _there(x).forward(
            x, weight, bias, mean, var, running, spec
        )
        return made

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, weight, bias, mean, _, _, ctx.spec = inputs
        ctx.own_statistics = mean is None
        ctx.set_materialize_grads(False)  # no zeros for those of mean and variance
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(x, weight, bias, *output[1:])

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:
        if grad_outputs[0] is None:
            return (None,) * 7
        x, weight, bias, mean, var = ctx.saved_tensors
        gx, gweight, gbias = NormLIFBackward.apply(
            grad_outputs[0], x, weight, bias, mean, var, ctx.own_statistics, ctx.spec
        )
        of_x, of_weight, of_bias, *_ = ctx.needs_input_grad
        wanted = (gx if of_x else None, gweight if of_weight else None, gbias if of_bias else None)
        return *wanted, None, None, None, None


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
        made: tuple[Tensor, Tensor, Tensor] = _there(x).backward(
            gs, x, weight, bias, mean, var, own_statistics, spec
        )
        return made

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
        return one_by_one(NormLIFBackward, info, in_dims, args)
