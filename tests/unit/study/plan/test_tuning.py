"""What arms try: as much each, further at an edge, and norms that agree; scores are made up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tempreg.config import PRESETS, RunConfig
from tempreg.config.dotted import setting_of
from tempreg.files import write_json
from tempreg.study.driver import decided
from tempreg.study.plan.arms import parse_arm, parse_arms
from tempreg.study.plan.plan import Plan, Run, make_plan
from tempreg.study.plan.trials import Tried, tune
from tempreg.study.plan.tuning import EXTENSIONS, MATCHING, TOLERANCE, grid, next_strength

BASE = PRESETS["nmnist-trt"]()
Score = Callable[[RunConfig], float]


def values(name: str, setting: str, count: int = 4) -> list[float]:
    return [point[setting] for point in grid(parse_arm(name), BASE, count)]


def test_every_arm_has_as_many_trials() -> None:
    assert values("trt", "objective.lam") == pytest.approx([1e-5, 1e-4, 1e-3, 6e-3])
    assert values("anytime+kd", "objective.distill", 2) == [0.1, 0.3]
    assert values("rate+mse", "objective.eta") == [0.001, 0.01, 0.05, 0.2]
    for name in ("rate", "step+mse@eta=0.05", "trt@lam=1e-3@eta=0.1", "anytime"):
        assert values(name, "optimizer.lr") == pytest.approx([5e-4, 1e-3, 2e-3, 4e-3]), name
    both = grid(parse_arm("step+logit+l2"), BASE, 4)
    assert len(both) == 4
    assert {tuple(point) for point in both} == {("objective.lam", "objective.logit_lam")}
    assert len({point["objective.lam"] for point in both}) == 2
    assert grid(parse_arm("trt"), BASE, 0) == []


def run_all(plan: Plan, root: Path, score: Score, norm: Score = lambda config: 1.0) -> list[Tried]:
    """Every trial that the plan asks for, with a made-up result, until it asks for none."""

    def ended(run: Run) -> bool:
        return (run.folder / "summary.json").exists()

    while True:
        tried = tune(plan, root, ended)
        missing = [run for each in tried for run in each.runs if not ended(run)]
        if not missing:
            return tried
        for run in missing:
            config = plan.config(run)
            found = {"val_accuracy": score(config), "val_mean_accuracy_over_steps": score(config)}
            run.folder.mkdir(parents=True)
            write_json(run.folder / "summary.json", found | {"weight_norm": norm(config)})


def plan(arms: str) -> Plan:
    return make_plan("nmnist-trt", BASE, parse_arms(arms), 2, trials=4)


@pytest.mark.parametrize(("best", "most"), [(1e-4, 0), (0.2, EXTENSIONS), (1e-7, EXTENSIONS)])
def test_a_choice_at_an_edge_extends_the_grid(best: float, most: int, tmp_path: Path) -> None:
    (tried,) = run_all(plan("trt"), tmp_path, lambda c: -abs(math.log(c.objective.lam / best)))
    assert len(tried.candidates) - 4 <= most
    chosen = tried.chosen["objective.lam"]
    others = [c["objective.lam"] for c in tried.candidates]
    assert abs(math.log(chosen / best)) == min(abs(math.log(lam / best)) for lam in others)
    assert tried.at_edge == [] or len(tried.candidates) == 4 + EXTENSIONS
    assert min(others) < chosen < max(others) or tried.at_edge == ["objective.lam"]
    assert decided(plan("trt"), tmp_path) == {"trt": {"objective.lam": chosen}}


def test_a_share_stays_below_one(tmp_path: Path) -> None:
    (tried,) = run_all(plan("anytime+kd"), tmp_path, lambda c: c.objective.distill)
    assert [c["objective.distill"] for c in tried.candidates[4:]] == [0.85, 0.925, 0.9625]
    assert tried.at_edge == ["objective.distill"]


@pytest.mark.parametrize("power", [0.05, 0.3, 1.0])
def test_plain_l2_is_matched_to_the_norm_of_trt(power: float, tmp_path: Path) -> None:
    """Of a law between strength and norm that the search does not know."""

    def norm(config: RunConfig) -> float:
        objective = config.objective
        strength = objective.l2 if objective.name.endswith("l2n") else 0.6 * objective.lam
        return 10 / (1 + (1e4 * strength) ** power)

    arms = "step+mse+l2n,trt,step+mse"
    matched, trt, _ = run_all(
        plan(arms), tmp_path, lambda c: -abs(math.log(c.objective.lam / 1e-3)), norm
    )
    assert trt.chosen["objective.lam"] == pytest.approx(1e-3)
    assert len(matched.candidates) <= MATCHING
    config = replace(BASE, objective=replace(BASE.objective, name="x:l2n", **_short(matched)))
    wanted = norm(replace(BASE, objective=replace(BASE.objective, name="trt", **_short(trt))))
    assert norm(config) == pytest.approx(wanted, rel=TOLERANCE)
    assert "of that of trt" in matched.remark


def _short(tried: Tried) -> dict[str, float]:
    return {name.removeprefix("objective."): value for name, value in tried.chosen.items()}


def test_the_search_for_a_norm_ends() -> None:
    reached: dict[float, float] = {}
    while (strength := next_strength(1e-3, reached, 5.0)) is not None:
        reached[strength] = 20.0  # nothing that is tried moves it
    assert len(reached) == MATCHING
    assert next_strength(1e-3, {1e-3: 5.05}, 5.0) is None


def test_settings_by_their_dotted_names() -> None:
    assert setting_of(BASE, "objective.lam") == 1e-5
    assert setting_of(BASE, "seed") == 0
