"""`tempreg.train`: a run of objects, or of names, from Python."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from torch import nn

from tempreg.config import ConfigError, RunConfig
from tempreg.config.dotted import leaves, with_settings
from tempreg.objectives import Objective
from tempreg.runs import fit
from tempreg.runs.own.given import Given
from tempreg.training.progress import Reporter
from tempreg.words import suggest


def train(
    *,
    model: nn.Module | str,
    data: Any,
    objective: Objective | str,
    out: str | PathLike[str],
    resume: bool = False,
    reporter: Reporter | None = None,
    settings: Mapping[str, Any] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """Train a network into a run's folder, as `tempreg train` does; returns the summary.

        tempreg.train(model=net, data=(train, test), objective="step", out="runs/mine",
                      num_steps=4, epochs=10, settings={"optimizer.lr": 2e-3})

    Args:
        model: a network, trained in place: [T, B, C, H, W] -> logits [T, B, classes], or one of
            SpikingJelly, snnTorch, Norse or sinabs; or a name, as "csnn" or "my_net:Net".
        data: a `tempreg.data.DataSet`; a map-style data set of (frames, label), or several, as
            (train, test) or a dict by part, whose other parts are drawn; or a name, as "nmnist".
        objective: an Objective, or a name, as "trt".
        out: a new folder, or with `resume` one with such a run, which is continued.
        resume: continue with the same objects.
        reporter: told about progress; silent by default.
        settings: other settings by dotted name.
        others: settings at the top level: seed, epochs, batch_size, num_steps, ...

    A folder can't hold objects: a run of one is read back with `tempreg.load(out, model=net)`, or
    continued here. What names stand for is found again by every command.

    Raises:
        ConfigError, ValueError: settings that don't fit each other, the data or the machine.
        RunDirectoryError: `out` can't be used.
        Interrupted, NonFiniteLoss, CheckpointError: see `training.loop.Trainer.fit`.
    """
    given = Given(
        model=None if isinstance(model, str) else model,
        data=None if isinstance(data, str) else data,
        objective=None if isinstance(objective, str) else objective,
    )
    _check(given)
    names = {"model": model, "data": data, "objective": objective}
    changes = {f"{part}.name": name for part, name in names.items() if isinstance(name, str)}
    changes |= {**given.names(), **(settings or {}), **others}
    for name in changes:
        _check_name(name)
    config = with_settings(RunConfig(), changes, "settings")
    return fit.train(config, Path(out), resume=resume, reporter=reporter, given=given)


def _check(given: Given) -> None:
    """ConfigError for a network or an objective that is none."""
    for name, value, kind, words in (
        ("model", given.model, nn.Module, "a torch.nn.Module"),
        ("objective", given.objective, Objective, "a tempreg.Objective"),
    ):
        if value is not None and not isinstance(value, kind):
            raise ConfigError(f"{name} must be {words} or a name, got a {type(value).__name__}")


def _check_name(name: str) -> None:
    known = [dotted for dotted, _, _ in leaves()]
    if name not in known:
        raise ConfigError(f"there is no setting {name!r}{suggest(name, known)}")
