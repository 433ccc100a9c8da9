"""Convolution, then batch norm and neurons in one pass: the same spikes, less time and memory.

The plain path (call the norm, then the neurons) is the meaning. The one pass is taken with the
compiled backend where nobody could tell: not where a hook wants to see the norm's output or the
neurons' input, not under torch.func, torch.compile or torch.export, not for other norms or trained
tau; on a CPU not for float16, and on a GPU not for more timesteps than its kernels have
registers for, nor for running statistics that are a mean over all batches. TEMPREG_FUSE=0 in the
environment turns it off.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module

from tempreg.neurons import IF, LIF, Neuron
from tempreg.ops.dispatch import DTYPES, resolve_backend, state_dtype
from tempreg.ops.mapping import transformed
from tempreg.ops.norm_lif import Running, norm_lif, passes
from tempreg.ops.spec import NormLIFSpec

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = [getattr(nn_module, f"_global{name}") for name in _HOOKS]


def unobserved(*modules: nn.Module) -> bool:
    """Whether no hook, and no other forward than its class's, waits for a call of these."""
    return not any(_GLOBAL_HOOKS) and not any(
        "forward" in vars(module) or any(getattr(module, name) for name in _HOOKS)
        for module in modules
    )


def applies(x: Tensor, norm: nn.BatchNorm2d, neuron: Neuron, steps: int) -> bool:
    """Whether `normed_spikes` may stand for neuron(norm(x)), x a convolution's output.

    Where x has too few values to normalise, the norm itself says what is wrong.
    """
    others = (norm.weight, norm.running_mean)
    return (
        x.dtype in DTYPES
        and all(other is None or other.dtype == state_dtype(x.dtype) for other in others)
        and x.numel() > x.shape[2]
        and type(neuron) in (LIF, IF)
        and (norm.momentum is not None or x.device.type == "cpu")
        and os.environ.get("TEMPREG_FUSE") != "0"
        and not torch.compiler.is_compiling()
        and not transformed()
        and resolve_backend(neuron.backend, x.device.type) == "compiled"
        and (module := passes(x.device.type)) is not None
        and module.takes(x, steps)
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
        running = Running(norm.running_mean, norm.running_var, factor)
    spec = NormLIFSpec(steps, float(neuron.current_tau()), norm.eps, gain, neuron.spec)
    statistics = running[:2] if running is not None and not norm.training else None
    moved = running if updates else None
    spikes, _, _ = norm_lif(x, norm.weight, norm.bias, statistics, spec, moved)
    return spikes
