"""What a study's page says first, and what stands beside a claim that is supported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tempreg.config import PRESETS, config_to_dict
from tempreg.options import TERMS
from tempreg.study.page.claims import claims
from tempreg.study.page.confirmatory import confirmatory_sentence
from tempreg.study.page.opening import arms_key, lead
from tempreg.study.page.outcome import accuracy_sentences
from tempreg.study.page.overview import overview_section
from tempreg.study.page.sections import claims_section, results_table
from tempreg.study.results import ReportedArm, StudyData, load_study
from tempreg.study.statistics.comparison import compare_arms
from tests.study_folder import make_study

COLUMNS = ("mean_accuracy_over_steps", "test_accuracy")


def with_accuracies(
    study: StudyData, values: dict[str, list[float]], norms: dict[str, float] | None = None
) -> StudyData:
    """The same with these accuracies, and norms of the weights, by arm and repetition."""
    runs = []
    for run in study.runs:
        value = values[run.arm][int(run.replicate)]
        norm = (norms or {}).get(run.arm, 11.0)
        changed: dict[str, float] = {**dict.fromkeys(COLUMNS, value), "weight_norm": norm}
        runs.append(replace(run, values={**run.values, **changed}))
    return replace(study, runs=runs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    effects = {"rate": 0.0, "step": 0.0, "trt": 0.0}
    return make_study(tmp_path_factory.mktemp("study"), effects=effects, replicates=4)


def base(study: StudyData, **data: Any) -> StudyData:
    settings = {**config_to_dict(PRESETS["nmnist-trt"]()), "data": data}
    return replace(study, facts={**study.facts, "base": settings})


def test_the_task_and_the_preset(folder: Path) -> None:
    study = load_study(folder)
    data = config_to_dict(PRESETS["nmnist-trt"]())["data"]
    assert lead(base(study, **data)) == (
        "Spiking networks (csnn, 32-64-128, T 6) trained in different ways to classify N-MNIST, "
        "1,100 recordings (nmnist), compared run by run; settings are those of preset nmnist-trt."
    )
    other = lead(base(study, name="mine:Data", train_size=3000))
    assert "to classify mine:Data, of which 3,000 are trained on, compared" in other
    assert other.endswith("are those of preset nmnist-trt unless the study's command says others.")
    own = replace(base(study), facts={"source": "mine.yaml", "endpoint": "x"})
    damaged = replace(study, facts={"source": {}, "base": {}})
    assert lead(damaged).endswith("in different ways, compared run by run.")
    assert lead(base(study, name=["a"], train_size="b")).count("to classify ['a'], compared") == 1
    assert lead(own).endswith("in different ways, compared run by run; settings from mine.yaml.")


def test_names_of_arms_are_said_by_the_objectives_own_summaries(folder: Path) -> None:
    study = load_study(folder)
    own = ReportedArm("strong", {"objective.name": "trt", "objective.lam": 0.006})
    swept = ReportedArm("rate@eta=1", {"objective.name": "rate", "objective.eta": 1})
    said = arms_key(replace(study, arms=[*study.arms, own, swept]))
    for name, shown in {"rate": "rate", "step": "step", "mse": "+mse", "trt": "+trt"}.items():
        assert f"{shown} = {TERMS[name].summary}" in said
    assert said.endswith("; trt = step with +mse and +trt; strong = trt with objective.lam 0.006.")
    assert "anytime" not in said
    assert "eta=1" not in said
    assert arms_key(replace(study, arms=[ReportedArm("fast", {"optimizer.lr": 1})])) == ""


UP = [0.80, 0.81, 0.82, 0.83]


def raised(*by: float) -> list[float]:
    return [value + more for value, more in zip(UP, by, strict=True)]


def test_an_arm_as_good_as_the_best_is_named_with_it(folder: Path) -> None:
    near = {"step": raised(0.04, 0.041, 0.042, 0.043), "trt": raised(0.04, 0.0411, 0.042, 0.0431)}
    study = with_accuracies(load_study(folder), {"rate": UP, **near})
    first, also = accuracy_sentences(study, compare_arms(study), "accuracy")
    assert first.startswith("Shown to be higher, by accuracy: trt, ")
    assert first.endswith("; not told apart from it: step.")
    assert also.startswith("Also higher than rate: step")
    far = {"step": raised(0.02, 0.021, 0.022, 0.023), "trt": near["trt"]}
    study = with_accuracies(load_study(folder), {"rate": UP, **far})
    assert "not told apart" not in accuracy_sentences(study, compare_arms(study), "accuracy")[0]


def test_what_is_open_is_not_called_equal(folder: Path) -> None:
    """trt beside rate alone has p = 0.032, which two tests double."""
    values = {
        "rate": UP,
        "step": raised(0.02, -0.02, 0.01, 0),
        "trt": raised(0.01, 0.04, 0.03, 0.02),
    }
    study = with_accuracies(load_study(folder), values)
    none, highest, left, holm = accuracy_sentences(study, compare_arms(study), "accuracy")
    assert none.startswith("No arm's accuracy is shown to be above rate")
    assert highest == "The highest mean is that of trt (84.00%), open."
    rest = left.removeprefix("Open, which is not the same as equal to rate: ")
    assert rest.startswith("step (+0.25), trt (+2.50) (a true diff")
    assert " points, by arm, may well go unseen with 4 seeds)." in left
    assert holm == (
        "The 95% interval leaves out 0 for trt, and yet it is open: an interval is of one test, "
        "and with 2 tests p has to be smaller (Holm)."
    )
    close = {"rate": UP, "step": UP, "trt": raised(0.0038, 0.005, 0.0048, 0.0042)}
    study = with_accuracies(load_study(folder), close)
    said = accuracy_sentences(study, compare_arms(study), "accuracy")
    assert said[-1].startswith("Open: trt, not zero, but shown neither within ±0.5 points nor")


def test_the_confirmatory_test_says_both_of_what_is_small_and_not_zero(folder: Path) -> None:
    near = raised(0.002, 0.0021, 0.0022, 0.0023)
    study = with_accuracies(load_study(folder), {"rate": UP, "step": UP, "trt": near})
    said = confirmatory_sentence(study)
    assert said is not None
    assert ", not zero (p = " in said
    assert said.count("p = ") == 2
    assert said.endswith("): no relevant difference.")
    folds = replace(study, facts={**study.facts, "overlap": 0.3})
    said = confirmatory_sentence(folds)
    assert said is not None
    assert "corrected for folds whose training sets overlap; without the correction it" in said


def test_what_else_could_have_made_a_difference_stands_beside_the_claim(folder: Path) -> None:
    alike = raised(0.04, 0.041, 0.042, 0.043)
    values = {"rate": UP, "step": alike, "trt": raised(0.04, 0.0411, 0.042, 0.0431)}

    def said(norm: float, step: list[float]) -> tuple[str, str]:
        study = with_accuracies(load_study(folder), {**values, "step": step}, {"trt": norm})
        comparisons = compare_arms(study)
        claim = claims(study, comparisons)[4]
        assert claim.verdict == "supported"
        assert claim.detail.endswith(f"; but {claim.but} (4 repetitions).") == bool(claim.but)
        return claim.but, " ".join(overview_section(study, comparisons, [claim]).paragraphs)

    weak = (
        "trt's penalty was too weak to be active (norm of the weights -0.9% beside step's), so the "
        "penalty is hardly what made the difference"
    )
    step = "step alone (cross-entropy at every timestep) has +4.15 points already, and trt minus"
    but, overview = said(10.9, alike)
    assert but.startswith(f"{weak}; {step} step is no relevant difference: +0.00 points (")
    assert "TRT is more accurate than direct training: supported, by test accuracy" in overview
    assert f" points; but {but}." in overview
    assert said(10.9, UP)[0] == f"{weak}: step minus rate is +0.00 points"
    assert said(5.0, alike)[0].startswith(step)
    but, overview = said(5.0, UP)
    assert but == ""
    assert "than direct training: supported, by test accuracy averaged over" in overview
    assert "; but " not in overview


def test_parts_and_penalties_and_what_is_missing_stand_in_the_overview(folder: Path) -> None:
    alike = raised(0.02, 0.021, 0.022, 0.023)
    values = {"rate": UP, "step": alike, "trt": raised(0.02, 0.0211, 0.022, 0.0231)}
    study = with_accuracies(load_study(folder), values, {"trt": 5.0})
    first, *texts = overview_section(study, compare_arms(study), []).paragraphs
    assert first.endswith("seeds, each trained 4 times: 12 runs, all of them finished.")
    (last, mean) = (text for text in texts if text.startswith("What each part does to test acc"))
    shown = "tests: higher: supervision at every timestep +2.15 (+1.94 to +2.36)."
    assert last.endswith(f"after the last timestep, in points, p adjusted over 2 {shown}")
    assert mean.endswith(f"averaged over timesteps, in points, p adjusted over 2 {shown}")
    active = "The penalty was active (weights at least 10% shorter) in trt (-54.5% beside step)."
    assert active in texts
    some = replace(study, runs=[r for r in study.runs if (r.arm, r.replicate) != ("trt", "003")])
    first, *texts = overview_section(some, compare_arms(some), []).paragraphs
    assert (
        "Not all is there: of 12 runs, 4 an arm, 11 have a result (3 to 4 an arm), and 1" in first
    )
    assert any(
        "any run (runs without a result: 1, so this is not its end): test" in t for t in texts
    )


def test_every_verdict_is_counted_and_the_columns_explained(folder: Path) -> None:
    study = load_study(folder)
    comparisons = compare_arms(study)
    section = claims_section(made := claims(study, comparisons))
    counted = {v: sum(c.verdict == v for c in made) for v in {c.verdict for c in made}}
    assert sum(counted.values()) == 7
    for verdict, count in counted.items():
        assert f"{verdict} {count}" in section.paragraphs[0]
    assert "contradicted 0" in section.paragraphs[0]
    assert "; p (TOST) is below 0.05 where the difference is shown to be smaller than 0.5" in (
        results_table(study, comparisons).caption
    )


def test_without_a_confirmatory_test_nothing_is_secondary(folder: Path) -> None:
    study = load_study(folder)
    texts = overview_section(study, compare_arms(study), []).paragraphs
    assert any(t.startswith("Secondary, and exploratory beside that test: every") for t in texts)
    study = replace(study, arms=[a for a in study.arms if a.name != "trt"])
    texts = overview_section(study, compare_arms(study), []).paragraphs
    assert any(t.startswith("Every arm minus rate by test accuracy averaged") for t in texts)
