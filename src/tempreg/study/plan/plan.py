"""What a study consists of, written down before anything is trained.

study.yaml              this plan; a study grows, and nothing of it changes: `study.plan.growing`
base.yaml               the settings that all runs share
trials/ARM/N/           what an arm tried on validation, on data and seeds of no run
runs/ARM/REPLICATE/     the runs
analyses, results       see `tempreg.study.collect`
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import yaml

from tempreg.config import ConfigError, RunConfig, config_from_dict, config_to_dict
from tempreg.config.dotted import setting_of, with_settings
from tempreg.config.yaml import parse
from tempreg.errors import RequestError
from tempreg.options.own import is_own
from tempreg.runs.build import as_config_errors, build_data, build_model, build_objective
from tempreg.runs.own.network import check_network
from tempreg.runs.own.trust import NOTHING, Trust
from tempreg.study.files import PLAN
from tempreg.study.plan.arms import Arm
from tempreg.study.plan.search import parse_range, search_points
from tempreg.study.plan.tuning import Candidate, grid, paired

VERSION = 1
TRIAL_SEED = 1_000_000
"""Trials use seeds from here on, so that nothing is chosen on what is later compared."""

CHOSEN_BY = ("val_accuracy", "val_mean_accuracy_over_steps")
"""What trials are scored by: the mean of these columns, at the last timestep and over all."""

_COUNTS = ("first_replicates", "trial_epochs")
"""What stands in study.yaml only where a study has it."""

SAMPLES, DRAWS = 1024, 20
"""Of the analyses of a study, where nothing else is asked for."""


@final
class StudyError(RequestError):
    """A study's folder that can't be used; the message says why."""


@final
@dataclass(frozen=True)
class Replicate:
    """One repetition, shared by all arms: a seed, and the split of the data it draws."""

    name: str
    changes: dict[str, Any]


@final
@dataclass(frozen=True)
class Run:
    """One training run of a study.

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


def failed_mark(run: Run) -> Path:
    """The file that says why a run failed."""
    return run.folder.with_name(run.folder.name + ".failed")


@final
@dataclass(frozen=True)
class Plan:
    """A study before it runs.

    Attributes:
        source: the preset or file that the base comes from.
        base: settings that all runs share.
        arms, replicates: each arm is run on each replicate.
        reference: the arm that the others are compared with.
        trials: candidates that an arm may try on validation; 0: none does.
        trial_seeds: how often each is tried, >= 1.
        trial_epochs: of each trial, >= 1; None: as many as of a run.
        chosen_by: columns of a trial's summary whose mean decides.
        tuning: "strengths": what arms without a strength try is nothing; "grid": it is the learning
            rate; "edges": and more is tried where the best is at an edge. See `study.tuning`.
        search: ranges that the candidates are drawn from, as `study.search` reads them; without
            any, candidates are the fixed values of `study.arms`.
        analyses: quantities that are analysed after each run; see `tempreg analyze`.
        samples, draws: for the analyses; see `tempreg analyze`.
        command: what the study was begun with, as a user types it; "" where nothing recorded it.
        first_replicates: how many it was begun with, where it has grown since: the folds of trials
            follow from that, and stay. None: all of them.
    """

    source: str
    base: RunConfig
    arms: tuple[Arm, ...]
    replicates: tuple[Replicate, ...]
    reference: str
    trials: int = 0
    analyses: tuple[str, ...] = ()
    samples: int = SAMPLES
    draws: int = DRAWS
    command: str = ""
    search: tuple[str, ...] = ()
    trial_seeds: int = 2
    chosen_by: tuple[str, ...] = CHOSEN_BY
    tuning: str = "edges"
    first_replicates: int | None = None
    trial_epochs: int | None = None

    def text(self) -> str:
        """study.yaml."""
        content = {
            "version": VERSION,
            "source": self.source,
            "command": self.command,
            "reference": self.reference,
            "trials": self.trials,
            "trial_seeds": self.trial_seeds,
            "chosen_by": list(self.chosen_by),
            "tuning": self.tuning,
            "search": list(self.search),
            "analyses": list(self.analyses),
            "samples": self.samples,
            "draws": self.draws,
            "arms": [asdict(arm) for arm in self.arms],
            "replicates": [asdict(replicate) for replicate in self.replicates],
            "base": config_to_dict(self.base),
        }
        for name in _COUNTS:
            if getattr(self, name) is not None:
                content[name] = getattr(self, name)
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

    def trials_of(self, root: Path, arm: Arm, candidates: list[Candidate]) -> list[Run]:
        """Every candidate of an arm on each of the trials' seeds, which no replicate has."""
        runs, epochs = [], self.trial_epochs
        shorter = {} if epochs is None else {"epochs": epochs}
        for number, candidate in enumerate(candidates):
            for seed in range(self.trial_seeds):
                name = str(number) if self.trial_seeds == 1 else f"{number}-{seed}"
                folder = root / "trials" / arm.folder / name
                changes = self._trial_place(seed) | self._unwatched() | arm.changes
                changes |= shorter | candidate
                runs.append(Run(arm.name, name, folder, changes, trial=True))
        return runs

    def trial_runs(self, root: Path) -> list[Run]:
        """The trials that are known before any has ended."""
        return [run for arm in self.arms for run in self.trials_of(root, arm, self.candidates(arm))]

    @staticmethod
    def candidate_of(trial: Run) -> int:
        """The number of the candidate that a trial tries."""
        return int(trial.replicate.partition("-")[0])

    def _trial_place(self, seed: int) -> dict[str, Any]:
        """Seed and split of the seed-th trial of a candidate: of no replicate."""
        data = self.base.data
        place: dict[str, Any] = {"seed": TRIAL_SEED + seed}
        if data.folds or data.train_size is not None:
            place["data.split_seed"] = TRIAL_SEED + seed
        if data.folds:
            begun = self.first_replicates or len(self.replicates)
            before = begun if self.trial_seeds == 1 else 0
            place["data.fold"] = (before + seed) % data.folds
            if data.reserve:
                place["data.within_reserve"] = True
        return place

    def _unwatched(self) -> dict[str, int]:
        """A trial is for its last validation alone: what is measured on the way is left out."""
        watched = ("test_every", "snapshot_every", "fisher_every")
        return {name: 0 for name in watched if setting_of(self.base, name)}

    def candidates(self, arm: Arm) -> list[Candidate]:
        """What an arm tries first."""
        if self.search:
            ranges = tuple(parse_range(text) for text in self.search)
            return search_points(ranges, arm.changes, self.trials)
        return grid(arm, self.base, self.trials, learning_rate=self.tuning != "strengths")

    def config(self, run: Run) -> RunConfig:
        """The resolved settings of a run; ConfigError where they don't fit together."""
        config = with_settings(self.base, run.changes, f"arm {run.arm}")
        if config.data.validation == 0:  # and so nothing that was chosen on the test set either
            raise ConfigError(
                f"arm {run.arm}: a study reports validation beside test accuracy, and no arm may "
                "choose on the test set: set data.validation above 0, and keep last or best; "
                "single runs train as published with `tempreg train`"
            )
        return config

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
    check_settings_fit(plan)
    if plan.search and not any(plan.candidates(arm) for arm in plan.arms):
        raise ConfigError("--search finds nothing to try: give --trials, and arms that read it")
    return plan


