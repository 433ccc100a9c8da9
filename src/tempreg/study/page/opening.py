"""What a study's page says first: the task, and what its arms' names mean."""

from __future__ import annotations

from typing import Any

from tempreg.config import PRESETS, config_to_dict
from tempreg.data import SOURCES
from tempreg.options import TERMS
from tempreg.options.terms import ALIASES
from tempreg.study.page.penalty import objective_of
from tempreg.study.results import ReportedArm, StudyData
from tempreg.study.statistics.comparison import endpoint
from tempreg.study.statistics.items import OF_NUMBERS

_NAME = "objective.name"


def lead(study: StudyData) -> str:
    """The task, its data, and where the settings come from."""
    said = f"Spiking networks{_network(study)} trained in different ways{_task(study)}, compared "
    said += "run by run"
    source = str(study.facts.get("source") or "")
    if source not in PRESETS:
        return f"{said}; settings from {source}." if source else f"{said}."
    changed = _base(study) not in ({}, config_to_dict(PRESETS[source]()))
    unless = " unless the study's command says others" * changed
    return f"{said}; settings are those of preset {source}{unless}."


def arms_key(study: StudyData) -> str:
    """What the arms' names mean, by the objectives' own summaries; "" without any."""
    used = {term.name for arm in study.arms for term in objective_of(arm).terms}
    said = [
        f"{'' if term.base else '+'}{name} = {term.summary}"
        for name, term in TERMS.items()
        if name in used
    ]
    names = {str(arm.changes.get(_NAME)) for arm in study.arms}
    said += [f"{short} = {_parts(long)}" for short, long in ALIASES.items() if short in names]
    said += [f"{arm.name} = {_spelled(arm)}" for arm in study.arms if _is_renamed(arm)]
    return f"The arms' names: {'; '.join(said)}." if said else ""


def _parts(name: str) -> str:
    """ "step with +mse and +trt"."""
    base, *terms = name.split("+")
    return f"{base} with {' and '.join(f'+{term}' for term in terms)}" if terms else base


def _task(study: StudyData) -> str:
    name, size = _data_name(study), _data(study).get("train_size")
    if not name:
        return ""
    title = f"{SOURCES[name].title} ({name})" if name in SOURCES else name
    verb = "predict the numbers of" if endpoint(study) == OF_NUMBERS else "classify"
    return f" to {verb} {title}" + (
        f", of which {size:,} are trained on" if isinstance(size, int) else ""
    )


def _network(study: StudyData) -> str:
    """Which, how large, and over how many timesteps, where the base says so."""
    model = _base(study).get("model")
    if not isinstance(model, dict) or not model.get("name"):
        return ""
    said, channels = str(model["name"]), model.get("channels")
    if isinstance(channels, list) and channels:
        said += f", {'-'.join(map(str, channels))}"
    steps = _base(study).get("num_steps")
    return f" ({said}{f', T {steps}' if isinstance(steps, int) else ''})"


def _base(study: StudyData) -> dict[str, Any]:
    return dict(study.facts.get("base") or {})


def _data_name(study: StudyData) -> str:
    return str(_data(study).get("name") or "")


def _data(study: StudyData) -> dict[str, Any]:
    return dict(_base(study).get("data") or {})


def _is_renamed(arm: ReportedArm) -> bool:
    """Whether it has a name of its own; those of sweeps, "trt@lam=1e-3", say what they are."""
    name = str(arm.changes.get(_NAME, arm.name))
    return arm.name != name and not arm.name.startswith(f"{name}@")


def _spelled(arm: ReportedArm) -> str:
    others = [f"{key} {value}" for key, value in arm.changes.items() if key != _NAME]
    return str(arm.changes[_NAME]) + (f" with {', '.join(others)}" if others else "")
