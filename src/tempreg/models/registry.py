"""Networks by name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from tempreg.models.base import SpikingNetwork
from tempreg.models.resnet import ResNet19, SEWResNet18, SEWResNet34
from tempreg.models.vgg import CSNN, VGGSNN

MODELS: dict[str, Callable[..., SpikingNetwork]] = {
    "csnn": CSNN,
    "vggsnn": VGGSNN,
    "resnet19": ResNet19,
    "sew_resnet18": SEWResNet18,
    "sew_resnet34": SEWResNet34,
}


def create_model(
    name: str,
    *,
    num_classes: int,
    in_channels: int,
    num_steps: int,
    input_size: int | tuple[int, int] | None = None,
    tau: float = 2.0,
    v_threshold: float = 1.0,
    v_reset: float | None = 0.0,
    surrogate: str = "triangle",
    surrogate_param: float = 1.0,
    **options: Any,
) -> SpikingNetwork:
    """A network with fresh weights.

    Args:
        name: "csnn", "vggsnn", "resnet19", "sew_resnet18" or "sew_resnet34".
        num_classes, in_channels: >= 1.
        num_steps: T, the timesteps that a static input [B, C, H, W] is shown for. An input
            [T, B, C, H, W] brings its own T.
        input_size: H = W, or (H, W); needed by csnn and vggsnn.
        tau, v_threshold, v_reset, surrogate, surrogate_param: of all neurons; `functional.lif`.
        options: neuron, norm, detach_reset, backend (see `SpikingNetwork`), and for csnn
            channels and dropout, for vggsnn dropout.

    Returns:
        A module: input as above -> logits [T, B, num_classes].

    Raises:
        ValueError: an unknown name or option (with the nearest known one), or a bad value.
    """
    if name not in MODELS:
        raise ValueError(f"unknown network {name!r}{nearest(name, MODELS)}")
    model = MODELS[name]
    known = _option_names(model)
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}{nearest(option, known)}")
    return model(
        num_classes=num_classes,
        in_channels=in_channels,
        num_steps=num_steps,
        input_size=input_size,
        tau=tau,
        v_threshold=v_threshold,
        v_reset=v_reset,
        surrogate=surrogate,
        surrogate_param=surrogate_param,
        **options,
    )


def nearest(name: str, known: Any) -> str:
    """': did you mean X?' where a known name is close, else the list of them all."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean {close[0]!r}?" if close else f": choose one of {', '.join(known)}"


def _option_names(model: Callable[..., SpikingNetwork]) -> list[str]:
    """The keyword-only arguments of a network and its bases, without `create_model`'s own."""
    own = set(inspect.signature(create_model).parameters)
    names: dict[str, None] = {}
    for cls in inspect.getmro(model) if inspect.isclass(model) else ():
        if issubclass(cls, SpikingNetwork):
            for parameter in inspect.signature(cls.__init__).parameters.values():
                if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.name not in own:
                    names[parameter.name] = None
    return list(names)
