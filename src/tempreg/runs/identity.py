"""Which run a folder holds: settings that decide, and the digest that stands for them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from tempreg.config import RunConfig, config_to_dict, read_config
from tempreg.config.dotted import flat
from tempreg.training.run_directory import RunDirectory, RunDirectoryError

NO_MEANING = ("workers", "devices", "num_nodes", "tensorboard")
"""Settings of how a run is computed, not of what: it may go on with other ones."""

_ELSEWHERE = ("device", "backend", "conv", "recompute", "precision", "tf32", "deterministic")
"""Settings of how a run is computed that it may go on with other ones of, on another machine, with
a warning where its weights will differ. Only 64-true is kept to, with its float64 weights."""


def check_same_run(run: RunDirectory, config: RunConfig) -> None:
    """RunDirectoryError where the run in the folder has other settings, naming the first."""
    before = flat(config_to_dict(read_config(run.config)))
    for name, value in flat(config_to_dict(config)).items():
        if before[name] != value and not _may_differ(name, before[name], value):
            raise RunDirectoryError(
                f"the run in {run.path} has {name}: {before[name]!r}, not {value!r}: continue it "
                "with its own settings, or give another --out"
            )


def _may_differ(name: str, before: Any, now: Any) -> bool:
    """Whether a run may go on with another value of a setting."""
    if name == "precision":
        return "64-true" not in (before, now)
    if name == "recompute":
        return "time" not in (before, now)  # the others give the same bits
    return name in (*NO_MEANING, *_ELSEWHERE)


def as_begun(run: RunDirectory, config: RunConfig) -> RunConfig:
    """The settings with the values that the run in the folder was begun with, where it may go on
    with others that have a meaning: what its checkpoints and its summary are known by."""
    before = read_config(run.config)
    return replace(config, **{name: getattr(before, name) for name in _ELSEWHERE})


def digest(config: RunConfig) -> str:
    """What stands for a configuration in checkpoints and summaries.

    Settings at their default are left out, so that a later version with more settings reads
    what this one trained; and those without a meaning, so that the run may go on with others.
    """
    return hashlib.sha256(json.dumps(chosen(config), sort_keys=True).encode()).hexdigest()


def chosen(config: RunConfig) -> dict[str, Any]:
    """Settings with a meaning that differ from their default, by dotted name."""
    default = flat(config_to_dict(RunConfig()))
    settings = flat(config_to_dict(config))
    return {k: v for k, v in settings.items() if v != default[k] and k not in NO_MEANING}


def finished_summary(run: RunDirectory) -> dict[str, Any]:
    """The summary of a finished run; RunDirectoryError where it isn't that of its config.yaml."""
    summary = run.read_json(run.summary)
    if summary.get("settings") != digest(read_config(run.config)):
        raise RunDirectoryError(
            f"the result in {run.path} was trained with other settings than its config.yaml has: "
            "put these back, or train again with another --out"
        )
    return summary
