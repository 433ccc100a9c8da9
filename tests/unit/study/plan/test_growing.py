"""A study grows: runs that are there keep their settings, and what differs is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from tempreg.config import PRESETS, ConfigError
from tempreg.study.plan.arms import parse_arm, parse_arms
from tempreg.study.plan.growing import (
    Asked,
    additions,
    check_begins,
    check_folder,
    grown,
    write_plan,
)
from tempreg.study.plan.plan import Plan, StudyError, make_plan, read_plan

BASE = PRESETS["nmnist-trt"]()
FOLDS = replace(BASE, data=replace(BASE.data, folds=5))


def plan(arms: str = "rate,trt", seeds: int = 3, base: object = BASE, **options: object) -> Plan:
    return make_plan("nmnist-trt", base, parse_arms(arms), seeds, **options)


def begin(study: Plan, root: Path) -> None:
    check_folder(study, root)
    root.mkdir(exist_ok=True)
    write_plan(study, root)


@pytest.mark.parametrize("base", [BASE, FOLDS], ids=["drawn", "folds"])
@pytest.mark.parametrize("trial_seeds", [1, 2])
def test_a_grown_study_is_that_which_was_begun_so_large(base: object, trial_seeds: int) -> None:
    """Run by run and trial by trial: the same folders and the same settings."""
    small = plan(base=base, trials=2, trial_seeds=trial_seeds)
    large = plan("rate,trt,tet", 10, base=base, trials=2, trial_seeds=trial_seeds)
    found = grown(small, Path(), Asked(seeds=10, added=tuple(parse_arms("tet"))))
    folder = Path("study")
    wanted = {run.folder: run for run in large.runs(folder, {})}
    assert {run.folder: run for run in found.runs(folder, {})} == wanted
    trials = {run.folder: run for run in found.trial_runs(folder)}
    before = {run.folder: run for run in small.trial_runs(folder)}
    assert {place: trials[place] for place in before} == before
    again = grown(found, Path(), Asked(seeds=12))
    assert {r.folder: r for r in again.trial_runs(folder)} == trials


def test_study_yaml_keeps_what_was_added_when(tmp_path: Path) -> None:
    root = tmp_path / "study"
    begin(plan(), root)
    file = root / "study.yaml"
    file.write_text(file.read_text() + "margin: 0.01\n")
    arms = tuple(parse_arms("tet,trt"))
    larger = grown(read_plan(root), root, Asked(seeds=5, added=arms, command="tempreg compare it"))
    begin(larger, root)
    kept = yaml.safe_load(file.read_text())
    assert kept["margin"] == 0.01
    (entry,) = kept["added"]
    assert datetime.fromisoformat(entry.pop("at")).tzinfo is not None
    assert entry == {
        "command": "tempreg compare it", "arms": ["tet"], "replicates": ["003", "004"],
    }  # fmt: skip
    assert read_plan(root) == replace(larger, command="")
    text = file.read_text()
    begin(larger, root)  # the same once more adds nothing
    assert file.read_text() == text


def test_nothing_is_ever_taken_away(tmp_path: Path) -> None:
    """A command from before the study grew continues the whole of it."""
    root = tmp_path / "study"
    begin(plan("rate,trt,tet", 5), root)
    before = read_plan(root)
    asked = Asked(base=BASE, arms=tuple(parse_arms("rate,trt")), seeds=3)
    assert additions(before, grown(before, root, asked)) == {}
    with pytest.raises(StudyError, match="other arms: they are only added to"):
        check_folder(plan("rate,trt", 5), root)
    with pytest.raises(StudyError, match="other replicates"):
        check_folder(plan("rate,trt,tet", 4), root)


def test_a_study_begun_when_a_default_was_another_goes_on() -> None:
    """Where the default changes no number, and nobody asks for another value now."""
    before = plan(base=replace(BASE, workers=0))
    assert grown(before, Path(), Asked(base=BASE)) == before
    with pytest.raises(StudyError, match="begun with workers 0, not 2"):
        grown(before, Path(), Asked(base=replace(BASE, workers=2)))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (Asked(base=replace(BASE, epochs=99)), "begun with epochs 20, not 99:"),
        (
            Asked(base=replace(BASE, optimizer=replace(BASE.optimizer, lr=0.5))),
            r"begun with optimizer\.lr 0\.002, not 0\.5:",
        ),
        (Asked(reference="trt"), "begun with reference rate, not trt:"),
        (Asked(trials=4, search=("lam=1..2",)), "trials 0, not 4; search none, not lam=1..2:"),
        (
            Asked(added=(parse_arm("trt@lam=1e-3"), parse_arm("trt=trt@lam=1e-3"))),
            r"arm trt: objective\.lam none, not 0\.001",
        ),
        (Asked(arms=(parse_arm("trt@seed=+7"), parse_arm("trt=trt@seed=+7"))), "has no arm trt@"),
        (Asked(arms=(parse_arm("tet"),)), r"has no arm tet; it has rate, trt: .* --add tet"),
    ],
)
def test_what_differs_is_named(asked: Asked, sentence: str) -> None:
    with pytest.raises(StudyError, match=sentence):
        grown(plan(), Path("s"), asked)


def test_many_differences_are_counted() -> None:
    other = replace(BASE, epochs=99, seed=1, batch_size=7, num_steps=3, workers=2)
    with pytest.raises(StudyError, match="; and 2 more differ: `tempreg compare --out s`"):
        grown(plan(), Path("s"), Asked(base=other))


def test_additions_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="seeds must be >= 1"):
        grown(plan(), Path(), Asked(seeds=0))
    with pytest.raises(ConfigError, match="two arms are called 'TRT'"):
        grown(plan(), Path(), Asked(added=(parse_arm("TRT=rate"),)))
    with pytest.raises(ConfigError, match=r"must be >= 0"):
        grown(plan(), Path(), Asked(added=(parse_arm("x=trt@lam=-1"),)))
    alone = plan("rate,step+mse+l2n", trials=2)
    with pytest.raises(StudyError, match=r"would change step\+mse\+l2n"):
        grown(alone, Path(), Asked(added=(parse_arm("trt"),)))
    with pytest.raises(ConfigError, match=r"--data\.reserve"):
        check_begins(plan(base=FOLDS, trials=2))
