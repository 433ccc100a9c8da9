"""A network of the user's as one that a run trains: found, made, wrapped and tried."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import torch
from torch import Tensor, nn

from tempreg.config import ConfigError, RunConfig
from tempreg.data import DataSet
from tempreg.foreign import library_of
from tempreg.interop.states import refuse_kept_states
from tempreg.models.own import OwnNetwork
from tempreg.options import NetworkOptions
from tempreg.options.field import part_of
from tempreg.runs.own.code import made, named_object, running
from tempreg.runs.own.trust import Trust

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
    wrapped.in_channels = data.in_channels  # type: ignore[assignment]
    if not any(p.requires_grad for p in wrapped.parameters()):
        raise ConfigError(f"{type(model).__name__} has no parameter that could be trained")
    return wrapped


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
    if not torch.equal(first.nan_to_num(), again.nan_to_num()):
        raise ConfigError(
            f"{where} answers the same batch in another way the second time: a state is left over "
            "from one batch to the next; begin every forward pass from a fresh state"
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
