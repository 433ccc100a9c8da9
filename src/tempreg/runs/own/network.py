"""A network of the user's as one that a run trains: found, made, wrapped and tried."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import torch
from torch import Tensor, nn

from tempreg.config import ConfigError, RunConfig
from tempreg.data import DataSet
from tempreg.foreign import library_of, sees_later
from tempreg.interop.states import refuse_kept_states
from tempreg.models.layers import ConvNorm, choose_convolutions
from tempreg.models.norms import NormOverTime
from tempreg.models.own import OwnNetwork
from tempreg.models.recurrent import LinearNorm
from tempreg.options import NetworkOptions
from tempreg.options.field import part_of
from tempreg.runs.own.code import made, named_object, running
from tempreg.runs.own.trust import Trust

BatchNorm = nn.modules.batchnorm._BatchNorm
SAMPLES = 3
"""That a network is tried with; another number than most T, so that [T, B] shows a swap."""


def own_network(config: RunConfig, data: DataSet, trust: Trust) -> nn.Module:
    """The network that `model.name` names, in what gives it time first and checks its output.

    Raises:
        CodeNotTrusted, ConfigError: see `code.named_object` and `code.made`.
    """
    name = config.model.name
    found = named_object("model.name", name, trust)
    if isinstance(found, type) and not issubclass(found, nn.Module):
        raise ConfigError(f"model.name {name} is a class that isn't derived from torch.nn.Module")
    if not callable(found):
        raise ConfigError(f"model.name {name} is no class: name a torch.nn.Module, as my_net:Net")
    known = {
        "num_classes": len(data.classes),
        "in_channels": data.in_channels,
        "num_steps": config.num_steps,
        "input_size": data.input_size,
    }
    model = made("model.name", name, found, known, config.model.own)
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"model.name {name} makes a {type(model).__name__}, but a network is a torch.nn.Module"
        )
    return wrap(model, config, data)


def wrap(model: nn.Module, config: RunConfig, data: DataSet) -> nn.Module:
    """A module whose output is [T, B, classes], by the library whose neurons it has."""
    library: str = config.model.wrap
    if library == "auto":
        found = sorted({each.lower() for m in model.modules() if (each := library_of(m))})
        if len(found) > 1:
            raise ConfigError(
                f"{type(model).__name__} has neurons of {' and '.join(found)}, and a network is "
                "wrapped for one library: say --model.wrap none if it returns [T, B, classes]"
            )
        library = found[0] if found else "none"
    known: dict[str, Any] = {
        "model": model,
        "num_steps": config.num_steps,
        "num_classes": len(data.classes),
        "in_channels": data.in_channels,
    }
    kind: Any = OwnNetwork
    if library != "none":
        kind = importlib.import_module(f"tempreg.interop.{library}").TimeFirst
    where = "model.wrap_options"
    wrapped: nn.Module = made("model.wrap", library, kind, known, config.model.wrap_options, where)
    choose_convolutions(wrapped, config.conv)
    wrapped.in_channels = data.in_channels  # type: ignore[assignment]
    if config.data.unequal:
        _take_padding(config.model.name, wrapped)
    if not any(p.requires_grad for p in wrapped.parameters()):
        raise ConfigError(f"{type(model).__name__} has no parameter that could be trained")
    return wrapped


def _take_padding(name: str, network: nn.Module) -> None:
    """Let a network of the user's have sequences of unequal length; ConfigError where what is
    padded would count, and what to do."""
    if not isinstance(network, OwnNetwork):
        raise ConfigError(
            f"data.unequal: {name} is another library's network, and how that treats what is "
            "padded isn't known: take a network by name, or one of tempreg's neurons"
        )
    if layer := sees_later(network):
        raise ConfigError(
            f"data.unequal: {layer} of {name} lets what is padded move the timesteps before it: "
            "take tempreg.MaskedPSN or SlidingPSN"
        )
    modules = dict(network.named_modules())
    for layer, module in modules.items():
        inside = isinstance(modules[layer.rpartition(".")[0]], (ConvNorm, LinearNorm, NormOverTime))
        if isinstance(module, BatchNorm) and not inside and not network.takes_lengths:
            raise ConfigError(
                f"data.unequal: what is padded would be part of the statistics of {layer} of "
                f"{name}: give its forward an argument `lengths` (int64 [B]) and leave out what "
                "comes after them, or take nn.GroupNorm, which has no statistics of the batch"
            )
    network.padded = True


def unread(config: RunConfig) -> list[str]:
    """The settings of networks by name that are set, and that one of the user's doesn't read."""
    chosen, default = part_of(config.model, NetworkOptions), NetworkOptions()
    return [f"model.{name}" for name, value in chosen.items() if value != getattr(default, name)]


def check_network(config: RunConfig, data: DataSet, network: nn.Module) -> None:
    """ConfigError where a network of the user's can't do with the data what training will ask.

    A copy of it gets samples of the data: its output must have the right shape, be the same when
    they come again, which shows that no state is left over from the batch before, and smaller
    batches must be taken too.
    """
    where = f"model.name {config.model.name}"
    x = data.train.inputs(torch.arange(min(SAMPLES, len(data.train))))
    fewer = x.narrow(x.ndim - 4, 0, max(1, x.shape[x.ndim - 4] - 1))
    with running(where, "can't be copied"):
        trial = copy.deepcopy(network).eval()
    with torch.random.fork_rng(devices=[]):
        first = _answer(trial, x, where, f"fails on a batch {[*x.shape]}")
        _refuse_state(trial, x, where)
        again = _answer(trial, x, where, "fails when the same batch comes a second time")
        _answer(trial, fewer, where, f"fails on a smaller batch {[*fewer.shape]} after another")
    if getattr(network, "padded", False) and len(x) > 1:
        _check_padding(trial, x, where)
    if not torch.equal(first.nan_to_num(), again.nan_to_num()):
        raise ConfigError(
            f"{where} answers the same batch in another way the second time: a state is left over "
            "from one batch to the next; begin every forward pass from a fresh state"
        )


def _check_padding(trial: nn.Module, x: Tensor, where: str) -> None:
    """ConfigError where empty frames after a sequence's end change what came before."""
    short = max(1, len(x) // 2)
    padded = x.clone()
    padded[short:] = 0
    with torch.random.fork_rng(devices=[]):
        whole = _answer(trial, padded, where, "fails on sequences of unequal length")[:short]
        alone = _answer(trial, padded[:short], where, f"fails on {short} timesteps")
    if not torch.allclose(whole, alone, rtol=1e-3, atol=1e-4):
        raise ConfigError(
            f"data.unequal: {where} answers other than before where empty frames follow a "
            "sequence's end: make its layers see the past alone, or set data.unequal false"
        )


def _refuse_state(trial: nn.Module, x: Tensor, where: str) -> None:
    try:
        refuse_kept_states(trial, x.shape[x.ndim - 4])
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def _answer(trial: nn.Module, x: Tensor, where: str, what: str) -> Tensor:
    """The logits, with their graph, so that states which hold on to it can be seen."""
    torch.manual_seed(0)  # of what a network draws, as an encoding by random spikes
    with running(where, what):
        logits: Tensor = trial(x)
    return logits.detach()
