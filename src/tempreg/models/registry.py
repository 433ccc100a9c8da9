"""Networks by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields

from typing_extensions import Unpack

from tempreg.models.base import SpikingNetwork
from tempreg.models.layers import choose_convolutions
from tempreg.models.ms_resnet import MSResNet18
from tempreg.models.recurrent import RSNN
from tempreg.models.resnet import ResNet19, SEWResNet18, SEWResNet34
from tempreg.models.transformers import QKFormer, SpikeDrivenTransformer, Spikformer
from tempreg.models.vgg import CSNN, VGGSNN
from tempreg.neurons import Neuron
from tempreg.options import NetworkOptions
from tempreg.options.keywords import passes_on_to
from tempreg.options.neuron import NetworkKeywords
from tempreg.options.sizes import SizeOptions
from tempreg.words import nearest

_NULLS = {size.name for size in fields(SizeOptions) if size.default is None}
"""Options of which None is the network's own value."""
_OWN = ("num_classes", "in_channels", "num_steps", "input_size")

MODELS: dict[str, Callable[..., SpikingNetwork]] = {
    "csnn": CSNN,
    "vggsnn": VGGSNN,
    "resnet19": ResNet19,
    "sew_resnet18": SEWResNet18,
    "sew_resnet34": SEWResNet34,
    "ms_resnet18": MSResNet18,
    "spikformer": Spikformer,
    "spike_driven_transformer": SpikeDrivenTransformer,
    "qkformer": QKFormer,
    "rsnn": RSNN,
}


@passes_on_to(Neuron.__init__)
@passes_on_to(NetworkOptions)
def create_model(
    name: str,
    *,
    num_classes: int,
    in_channels: int,
    num_steps: int,
    input_size: int | tuple[int, int] | None = None,
    conv: str = "dense",
    **options: Unpack[NetworkKeywords],
) -> SpikingNetwork:
    """A network with fresh weights.

    Args:
        name: "csnn", "vggsnn", "resnet19", "sew_resnet18", "sew_resnet34", "ms_resnet18",
            "spikformer", "spike_driven_transformer", "qkformer" or "rsnn".
        num_classes, in_channels: >= 1.
        num_steps: T, the timesteps that a static input [B, C, H, W] is shown for. An input
            [T, B, C, H, W] brings its own T.
        input_size: H = W, or (H, W); needed by csnn, vggsnn and rsnn.
        conv: how convolutions run: "auto", "dense" or "sparse"; see `tempreg.models.convolution`.
        options: tau, v_threshold, v_reset, surrogate, surrogate_param, detach_reset and backend of
            all neurons (see `functional.lif`); neuron and norm (see `SpikingNetwork`); for csnn
            and rsnn channels and dropout, for vggsnn width and dropout, for rsnn recurrent; for
            the transformers width, depth and heads, for the first two of them poolings, for
            ms_resnet18 width (see `NetworkOptions`).

    Returns:
        A module: input as above -> logits [T, B, num_classes].

    Raises:
        ValueError: an unknown name or option (with the nearest known one), or a bad value.
    """
    if name not in MODELS:
        raise ValueError(f"unknown network {name!r}{nearest(name, MODELS)}")
    make = MODELS[name]
    known = option_names(name)
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}{nearest(option, known)}")
    given = {key: v for key, v in options.items() if v is not None or key not in _NULLS}
    model = make(
        num_classes=num_classes,
        in_channels=in_channels,
        num_steps=num_steps,
        input_size=input_size,
        **given,
    )
    choose_convolutions(model, conv)
    return model


def option_names(name: str) -> list[str]:
    """What a network takes: its keyword arguments and its bases', without `create_model`'s own."""
    model = MODELS[name]
    names: dict[str, None] = {}
    for cls in inspect.getmro(model) if inspect.isclass(model) else ():
        if issubclass(cls, SpikingNetwork):
            for parameter in inspect.signature(cls.__init__).parameters.values():
                if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in _OWN:
                    names[parameter.name] = None
    return list(names)
