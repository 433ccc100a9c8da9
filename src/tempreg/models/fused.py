"""Convolution, then batch norm and neurons in one pass: the same spikes, less time and memory.

The plain path (call the norm, then the neurons) is the meaning. The one pass is taken on a CPU
with the compiled backend where nobody could tell: not where a hook wants to see the norm's
output or the neurons' input, not under torch.func, torch.compile or torch.export, not for other
norms, trained tau or half precision. TEMPREG_FUSE=0 in the environment turns it off.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module

from tempreg.neurons import IF, LIF, Neuron
from tempreg.ops.dispatch import resolve_backend
from tempreg.ops.mapping import transformed
from tempreg.ops.norm_lif import NormLIFSpec, norm_lif

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = [getattr(nn_module, f"_global{name}") for name in _HOOKS]


def unobserved(*modules: nn.Module) -> bool:
    """Whether no hook, and no other forward than its class's, waits for a call of these."""
    return not any(_GLOBAL_HOOKS) and not any(
        "forward" in vars(module) or any(getattr(module, name) for name in _HOOKS)
        for module in modules
    )


def applies(x: Tensor, norm: nn.BatchNorm2d, neuron: Neuron) -> bool:
    """Whether `normed_spikes` may stand for neuron(norm(x)), x a convolution's output.

    Where x has too few values to normalise, the norm itself says what is wrong.
    """
    others = (norm.weight, norm.running_mean)
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and all(other is None or other.dtype == x.dtype for other in others)
        and x.numel() > x.shape[2]
        and type(neuron) in (LIF, IF)
        and resolve_backend(neuron.backend, "cpu") == "compiled"
        and os.environ.get("TEMPREG_FUSE") != "0"
        and not torch.compiler.is_compiling()
        and not transformed()
    )


def normed_spikes(
    x: Tensor, norm: nn.BatchNorm2d, gain: float, neuron: Neuron, steps: int
) -> Tensor:
    """Spikes [steps, B, C, H, W] of neuron(gain * norm(x)); x [steps or 1, B, C, H, W].

    Running statistics are updated as `nn.BatchNorm2d` does.
    """
    factor = 0.0 if norm.momentum is None else norm.momentum
    updates = norm.training and norm.track_running_stats
    if updates and norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if norm.momentum is None:
            factor = 1.0 / float(norm.num_batches_tracked)
    running = None
    if norm.running_mean is not None and norm.running_var is not None:
        running = norm.running_mean, norm.running_var
    spec = NormLIFSpec(steps, float(neuron.current_tau()), norm.eps, gain, neuron.spec)
    statistics = None if norm.training else running
    spikes, mean, var = norm_lif(x, norm.weight, norm.bias, statistics, spec)
    if updates and running is not None:
        count = x.numel() // x.shape[2]
        with torch.no_grad():
            running[0].mul_(1 - factor).add_(mean, alpha=factor)
            running[1].mul_(1 - factor).add_(var, alpha=factor * count / (count - 1))
    return spikes
