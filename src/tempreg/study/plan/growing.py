"""How a study grows: what is there stays as it is; seeds, arms and analyses come to it.

study.yaml is the plan of the whole, and under `added` it says by which command what was added, and
when. `continued` has the commands that earlier versions added analyses by.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, final

import yaml

from tempreg.config import ConfigError, RunConfig, config_text, config_to_dict
from tempreg.config.dotted import flat
from tempreg.config.yaml import parse
from tempreg.files import write_text
from tempreg.runs.identity import NO_MEANING
from tempreg.study.files import BASE, PLAN
from tempreg.study.plan.arms import Arm, apart
from tempreg.study.plan.plan import (
    Plan,
    Replicate,
    StudyError,
    check_settings_fit,
    read_plan,
    resampled,
)
from tempreg.study.plan.tuning import paired

KEPT = ("reference", "trials", "trial_seeds", "trial_epochs", "search")
"""What a study is continued with unchanged, beside its base and the arms that it has."""

ANALYSED = ("analyses", "samples", "draws")
"""What it may be continued with other values of, for it comes after the runs."""

_SHOWN = 3
"""Differences that a sentence names."""

_BEGUN = (".lock", BASE)
"""What a study may leave behind that was killed before its study.yaml existed."""


@final
@dataclass(frozen=True)
class Asked:
    """What is asked of a study that has begun; None: as it has it.

    Attributes:
        base: settings that all runs share.
        arms: some that it has.
        added: arms that it need not have yet.
        seeds: runs an arm, >= 1; where it has more, these stay.
        analyses: beside those that it has.
        command: that asks, as a user types it.
        reference, trials, trial_seeds, trial_epochs, search, samples, draws: as in a `Plan`.
    """

    base: RunConfig | None = None
    arms: tuple[Arm, ...] = ()
    added: tuple[Arm, ...] = ()
    seeds: int | None = None
    reference: str | None = None
    trials: int | None = None
    trial_seeds: int | None = None
    trial_epochs: int | None = None
    search: tuple[str, ...] | None = None
    analyses: tuple[str, ...] = ()
    samples: int | None = None
    draws: int | None = None
    command: str = ""


def grown(before: Plan, root: Path, asked: Asked) -> Plan:
    """The plan of a study with what is asked for added to it.

    Raises:
        StudyError: it was begun with other settings, of which the first are named; or what is
            added would change what is there.
        ConfigError: an arm's settings can't be, or fewer than one seed is asked for.
    """
    if asked.seeds is not None and asked.seeds < 1:
        raise ConfigError(f"--seeds must be >= 1, got {asked.seeds}")
    known = {arm.name: arm for arm in before.arms}
    if new := [arm.name for arm in asked.arms if arm.name not in known]:
        raise StudyError(
            f"the study in {root} has no arm {new[0]}; it has {', '.join(known)}: an arm is added "
            f"with --add {','.join(new)}"
        )
    _check_alike(before, root, asked)
    arms = (*before.arms, *(arm for arm in asked.added if arm.name not in known))
    apart(list(arms))
    _check_pairs(before, arms, root)
    replicates = _more(before, root, asked.seeds or 0)
    first = before.first_replicates
    if len(replicates) > len(before.replicates):
        first = first or len(before.replicates)
    plan = replace(
        before,
        arms=arms,
        replicates=replicates,
        first_replicates=first,
        analyses=tuple(dict.fromkeys((*before.analyses, *asked.analyses))),
        samples=asked.samples or before.samples,
        draws=asked.draws or before.draws,
        command=asked.command,
    )
    check_settings_fit(plan)
    return plan


def _check_alike(before: Plan, root: Path, asked: Asked) -> None:
    """StudyError where the study was begun with other settings than are asked for."""
    differing = []
    if asked.base is not None:
        base = _observed_alike(asked.base, before.base)
        differing += _differences(config_to_dict(before.base), config_to_dict(base))
    for name in KEPT:
        was, wanted = getattr(before, name), getattr(asked, name)
        if wanted is not None and wanted != was:
            differing.append(f"{name} {_shown(was)}, not {_shown(wanted)}")
    known = {arm.name: arm for arm in before.arms}
    for arm in (*asked.arms, *asked.added):
        if arm.name in known and known[arm.name] != arm:
            changes = _differences(asdict(known[arm.name]), asdict(arm))
            differing += [f"arm {arm.name}: {d.removeprefix('changes.')}" for d in changes]
    if differing:
        more = len(differing) - _SHOWN
        raise StudyError(
            f"the study in {root} was begun with {'; '.join(differing[:_SHOWN])}"
            f"{f'; and {more} more differ' if more > 0 else ''}: `tempreg compare --out {root}` "
            "continues it with its own settings; for others give another --out"
        )


def _differences(was: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Every setting that differs: what it was, and what it shall be."""
    flat_was, flat_wanted = flat(was), flat(wanted)
    names = dict.fromkeys((*flat_was, *flat_wanted))
    pairs = [(name, flat_was.get(name), flat_wanted.get(name)) for name in names]
    return [f"{name} {_shown(a)}, not {_shown(b)}" for name, a, b in pairs if a != b]


