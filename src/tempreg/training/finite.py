"""Finds where a network's numbers first stopped being finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn

from tempreg.errors import RunStopped


@final
class NonFiniteLoss(RunStopped):
    """The loss became NaN or infinite; the message says when, and where it came from."""


def nonfinite_state(network: nn.Module, optimizer: torch.optim.Optimizer) -> str:
    """The first part of an optimizer's state that holds NaN or infinity, in words; "" if none.

    An infinite sum of squares stops a weight for good, while every loss stays finite.
    """
    found = {
        f"{kind} of the parameter {name}": torch.isfinite(value).all()
        for name, parameter in network.named_parameters()
        for kind, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }
    places: dict[torch.device, list[str]] = {}
    for words, finite in found.items():
        places.setdefault(finite.device, []).append(words)
    # One copy from each device, whatever the number of parameters.
    bad = {
        words
        for mine in places.values()
        for words, finite in zip(mine, torch.stack([found[w] for w in mine]).tolist(), strict=True)
        if not finite
    }
    return next((words for words in found if words in bad), "")


def first_nonfinite(model: nn.Module, x: Tensor, run: Callable[[Tensor], object]) -> str:
    """In words: the first of input, parameters and layer outputs that holds NaN or infinity.

    `run` calls the model once more as it was called when the loss broke: in the same precision
    and with the same dropout. That is done in any case: its layers may wait for other processes.
    """
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and isinstance(output, Tensor) and not torch.isfinite(output).all():
                found.append(f"the output of {name} ({type(module).__name__})")

        return hook

    leaves = [(name, m) for name, m in model.named_modules() if not any(m.children())]
    handles = [module.register_forward_hook(watch(name)) for name, module in leaves]
    try:
        with torch.no_grad():
            run(x)
    finally:
        for handle in handles:
            handle.remove()
    if not torch.isfinite(x).all():
        return "the input batch"
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            return f"the parameter {name}, since the step before"
    return found[0] if found else "the objective itself, for every layer's output is finite"
