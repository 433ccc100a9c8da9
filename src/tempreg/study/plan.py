"""What a study consists of, written down before anything is trained.

study.yaml              this plan; a study is continued with an equal one only
base.yaml               the settings that all runs share
trials/ARM/N/           what an arm tried on validation, on data and seeds of no run
runs/ARM/REPLICATE/     the runs
analyses, results       see `tempreg.study.collect`
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from tempreg.build import as_config_errors, build_data, build_model, build_objective
from tempreg.config import ConfigError, RunConfig, config_from_dict, config_text, config_to_dict
from tempreg.config.yaml import parse
from tempreg.errors import RequestError
from tempreg.files import write_text
from tempreg.study.arms import Arm, candidates
from tempreg.study.search import parse_range, search_points

VERSION = 1
TRIAL_SEED = 1_000_000
"""Trials use seeds from here on, so that nothing is chosen on what is later compared."""

COMPARED = (
    "base", "arms", "replicates", "reference", "trials", "search", "analyses", "samples",
)  # fmt: skip
"""What a study is continued with unchanged."""

_BEGUN = (".lock", "base.yaml")
"""What a study may leave behind that was killed before its study.yaml existed."""


class StudyError(RequestError):
    """A study's folder that can't be used; the message says why. Final."""


@dataclass(frozen=True)
class Replicate:
    """One repetition, shared by all arms: a seed, and the split of the data it draws. Final."""

    name: str
    changes: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One training run of a study. Final.

    Attributes:
        arm, replicate: whose it is; of a trial the replicate is the candidate's number.
        folder: its run directory.
        changes: settings by dotted name, relative to the base.
        trial: whether it is tried on validation only.
    """

    arm: str
    replicate: str
    folder: Path
    changes: dict[str, Any]
    trial: bool = False


@dataclass(frozen=True)
class Plan:
    """A study before it runs. Final.

    Attributes:
        source: the preset or file that the base comes from.
        base: settings that all runs share.
        arms, replicates: each arm is run on each replicate.
        reference: the arm that the others are compared with.
        trials: candidates that an arm may try on validation; 0: none does.
        search: ranges that the candidates are drawn from, as `study.search` reads them; without
            any, candidates are the fixed values of `study.arms`.
        analyses: quantities that are analysed after each run; see `tempreg analyze`.
        samples: samples for the analyses.
        command: what the study was begun with, as a user types it; "" where nothing recorded it.
    """

    source: str
    base: RunConfig
    arms: tuple[Arm, ...]
    replicates: tuple[Replicate, ...]
    reference: str
    trials: int = 0
    analyses: tuple[str, ...] = ()
    samples: int = 256
    command: str = ""
    search: tuple[str, ...] = ()

    def text(self) -> str:
        """study.yaml."""
        content = {
            "version": VERSION,
            "source": self.source,
            "command": self.command,
            "reference": self.reference,
            "trials": self.trials,
            "search": list(self.search),
            "analyses": list(self.analyses),
            "samples": self.samples,
            "arms": [asdict(arm) for arm in self.arms],
            "replicates": [asdict(replicate) for replicate in self.replicates],
            "base": config_to_dict(self.base),
        }
        return yaml.safe_dump(content, sort_keys=False)

    def runs(self, root: Path, chosen: dict[str, dict[str, Any]]) -> list[Run]:
        """All runs, replicate by replicate, so that a study cut short is still paired."""
        return [
            Run(
                arm.name,
                replicate.name,
                root / "runs" / arm.folder / replicate.name,
                self._shifted(arm, replicate.changes) | arm.changes | chosen.get(arm.name, {}),
            )
            for replicate in self.replicates
            for arm in self.arms
        ]

    def trial_runs(self, root: Path) -> list[Run]:
        """Every candidate of every arm once, on a seed and split of no replicate."""
        place = resampled(self.base, len(self.replicates)).changes | {"seed": TRIAL_SEED}
        if self.base.data.folds or self.base.data.train_size is not None:
            place["data.split_seed"] = TRIAL_SEED
        return [
            Run(
                arm.name,
                str(number),
                root / "trials" / arm.folder / str(number),
                place | arm.changes | candidate,
                trial=True,
            )
            for arm in self.arms
            for number, candidate in enumerate(self.candidates(arm))
        ]

    def candidates(self, arm: Arm) -> list[dict[str, Any]]:
        """What an arm may choose from on validation."""
        if self.search:
            ranges = tuple(parse_range(text) for text in self.search)
            return search_points(ranges, arm.changes, self.trials)
        return candidates(arm, self.base.objective.lam, self.trials)

    def config(self, run: Run) -> RunConfig:
        """The resolved settings of a run; ConfigError where they don't fit together."""
        data = config_to_dict(self.base)
        for dotted, value in run.changes.items():
            section = data
            *path, name = dotted.split(".")
            for key in path:
                section = section[key]
            section[name] = value
        return config_from_dict(data, f"arm {run.arm}")

    @staticmethod
    def _shifted(arm: Arm, changes: dict[str, Any]) -> dict[str, Any]:
        return changes | {"seed": changes["seed"] + arm.seed_shift}


