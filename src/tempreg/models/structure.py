"""The layers of a state dict, told from names and shapes: convolutions, linears and norms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from torch import Tensor


@final
@dataclass
class Layer:
    """One convolution or linear layer, and the batch norm that follows it, if any.

    Attributes:
        name: its module's name.
        weight, bias: the names of its tensors.
        norm: the norm's module name.
    """

    name: str
    weight: str
    bias: str | None = None
    norm: str | None = None


@final
@dataclass
class Structure:
    """What a state dict holds.

    Attributes:
        layers: in the order of the state dict, which is that of registration.
        others: names that are part of no layer: neurons' constants, say.
    """

    layers: list[Layer] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


NORM = ("weight", "bias", "running_mean", "running_var")


def structure(tensors: Mapping[str, Tensor]) -> Structure:
    """The layers of a state dict; ValueError where it can't be told which norm is whose.

    A norm belongs to the convolution or linear layer right before it. A module that is
    registered twice is taken once.
    """
    modules: dict[str, set[str]] = {}
    seen: set[tuple[int, tuple[int, ...], str]] = set()
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition(".")
        alias = (tensor.data_ptr(), tuple(tensor.shape), kind)
        if tensor.numel() > 1 and alias in seen:
            continue
        seen.add(alias)
        modules.setdefault(module, set()).add(kind)
    found = Structure()
    for module, kinds in modules.items():
        dot = f"{module}." if module else ""
        weight = tensors.get(f"{dot}weight") if "weight" in kinds else None
        if weight is not None and weight.ndim >= 2:
            bias = f"{dot}bias" if "bias" in kinds else None
            found.layers.append(Layer(module, f"{dot}weight", bias))
            rest = kinds - {"weight", "bias"}
        elif kinds >= set(NORM):
            _attach(found.layers, module, tensors)
            rest = kinds - {*NORM, "num_batches_tracked"}
        else:
            rest = kinds - {"num_batches_tracked"}
        found.others += [f"{dot}{kind}" for kind in sorted(rest)]
    return found


def _attach(layers: list[Layer], module: str, tensors: Mapping[str, Tensor]) -> None:
    channels = tensors[f"{module}.running_mean"].shape[0]
    if (
        not layers
        or layers[-1].norm is not None
        or (len(layers) > 1 and (layers[-2].norm is None and tensors[layers[-2].weight].ndim == 4))
    ):
        raise ValueError(
            f"it can't be told which layer the batch norm {module!r} follows: each must come right "
            "after its convolution, in the order of the state dict"
        )
    last = layers[-1]
    if tensors[last.weight].shape[0] != channels:
        raise ValueError(
            f"the batch norm {module!r} has {channels} channels, and {last.name!r} before it gives "
            f"{tensors[last.weight].shape[0]}"
        )
    last.norm = module


def ordered(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file that doesn't keep the order of registration, as safetensors.

    Modules go by the numbers in their names, each norm right after its layer: that with the number
    before its own in the same container (conv.0, conv.1), or with the same number (conv1, bn1).

    Raises:
        ValueError: layers of equal shape whose names differ in more than numbers, or a norm
            without such a layer: their order can't be told.
    """
    names = sorted(tensors, key=_natural)
    weights = {n.rpartition(".")[0]: tensors[n] for n in names if n.rpartition(".")[2] == "weight"}
    layers = [module for module, weight in weights.items() if weight.ndim >= 2]
    patterns: dict[tuple[int, ...], str] = {}
    for module in layers:
        pattern, shape = re.sub(r"\d+", "#", module), tuple(weights[module].shape)
        if patterns.setdefault(shape, pattern) != pattern:
            raise ValueError(
                f"{module!r} has the shape of another layer, and the file doesn't keep their "
                "order: save them with torch.save, which does"
            )
    place: dict[str, tuple[int, int]] = {module: (i, 0) for i, module in enumerate(layers)}
    for name in names:
        module, _, kind = name.rpartition(".")
        if kind == "running_mean":
            mates = [layer for layer in layers if _mates(layer, module)]
            if len(mates) != 1:
                raise ValueError(
                    f"it can't be told which layer the batch norm {module!r} follows, and the "
                    "file doesn't keep their order: save them with torch.save, which does"
                )
            place[module] = (place[mates[0]][0], 1)
    last = (len(layers), 0)
    names.sort(key=lambda name: place.get(name.rpartition(".")[0], last))
    return {name: tensors[name] for name in names}


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _mates(layer: str, norm: str) -> bool:
    (parent, _, one), (same_parent, _, two) = layer.rpartition("."), norm.rpartition(".")
    if parent != same_parent or one.isdigit() != two.isdigit():
        return False
    if one.isdigit():
        return int(two) == int(one) + 1
    return re.findall(r"\d+$", one) == re.findall(r"\d+$", two)
