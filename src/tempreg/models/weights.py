"""Weights of networks that were built elsewhere, taken over by structure: names don't matter."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tempreg.errors import RequestError, warnings_about
from tempreg.models.structure import NORM, Layer, ordered, structure

FAULTS = (
    RuntimeError,
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What torch's reader of plain values raises where a file is damaged, found by fuzzing it."""


_KEYS = ("model_state_dict", "state_dict", "model", "net", "MODEL_STATE")
"""What checkpoints call a network: in PyTorch's tutorials, the paper's scripts and others'."""


@final
class WeightsError(RequestError):
    """Weights that don't fit the network, or a file without any; it says why."""


@final
@dataclass(frozen=True)
class WeightsReport:
    """What `load_weights` did.

    Attributes:
        matched: (name there, name here) of each layer, convolution or linear; its norm came along.
        missing: layers and parameters here that got nothing.
        unused: layers there that nothing here took.
        ignored: tensors there that are no layer's, as constants of neurons: conventions differ.
    """

    matched: list[tuple[str, str]]
    missing: list[str]
    unused: list[str]
    ignored: list[str]


def load_weights(
    model: nn.Module, source: Mapping[str, Tensor] | str | Path, *, partial: bool = False
) -> WeightsReport:
    """Take over the weights of a network of the same layers, whatever these are called.

    Layers of equal shape are taken in the order of the state dict, so a shortcut may be
    registered before or after the convolutions it goes around. A safetensors file has lost that
    order, so there the numbers in the names must tell it (or the names are our own). The bias
    of a convolution before a batch norm, which our networks lack, goes into the norm's running
    mean: the outputs are equal. Constants of neurons and of norms over time, which belong to no
    layer, are taken where all names are the same.

    Args:
        model: what is changed, in place; nothing is where this raises.
        source: a state dict, or a file: safetensors, or .pt/.pth, read with weights_only=True; of
            a checkpoint that holds more, the entry that is a state dict, as `model_state_dict`.
        partial: take what fits, and leave the rest of both sides.

    Raises:
        WeightsError: some layer has no counterpart (without `partial`), none has, it can't be told
            which norm is whose, a number isn't finite, or the file can't be read.
    """
    tensors = _read(Path(source)) if isinstance(source, (str, Path)) else dict(source)
    own = model.state_dict()
    try:
        if tensors.keys() == own.keys():
            tensors = {name: tensors[name] for name in own}
        elif isinstance(source, (str, Path)) and Path(source).suffix == ".safetensors":
            tensors = ordered(tensors)
        theirs, ours = structure(tensors), structure(own)
    except ValueError as error:
        raise WeightsError(f"weights: {error}") from None
    waiting: dict[Any, list[Layer]] = defaultdict(list)
    for layer in theirs.layers:
        waiting[_kind(layer, tensors)].append(layer)
    pairs: list[tuple[Layer, Layer]] = []
    same_names = tensors.keys() == own.keys()
    known = [n for n in ours.others if same_names and tensors[n].shape == own[n].shape]
    missing = [name for name in ours.others if name not in known]
    for layer in ours.layers:
        same = waiting[_kind(layer, own)]
        if same:
            pairs.append((same.pop(0), layer))
        else:
            missing.append(layer.name)
    used = {there.name for there, _ in pairs}
    unused = [layer.name for layer in theirs.layers if layer.name not in used]
    if not pairs or ((missing or unused) and not partial):
        raise WeightsError(_mismatch(missing, unused, own, tensors))
    new: dict[str, Tensor] = {name: tensors[name] for name in known}
    for there, here in pairs:
        _take(there, here, tensors, own, new)
    for name, tensor in new.items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"weights: what they hold for {name} is not finite: mend the file")
    model.load_state_dict({**own, **new})
    names = [(there.name, here.name) for there, here in pairs]
    return WeightsReport(names, missing, unused, [n for n in theirs.others if n not in known])