def resampled(base: RunConfig, index: int) -> Replicate:
    """The index-th repetition: its seed, and with folds or a drawn training set its split.

    Cross-validation goes through all folds of one partition before it draws the next.
    """
    changes: dict[str, Any] = {"seed": base.seed + index}
    if base.data.folds:
        changes["data.fold"] = index % base.data.folds
        changes["data.split_seed"] = base.data.split_seed + index // base.data.folds
    elif base.data.train_size is not None:
        changes["data.split_seed"] = base.data.split_seed + index
    return Replicate(f"{index:03d}", changes)


def make_plan(source: str, base: RunConfig, arms: list[Arm], seeds: int, **options: Any) -> Plan:
    """A plan of `seeds` replicates; ConfigError where an arm's settings can't be."""
    if seeds < 1:
        raise ConfigError(f"--seeds must be >= 1, got {seeds}")
    replicates = tuple(resampled(base, index) for index in range(seeds))
    plan = Plan(
        source, base, tuple(arms), replicates, options.pop("reference", arms[0].name), **options
    )
    if plan.reference not in {arm.name for arm in arms}:
        raise ConfigError(
            f"the reference {plan.reference!r} is not among the arms: choose one of "
            f"{', '.join(arm.name for arm in arms)}"
        )
    for run in (*plan.runs(Path(), {}), *plan.trial_runs(Path())):
        plan.config(run)
    if plan.search and not any(plan.candidates(arm) for arm in plan.arms):
        raise ConfigError("--search finds nothing to try: give --trials, and arms that read it")
    return plan


def check_first_runs(plan: Plan) -> None:
    """ConfigError where data, network or objective of an arm can't be had, before anything runs."""
    first = plan.replicates[0].name
    with as_config_errors():
        runs = [run for run in plan.runs(Path(), {}) if run.replicate == first]
        data = build_data(plan.config(runs[0]))
        for run in runs:
            config = plan.config(run)
            build_objective(config, build_model(config, data))


def check_folder(plan: Plan, root: Path) -> None:
    """StudyError unless the folder is absent, empty, or holds a study with an equal plan."""
    if (root / "study.yaml").exists():
        before = read_plan(root)
        for name in COMPARED:
            if getattr(before, name) != getattr(plan, name):
                raise StudyError(
                    f"{root} holds a study with other {name}: continue it with the options it was "
                    "begun with, or give another --out"
                )
    elif root.exists() and (
        not root.is_dir() or any(item.name not in _BEGUN for item in root.iterdir())
    ):
        raise StudyError(f"{root} is not an empty folder: give another --out")


def write_plan(plan: Plan, root: Path) -> None:
    """Begin a study in its folder, unless it has begun; see `check_folder`."""
    if not (root / "study.yaml").exists():
        write_text(root / "base.yaml", config_text(plan.base))
        write_text(root / "study.yaml", plan.text())


def read_plan(root: Path) -> Plan:
    """The plan of a study; StudyError where the folder holds none, or one that is damaged."""
    path = root / "study.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise StudyError(f"{root} holds no study: it has no study.yaml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} can't be read: {error}") from None
    content = parse(text, str(path))
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise StudyError(f"{path} is no study of this version ({VERSION})")
    try:
        return Plan(
            source=content["source"],
            base=config_from_dict(content["base"], f"{path}: base"),
            arms=tuple(Arm(**arm) for arm in content["arms"]),
            replicates=tuple(_replicate(**item) for item in content["replicates"]),
            reference=content["reference"],
            trials=content["trials"],
            analyses=tuple(content["analyses"]),
            samples=content["samples"],
            command=str(content.get("command", "")),
            search=tuple(content.get("search", ())),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StudyError(f"{path} is damaged: {error}") from None


def _replicate(name: str, changes: dict[str, Any]) -> Replicate:
    if not name.isdecimal():  # it becomes a folder's name
        raise ValueError(f"a replicate is called {name!r}")
    return Replicate(name, changes)