def _check_short_trials(plan: Plan) -> None:
    if not plan.trials:
        raise ConfigError("--trial-epochs is for the trials of a study: give --trials, too")
    for arm in plan.arms:
        if (pair := paired(arm, plan.arms)) is not None:
            raise ConfigError(
                f"arm {arm.name} is matched in trials to the norm that the weights of {pair.name} "
                "have at the end of a run: leave --trial-epochs out"
            )


def check_settings_fit(plan: Plan) -> None:
    """ConfigError where the settings of a run or a trial don't fit together."""
    if plan.trial_epochs is not None:
        _check_short_trials(plan)
    for run in (*plan.runs(Path(), {}), *plan.trial_runs(Path())):
        plan.config(run)


def check_first_runs(plan: Plan, trust: Trust = NOTHING) -> None:
    """ConfigError where data, network or objective of an arm can't be had, before anything runs.

    Of code that the plan names, only what `trust` has is imported; CodeNotTrusted for other.
    """
    first = plan.replicates[0].name
    with as_config_errors():
        runs = [run for run in plan.runs(Path(), {}) if run.replicate == first]
        for run in runs:
            trust.check_all(plan.config(run))
        data = build_data(plan.config(runs[0]), trust)
        for run in runs:
            config = plan.config(run)
            network = build_model(config, data, trust)
            if is_own(config.model.name):
                check_network(config, data, network)
            build_objective(config, network, trust, data.numbers)


def read_plan(root: Path) -> Plan:
    """The plan of a study; StudyError where the folder holds none, or one that is damaged."""
    path = root / PLAN
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
            trial_seeds=content.get("trial_seeds", 1),
            chosen_by=tuple(content.get("chosen_by", ("val_mean_accuracy_over_steps",))),
            tuning=content.get("tuning", "strengths"),
            analyses=tuple(content["analyses"]),
            samples=content["samples"],
            draws=content.get("draws", 3),
            command=str(content.get("command", "")),
            search=tuple(content.get("search", ())),
            **{name: _count(name, content.get(name)) for name in _COUNTS},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StudyError(f"{path} is damaged: {error}") from None


def _replicate(name: str, changes: dict[str, Any]) -> Replicate:
    if not name.isdecimal():  # it becomes a folder's name
        raise ValueError(f"a replicate is called {name!r}")
    return Replicate(name, changes)


def _count(name: str, value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or value < 1):
        raise ValueError(f"{name} is {value!r}")
    return value
