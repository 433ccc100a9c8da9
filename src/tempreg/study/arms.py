"""The arms of a study, as a user names them: an objective, and what else it changes.

step+mse                    the objective; the arm has its name
trt@lam=1e-3@decay=0.25     with settings of the objective, or of anything by dotted name
again=step                  an arm's own name, so that one objective can come twice
step@seed=+100              every run's seed is raised by 100
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from tempreg.config import ConfigError
from tempreg.config.structure import leaves, suggest
from tempreg.config.yaml import parse

OF_ADAMW = {"smooth": {"optimizer.name": "adamw"}}
"""Arms that need more than an objective: label smoothing goes with decoupled weight decay."""

STRENGTHS = (1.0, 10.0, 100.0, 600.0)
CANDIDATES: dict[str, tuple[str, tuple[float, ...]]] = {
    "smooth": ("optimizer.weight_decay", (0.01, 0.1, 0.5, 2.0)),
    "tet": ("objective.tet_lam", (0.01, 0.05, 0.2, 0.5)),
    "kd": ("objective.distill", (0.1, 0.3, 0.5, 0.7)),
    "mse": ("objective.eta", (0.001, 0.01, 0.05, 0.2)),
}
"""The one setting that each kind of arm may choose on validation, beside a penalty's strength."""


@dataclass(frozen=True)
class Arm:
    """A training method in a study. Final.

    Attributes:
        name: unique in its study.
        changes: settings by dotted name, relative to the study's base.
        seed_shift: added to the seed of every run.
    """

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    seed_shift: int = 0

    @property
    def folder(self) -> str:
        """The name, as a folder can be called."""
        return re.sub(r"[^\w+=@.,-]", "_", self.name).lstrip(".") or "_"


def parse_arm(text: str) -> Arm:
    """An arm, from the syntax above; ConfigError where it is none."""
    named = re.fullmatch(r"([^=@]+)=(.+)", text)
    name, spec = (named[1], named[2]) if named else (text, text)
    objective, *settings = spec.split("@")
    changes: dict[str, Any] = {"objective.name": objective, **OF_ADAMW.get(objective, {})}
    shift = 0
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"arm {text!r}: expected @setting=value, got @{setting}")
        if key == "seed":
            if not re.fullmatch(r"[+]\d+", value):
                raise ConfigError(f"arm {text!r}: seed must be raised, as @seed=+100, got {value}")
            shift = int(value)
            continue
        dotted = _dotted(key, text)
        changes[dotted] = parse(value, f"arm {text!r}")
    return Arm(name, changes, shift)


def _dotted(key: str, text: str) -> str:
    known = [dotted for dotted, _, _ in leaves()]
    for dotted in (f"objective.{key}", key):
        if dotted in known:
            return dotted
    short = [dotted.removeprefix("objective.") for dotted in known]
    raise ConfigError(f"arm {text!r}: unknown setting {key}{suggest(key, short)}")


def parse_arms(text: str) -> list[Arm]:
    """Arms from a list with commas; ConfigError where two have one name."""
    arms = [parse_arm(part.strip()) for part in text.split(",") if part.strip()]
    if not arms:
        raise ConfigError("name at least one objective, as in --objectives step,trt")
    for name in ("name", "folder"):
        seen: set[str] = set()
        for arm in arms:
            value = getattr(arm, name)
            if value.casefold() in seen:
                raise ConfigError(
                    f"two arms are called {value!r}: give one of them a name, as other={arm.name}"
                )
            seen.add(value.casefold())
    return arms


def swept(arms: list[Arm], sweeps: list[str]) -> list[Arm]:
    """Each arm at each point of a grid; a sweep is SETTING=VALUE,VALUE,..."""
    for text in sweeps:
        key, equals, values = text.partition("=")
        if not equals or not values:
            raise ConfigError(f"--sweep {text!r}: expected SETTING=VALUE,VALUE,...")
        dotted = _dotted(key, f"--sweep {text}")
        arms = [
            Arm(
                f"{arm.name}@{key}={value}",
                arm.changes | {dotted: parse(value, f"--sweep {text}")},
                arm.seed_shift,
            )
            for arm in arms
            for value in values.split(",")
        ]
    return arms


def candidates(arm: Arm, lam: float, count: int) -> list[dict[str, Any]]:
    """What an arm may choose from on validation: up to `count` values of its one free setting.

    A penalty is tried at 1, 10, 100 and 600 times `lam`. A setting that the arm fixes is not
    tried, and rate, step and anytime have none: they are trained as they are.
    """
    objective = arm.changes["objective.name"]
    terms = ["step", "mse", "trt"] if objective == "trt" else objective.split("+")
    if {"trt", "l2"} & set(terms):
        setting, values = "objective.lam", tuple(lam * factor for factor in STRENGTHS)
    else:
        kinds = [term for term in terms if term in CANDIDATES]
        if not kinds:
            return []
        setting, values = CANDIDATES[kinds[-1]]
    return [] if setting in arm.changes else [{setting: value} for value in values[:count]]