def _kind(layer: Layer, tensors: Mapping[str, Tensor]) -> Any:
    """What two layers must share. A bias before a norm doesn't count."""
    biased = layer.norm is None and layer.bias is not None
    return tuple(tensors[layer.weight].shape), layer.norm is not None, biased


def _take(
    there: Layer,
    here: Layer,
    tensors: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    new: dict[str, Tensor],
) -> None:
    new[here.weight] = tensors[there.weight]
    bias = None if there.bias is None else tensors[there.bias]
    if here.norm is None or there.norm is None:
        if here.bias is not None and bias is not None:
            new[here.bias] = bias
        return
    for kind in NORM:
        new[f"{here.norm}.{kind}"] = tensors[f"{there.norm}.{kind}"]
    tracked = f"{there.norm}.num_batches_tracked"
    if tracked in tensors:
        new[f"{here.norm}.num_batches_tracked"] = tensors[tracked]
    if here.bias is not None:
        new[here.bias] = torch.zeros_like(own[here.bias]) if bias is None else bias
    elif bias is not None:
        new[f"{here.norm}.running_mean"] = tensors[f"{there.norm}.running_mean"] - bias


def _mismatch(
    missing: list[str],
    unused: list[str],
    own: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
) -> str:
    def some(names: list[str], where: Mapping[str, Tensor]) -> str:
        name = names[0]
        tensor = where[f"{name}.weight"] if f"{name}.weight" in where else where[name]
        return f"{name} {[*tensor.shape]}" + (f" and {len(names) - 1} more" if names[1:] else "")

    said = []
    if missing:
        said.append(f"nothing in them fits {some(missing, own)} of the network")
    if unused:
        said.append(f"the network has no place for {some(unused, tensors)} of theirs")
    if not said:
        said.append("they hold no layers")
    return f"weights of another network: {'; '.join(said)}"


def plain_values(path: Path) -> Any:
    """What torch.save wrote into a file, tensors on the CPU; nothing in it is run.

    Raises:
        FileNotFoundError, or one of FAULTS where it is damaged or holds anything else.
    """
    if path.exists() and not zipfile.is_zipfile(path):
        raise zipfile.BadZipFile("it is not an archive as torch.save writes it")
    with warnings_about(path):
        # It may not read this version of pickle: it tries.
        warnings.filterwarnings("ignore", "Detected pickle protocol")
        return torch.load(path, map_location="cpu", weights_only=True)


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file; WeightsError where it holds anything else."""
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = plain_values(path)
    except FileNotFoundError:
        raise WeightsError(f"there is no weights file {path}") from None
    except pickle.UnpicklingError:  # whose message advises to load it all the same
        raise WeightsError(
            f"the weights file {path} is damaged, or holds objects that may run code, which is "
            "never done here: save the state dict alone, best as safetensors"
        ) from None
    except (SafetensorError, *FAULTS) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"the weights file {path} can't be read ({first}): save the state dict alone, best as "
            "safetensors"
        ) from None
    return _tensors(content, path)


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    """The tensors by name that a file holds, alone or as one entry of a checkpoint."""
    if not isinstance(content, dict) or _by_name(content):
        found = {"": content}
    else:
        found = {str(key): value for key, value in content.items() if _by_name(value)}
        known = next((key for key in _KEYS if key in found), None)
        found = found if known is None else {known: found[known]}
    if len(found) > 1:
        raise WeightsError(
            f"the weights file {path} holds several networks ({', '.join(found)}): save one of "
            "them alone"
        )
    for tensors in found.values():
        if _by_name(tensors):
            return dict(tensors)
    held = f", but {', '.join(map(str, content))}" if isinstance(content, dict) and content else ""
    raise WeightsError(f"the weights file {path} holds no tensors by name{held:.300}")


def _by_name(value: Any) -> bool:
    """Whether this is a state dict, with at least one tensor."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
    )
