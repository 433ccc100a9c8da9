"""Plans of studies: arms differ in what they name, replicates are shared, choices are fair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tempreg.config import PRESETS, ConfigError, config_to_dict
from tempreg.files import write_json
from tempreg.study.driver import decided
from tempreg.study.plan.arms import parse_arm, parse_arms, swept
from tempreg.study.plan.growing import Asked, check_folder, grown, write_plan
from tempreg.study.plan.plan import (
    TRIAL_SEED,
    Plan,
    StudyError,
    failed_mark,
    make_plan,
    read_plan,
)

BASE = PRESETS["nmnist-trt"]()
ALL = (
    "rate,step,step+mse,step+l2,step+mse+l2,step+trt,trt,tet,smooth,anytime,anytime+kd,anytime+trt"
)


def plan(arms: str = "step,trt", seeds: int = 3, base: object = BASE, **options: object) -> Plan:
    return make_plan("nmnist-trt", base, parse_arms(arms), seeds, **options)


def begin(study: Plan, root: Path) -> None:
    check_folder(study, root)
    root.mkdir(exist_ok=True)
    write_plan(study, root)


def flat(data: dict, prefix: str = "") -> dict[str, object]:
    pairs: dict[str, object] = {}
    for key, value in data.items():
        pairs |= (
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return pairs


def test_arms_differ_in_their_objective_and_nothing_else() -> None:
    study = plan(ALL, base=replace(BASE, data=replace(BASE.data, folds=5)))
    chosen = {"trt": {"objective.lam": 1e-3}}
    for replicate in study.replicates:
        runs = [run for run in study.runs(Path(), chosen) if run.replicate == replicate.name]
        assert len(runs) == 12
        configs = {run.arm: flat(config_to_dict(study.config(run))) for run in runs}
        for arm, settings in configs.items():
            differing = {k for k in settings if settings[k] != configs["step"][k]}
            allowed = {"objective.name"} if arm != "step" else set()
            allowed |= {"trt": {"objective.lam"}, "smooth": {"optimizer.name"}}.get(arm, set())
            assert differing == allowed, arm


def test_replicates_go_through_all_folds_of_a_partition() -> None:
    study = plan(seeds=10, base=replace(BASE, data=replace(BASE.data, folds=5)))
    places = [(r.changes["data.split_seed"], r.changes["data.fold"]) for r in study.replicates]
    assert places == [(seed, fold) for seed in (0, 1) for fold in range(5)]
    assert [r.changes["seed"] for r in study.replicates] == list(range(10))
    drawn = plan(base=replace(BASE, data=replace(BASE.data, train_size=100)))
    assert [r.changes["data.split_seed"] for r in drawn.replicates] == [0, 1, 2]


def test_trials_use_nothing_that_is_compared_later() -> None:
    for data in (replace(BASE.data, folds=5), replace(BASE.data, train_size=100), BASE.data):
        study = plan(ALL, base=replace(BASE, data=data), trials=4)
        trials = study.trial_runs(Path())
        used = {run.changes["seed"] for run in study.runs(Path(), {})}
        assert {run.changes["seed"] for run in trials} == {TRIAL_SEED, TRIAL_SEED + 1}
        assert not used & {TRIAL_SEED, TRIAL_SEED + 1}
        counts = {arm.name: sum(run.arm == arm.name for run in trials) for arm in study.arms}
        assert set(counts.values()) == {4 * 2}, counts
        for run in trials:
            study.config(run)


def test_trials_are_not_watched_on_the_way() -> None:
    study = plan("rate", base=replace(BASE, test_every=2, fisher_every=3), trials=2)
    watched = [(c.test_every, c.fisher_every) for c in map(study.config, study.trial_runs(Path()))]
    assert set(watched) == {(0, 0)}
    runs = [study.config(run) for run in study.runs(Path(), {})]
    assert {(c.test_every, c.fisher_every) for c in runs} == {(2, 3)}


def test_trials_may_be_shorter_than_runs_and_that_is_kept(tmp_path: Path) -> None:
    study = plan("rate,again=step@epochs=7", trials=2, trial_epochs=3)
    assert {study.config(run).epochs for run in study.trial_runs(Path())} == {3}
    assert {study.config(run).epochs for run in study.runs(Path(), {})} == {BASE.epochs, 7}
    (tmp_path / "study.yaml").write_text(study.text())
    assert read_plan(tmp_path) == study
    with pytest.raises(ConfigError, match="give --trials, too"):
        plan("rate", trial_epochs=3)
    with pytest.raises(ConfigError, match=r"arm step\+l2n is matched .* of step\+trt"):
        plan("step+trt,step+l2n", trials=2, trial_epochs=3)
    given = plan("step+trt,step+l2n@l2=1e-3", trials=2, trial_epochs=3)
    assert {*given.candidates(given.arms[1])[0]} == {"optimizer.lr"}
    begun = plan("rate,step+trt", trials=2, trial_epochs=3)
    with pytest.raises(ConfigError, match="leave --trial-epochs out"):
        grown(begun, tmp_path, Asked(added=tuple(parse_arms("step+l2n"))))


def test_a_search_fills_its_ranges_alike_for_all_arms_that_read_them() -> None:
    ranges = ("lam=1e-6..1e-2", "eta=0..0.2", "optimizer.lr=1e-4..1e-2", "num_steps=2..9")
    study = plan("step,step+l2,trt,trt@lam=1", search=ranges, trials=32)
    step, l2, trt, fixed = (study.candidates(arm) for arm in study.arms)
    assert set(step[0]) == {"optimizer.lr", "num_steps"}
    assert set(l2[0]) == {"objective.lam", "optimizer.lr", "num_steps"}
    assert set(trt[0]) == {"objective.lam", "objective.eta", "optimizer.lr", "num_steps"}
    assert set(fixed[0]) == set(trt[0]) - {"objective.lam"}
    assert len(step) == len(l2) == len(trt) == 32
    lams = sorted(point["objective.lam"] for point in trt)
    assert lams[0] >= 1e-6
    assert lams[-1] <= 1e-2
    decades = [sum(10.0**d <= lam < 10.0 ** (d + 1) for lam in lams) for d in range(-6, -2)]
    assert all(7 <= count <= 9 for count in decades)
    assert {point["num_steps"] for point in trt} == set(range(2, 10))
    assert study.candidates(study.arms[2]) == trt  # the same in every process
    for run in study.trial_runs(Path()):
        study.config(run)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lam", "expected SETTING=LOW..HIGH"),
        ("lamb=1..2", "unknown setting lamb"),
        ("lam=1e-2..1e-6", "must be below"),
        ("lam=a..b", "not two numbers"),
        ("lam=-1..1", "must be >= 0"),
        ("distill=0..1", "nothing to try"),
    ],
)
def test_searches_that_make_no_sense(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        plan("step,trt", search=(text,), trials=4)


def test_the_choice_is_by_validation_over_all_timesteps(tmp_path: Path) -> None:
    study = plan("trt", trials=3, trial_seeds=1, tuning="grid")
    trials = study.trial_runs(tmp_path)
    for run, score in zip(trials, (0.5, 0.7, 0.7), strict=True):
        run.folder.mkdir(parents=True)
        write_json(
            run.folder / "summary.json",
            {
                "val_accuracy": 0.5,
                "val_mean_accuracy_over_steps": score,
                "weight_norm": 1.0,
                "test_accuracy": 1 - score,
            },
        )
    assert decided(study, tmp_path) == {"trt": {"objective.lam": pytest.approx(1e-4)}}
    failed_mark(trials[1]).write_text("out of memory")
    assert decided(study, tmp_path) == {"trt": {"objective.lam": pytest.approx(1e-3)}}


def test_sweeps_make_a_grid() -> None:
    arms = swept(parse_arms("trt"), ["lam=1e-4,1e-3", "decay=0,0.5"])
    assert [arm.name for arm in arms] == [
        "trt@lam=1e-4@decay=0",
        "trt@lam=1e-4@decay=0.5",
        "trt@lam=1e-3@decay=0",
        "trt@lam=1e-3@decay=0.5",
    ]
    assert arms[3].changes["objective.lam"] == 1e-3
    assert arms[3].changes["objective.decay"] == 0.5


def test_a_plan_is_read_back_and_kept(tmp_path: Path) -> None:
    study = plan("again=step,trt@optimizer.lr=1e-4,other=step@seed=+100", seeds=2, trials=2)
    begin(study, tmp_path / "study")
    assert read_plan(tmp_path / "study") == study
    begin(study, tmp_path / "study")
    with pytest.raises(StudyError, match="study with other replicates"):
        check_folder(replace(study, replicates=study.replicates[:1]), tmp_path / "study")
    with pytest.raises(StudyError, match="other arms"):
        check_folder(replace(study, arms=study.arms[:2]), tmp_path / "study")
    shifted = [run.changes["seed"] for run in study.runs(tmp_path, {}) if run.arm == "other"]
    assert shifted == [100, 101]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("step,step", "two arms are called 'step'"),
        ("a/b=step,a_b=rate", "two arms are called 'a_b'"),
        ("trt@lam", "expected @setting=value"),
        ("trt@lamb=1", r"unknown setting lamb \(did you mean"),
        ("trt@seed=5", "must be raised"),
        (" , ", "name at least one"),
        ("stepp", "did you mean 'step'"),
        ("trt@lam=-1", r"arm trt@lam=-1: objective\.lam must be >= 0"),
        ("trt@lam=x", r"objective\.lam: expected a number"),
    ],
)
def test_arms_that_make_no_sense(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        plan(text)


def test_plans_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seeds must be >= 1"):
        plan(seeds=0)
    with pytest.raises(ConfigError, match="reference 'x' is not among the arms"):
        plan(reference="x")
    with pytest.raises(StudyError, match="holds no study"):
        read_plan(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StudyError, match="not an empty folder"):
        check_folder(plan(), tmp_path)


def test_a_replicate_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "study"
    begin(plan(), root)
    content = yaml.safe_load((root / "study.yaml").read_text())
    content["replicates"][0]["name"] = "../../../elsewhere"
    (root / "study.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(StudyError, match="is damaged"):
        read_plan(root)
    arm = parse_arm("../../x=step")
    assert "/" not in arm.folder
    assert not arm.folder.startswith(".")
