"""Which parameters a weight penalty covers."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from tempreg.foreign import constant_parameters

Select = str | Callable[[str, nn.Parameter], bool]
POLICIES = ("paper", "weights")


def selected_parameters(model: nn.Module, select: Select) -> dict[str, nn.Parameter]:
    """The trainable parameters of `model` that `select` covers, by name, each once.

    "paper": all whose name lacks "bias", batch-norm scales included. "weights": those with two
    or more dimensions. A callable (name, parameter) -> bool decides alone. The first two leave
    out learnable neuron constants (PLIF's w), also those of SpikingJelly, snnTorch, Norse and
    sinabs: pulling one to zero sets a time constant.
    """
    if callable(select):
        chosen = select
    elif select == "paper":
        constants = constant_parameters(model)

        def chosen(name: str, parameter: nn.Parameter) -> bool:
            return "bias" not in name and id(parameter) not in constants

    elif select == "weights":
        constants = constant_parameters(model)

        def chosen(name: str, parameter: nn.Parameter) -> bool:
            return parameter.ndim >= 2 and id(parameter) not in constants

    else:
        raise ValueError(
            f"unknown selection {select!r}: choose one of {', '.join(POLICIES)}, or pass a "
            "callable (name, parameter) -> bool"
        )
    return {n: p for n, p in model.named_parameters() if p.requires_grad and chosen(n, p)}
