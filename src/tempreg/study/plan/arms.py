"""The arms of a study, as a user names them: an objective, and what else it changes.

step+mse                    the objective; the arm has its name
trt@lam=1e-3@decay=0.25     with settings of the objective, or of anything by dotted name
again=step                  an arm's own name, so that one objective can come twice
step@seed=+100              every run's seed is raised by 100
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, final

from tempreg.config import ConfigError
from tempreg.config.dotted import leaves
from tempreg.config.yaml import parse
from tempreg.options import parse_objective
from tempreg.words import suggest

_LONGEST = 255
"""Bytes in the name of a folder, on most file systems."""


@final
@dataclass(frozen=True)
class Arm:
    """A training method in a study.

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
    if not name.isprintable() or not name.strip():
        raise ConfigError(f"arm {text!r}: a name is one line of characters that can be printed")
    _check_not_another(name, objective, text)
    try:
        terms = parse_objective(objective).terms
    except ValueError as error:
        raise ConfigError(f"arm {text!r}: {error}") from None
    changes: dict[str, Any] = {"objective.name": objective}
    for term in terms:
        changes |= term.brings
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


def _check_not_another(name: str, objective: str, text: str) -> None:
    """ConfigError where an arm has the name of an objective that it doesn't train with."""
    if ":" in name:
        return
    try:
        same = parse_objective(name) == parse_objective(objective)
    except ValueError:
        return  # one of them is none, of which `Plan.config` tells
    if not same:
        raise ConfigError(
            f"arm {text!r}: {name} is the name of another objective, for which a report would take "
            "it: choose another name"
        )


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
    return apart(arms)


def apart(arms: list[Arm]) -> list[Arm]:
    """The arms; ConfigError where two have one name or folder, or none can have it."""
    for arm in arms:
        if len(arm.folder.encode()) > _LONGEST:
            raise ConfigError(
                f"the arm {arm.name[:60]!r}... has a name too long for a folder: give it a shorter "
                "one, as short=OBJECTIVE@..."
            )
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
    return apart(arms)
