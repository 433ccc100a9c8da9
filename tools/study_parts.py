"""Tables of what each part of TRT does: two arms that differ in it alone, by study and measure."""

from __future__ import annotations

from tempreg.study.page.measures import GAP, LAST_STEP, MEASURES, Measure, centroid_shifts
from tempreg.study.page.words import plain, points
from tempreg.study.results import StudyData, training_overlap
from tempreg.study.statistics.comparison import accuracy_margin
from tempreg.study.statistics.paired import holm, paired
from tempreg.study.statistics.reading import read_difference, within

PARTS = (
    ("supervision at every timestep", "step", "rate"),
    ("supervision at every timestep and the MSE term", "step+mse", "rate"),
    ("the MSE term", "step+mse", "step"),
    ("the MSE term, beside the penalty", "trt", "step+trt"),
    ("the penalty", "step+trt", "step"),
    ("the penalty, beside the MSE term", "trt", "step+mse"),
    ("the MSE term and the penalty together", "trt", "step"),
    ("the penalty's form, L2 in its place", "step+trt", "step+l2"),
    ("the penalty's form, L2 in its place, beside the MSE term", "trt", "step+mse+l2"),
    ("all of TRT", "trt", "rate"),
    ("all of TRT, its penalty 600 times as strong", "strong-trt", "rate"),
    ("a penalty 600 times as strong", "strong-trt", "trt"),
    ("the supervised running mean with distillation, in place of `rate`", "anytime+kd", "rate"),
    ("the supervised running mean with distillation, in place of TRT", "anytime+kd", "trt"),
)
"""What two arms differ in, and the arms."""

SHIFT = "fisher_shift"


def _accuracy(column: str, words: str) -> Measure:
    return Measure("", column, +1, words, " points", points)


MEASURED = (
    _accuracy("mean_accuracy_over_steps", "Test accuracy averaged over timesteps"),
    _accuracy("accuracy_t1", "Test accuracy after the first timestep"),
    LAST_STEP,
    GAP,
    _accuracy("train_accuracy", "Training accuracy"),
    MEASURES[2],
    MEASURES[0],
    Measure(
        "",
        SHIFT,
        -1,
        "Change of the Fisher information's centroid from epoch 1 to the end",
        " timesteps",
        plain,
    ),
)


def parts_tables(studies: dict[str, StudyData]) -> str:
    """Markdown: a table a measure, a row a part, a column a study."""
    return "".join(_table(measure, studies) for measure in MEASURED)


def _table(measure: Measure, studies: dict[str, StudyData]) -> str:
    words = measure.words[:1].upper() + measure.words[1:]
    columns = [_cells(measure, study) for study in studies.values()]
    lines = [["Part", "Difference", *studies], ["---"] * (len(studies) + 2)]
    for part, arm, other in PARTS:
        cells = [column.get((arm, other), "-") for column in columns]
        if set(cells) != {"-"}:
            lines.append([part, f"`{arm}` minus `{other}`", *cells])
    unit = f", in{measure.unit}" if measure.unit else ""
    rows = "".join("| " + " | ".join(line) + " |\n" for line in lines)
    return f"### {words}{unit}\n\n{rows}\n"


def _cells(measure: Measure, study: StudyData) -> dict[tuple[str, str], str]:
    """By pair of arms, where both were measured: how the difference is read, and its interval."""
    overlap = training_overlap(study)
    margin = accuracy_margin(study) if measure.unit == " points" else None
    found = {(arm, other): _differences(measure, study, arm, other) for _, arm, other in PARTS}
    found = {pair: d for pair, d in found.items() if len(d) > 1}
    tests = {pair: paired(d, overlap=overlap) for pair, d in found.items()}
    adjusted = holm([test.p for test in tests.values()])
    cells = {}
    for (pair, test), p in zip(tests.items(), adjusted, strict=True):
        read = read_difference(test, within(found[pair], margin, overlap), margin, p=p)
        mean, low, high = (measure.show(v) for v in (test.mean, test.low, test.high))
        cells[pair] = f"{read}: {mean} ({low} to {high})"
    return cells


def _differences(measure: Measure, study: StudyData, arm: str, other: str) -> list[float]:
    if measure.column == SHIFT:
        return centroid_shifts(study, arm, other)[0]
    return study.differences(arm, other, measure.column)