def _shown(value: Any) -> str:
    if value is None or value in ("", ()):
        return "none"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _check_pairs(before: Plan, arms: tuple[Arm, ...], root: Path) -> None:
    """StudyError where an arm that was tuned on its own would now be matched to a new one."""
    if not before.trials:
        return
    for arm in before.arms:
        pair = paired(arm, arms)
        if pair is not None and paired(arm, before.arms) is None:
            raise StudyError(
                f"adding {pair.name} to the study in {root} would change {arm.name}, which chose "
                f"its strength without it and would now be matched to it: begin a study with both"
            )


def _more(before: Plan, root: Path, seeds: int) -> tuple[Replicate, ...]:
    """The study's repetitions, and as many more as `seeds` asks for."""
    added = [resampled(before.base, i) for i in range(len(before.replicates), seeds)]
    names = {replicate.name for replicate in before.replicates}
    if clash := [replicate.name for replicate in added if replicate.name in names]:
        raise StudyError(
            f"{root / PLAN} has a replicate {clash[0]} that isn't one in order, so that none can "
            "be added"
        )
    return (*before.replicates, *added)


def _observed_alike(base: RunConfig, before: RunConfig) -> RunConfig:
    """The base with what runs keep for analyses as the study has it, where nothing else is said:
    a study may have begun without them. So with what changes no number, whose default may be
    another one by now."""
    default, kept = RunConfig(), ("snapshot_every", "fisher_every", *NO_MEANING)
    unsaid = [name for name in kept if getattr(base, name) == getattr(default, name)]
    return replace(base, **{name: getattr(before, name) for name in unsaid})


def check_begins(plan: Plan) -> None:
    """ConfigError where a study can't be begun so, though its settings fit together."""
    if plan.trials and plan.base.data.folds and not plan.base.data.reserve:
        raise ConfigError(
            "--trials under cross-validation would see recordings that are tested later: set "
            "some aside for them, as with --data.reserve 0.25"
        )


def check_folder(plan: Plan, root: Path) -> None:
    """StudyError unless the folder is absent, empty, or holds a study that the plan goes on with:
    an equal one, or one that it adds to."""
    if (root / PLAN).exists():
        before = read_plan(root)
        for name in ("base", *KEPT):
            if getattr(before, name) != getattr(plan, name):
                raise StudyError(
                    f"{root} holds a study with another {name}: `tempreg compare --out {root}` "
                    "continues it as it was begun; for another give another --out"
                )
        for name in ("arms", "replicates"):
            there = getattr(before, name)
            if getattr(plan, name)[: len(there)] != there:
                raise StudyError(
                    f"{root} holds a study with other {name}: they are only added to; for others "
                    "give another --out"
                )
    elif root.exists() and (
        not root.is_dir() or any(item.name not in _BEGUN for item in root.iterdir())
    ):
        raise StudyError(f"{root} is not an empty folder: give another --out")


def additions(before: Plan, plan: Plan) -> dict[str, Any]:
    """What a plan adds to the one before, by the names of study.yaml; empty where nothing."""
    found: dict[str, Any] = {
        "arms": [arm.name for arm in plan.arms[len(before.arms) :]],
        "replicates": [r.name for r in plan.replicates[len(before.replicates) :]],
        "analyses": [name for name in plan.analyses if name not in before.analyses],
    }
    for name in ("samples", "draws"):
        if getattr(plan, name) != getattr(before, name):
            found[name] = getattr(plan, name)
    return {name: value for name, value in found.items() if value}


def write_plan(plan: Plan, root: Path) -> None:
    """Begin a study in its folder, or note what is added to it; see `check_folder`."""
    path = root / PLAN
    if not path.exists():
        write_text(root / BASE, config_text(plan.base))
        write_text(path, plan.text())
        return
    added = additions(read_plan(root), plan)
    if added:
        content = parse(path.read_text(encoding="utf-8"), str(path))  # with what was added by hand
        now = parse(plan.text(), str(path))
        for name in ("arms", "replicates", *ANALYSED, "first_replicates"):
            if name in now:
                content[name] = now[name]
        at = datetime.now(timezone.utc).isoformat(timespec="seconds")
        content.setdefault("added", []).append({"at": at, "command": plan.command, **added})
        write_text(path, yaml.safe_dump(content, sort_keys=False))
