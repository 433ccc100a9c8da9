"""What a run's network answered on the test split: from test_items.npz alone.

Sections of its page: how often each class is right and what it is taken for. Intervals are
Wilson's (1927), 95%.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tempreg.data.errors import DataError
from tempreg.data.sources.npz import read_npz
from tempreg.report.page import Picture, Section, Table
from tempreg.report.reading import ReportError
from tempreg.report.study_figures import confusion_figure
from tempreg.training.run_directory import RunDirectory

MOST_CLASSES = 30
"""In the confusion matrix, and in the table of classes: beyond it, those that are right least."""


@final
@dataclass(frozen=True)
class Answers:
    """What the network said of N test items after the last timestep.

    Attributes:
        items: their numbers, int64 [N].
        labels, answers: class indices, int64 [N].
        sure: the probability of each answer, [N].
        classes: names of all C classes.
    """

    items: NDArray[np.int64]
    labels: NDArray[np.int64]
    answers: NDArray[np.int64]
    sure: NDArray[np.float64]
    classes: tuple[str, ...]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """How many of each class (rows) got each answer (columns), [C, C]."""
        counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        np.add.at(counts, (self.labels, self.answers), 1)
        return counts

    def worst(self, count: int) -> NDArray[np.int64]:
        """Places of the wrong answers that the network was surest of."""
        wrong = np.flatnonzero(self.labels != self.answers)
        return wrong[np.argsort(-self.sure[wrong], kind="stable")][:count]


def read_answers(run: RunDirectory, classes: Any) -> Answers | None:
    """Of a run's folder; None where labels were not kept, as by earlier versions.

    `classes` are the names that data.json has. ReportError where the file is damaged.
    """
    if not run.test_items.is_file():
        return None
    try:
        arrays = read_npz(run.test_items)
    except DataError as error:
        raise ReportError(f"{run.test_items} is damaged: {error}") from None
    if not {"items", "labels", "probabilities"} <= arrays.keys():
        return None
    items, labels, said = (arrays[name] for name in ("items", "labels", "probabilities"))
    shaped = said.ndim == 2 and labels.shape == items.shape == said.shape[:1] and said.size
    if not shaped or labels.dtype.kind not in "ui" or said.dtype.kind != "f":
        raise ReportError(f"{run.test_items} is damaged: {labels.shape} labels, {said.shape}")
    if labels.min() < 0 or labels.max() >= said.shape[1] or not np.isfinite(said).all():
        raise ReportError(f"{run.test_items} is damaged: labels or probabilities can't be")
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    if len(names) != said.shape[1]:
        names = [str(i) for i in range(said.shape[1])]
    likely = said.astype(np.float64)
    sure, answers = likely.max(axis=1), likely.argmax(axis=1)
    return Answers(items.astype(np.int64), labels.astype(np.int64), answers, sure, tuple(names))


def interval(right: int, of: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    from scipy.stats import binomtest

    found = binomtest(right, of).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def in_words(found: Answers) -> str:
    """How good the network is, for which class it is best and worst, and what that is taken for."""
    right = int((found.labels == found.answers).sum())
    low, high = interval(right, len(found.labels))
    of = len(found.labels)
    said = (
        f"The network is right on {right:,} of {of:,} test items: {100 * right / of:.1f}% (95% "
        f"interval {100 * low:.1f} to {100 * high:.1f})."
    )
    counts = found.confusion
    tested = np.flatnonzero(counts.sum(axis=1))
    if len(tested) < 2:
        return said
    share = counts.diagonal()[tested] / counts.sum(axis=1)[tested]
    best, worst = tested[share.argmax()], tested[share.argmin()]
    said += (
        f" It knows {found.classes[best]} best ({100 * share.max():.0f}%) and "
        f"{found.classes[worst]} least ({100 * share.min():.0f}%)"
    )
    if other := taken_for(counts, int(worst)):
        said += f", which it takes most often for {found.classes[other[0]]} ({other[1]} times)"
    return f"{said}."


def taken_for(counts: NDArray[np.int64], label: int) -> tuple[int, int] | None:
    """The wrong answer that a class gets most, and how often; None where it gets none."""
    row = counts[label].copy()
    row[label] = 0
    return (int(row.argmax()), int(row.max())) if row.any() else None


def classes_section(found: Answers) -> Section:
    """The confusion matrix, and accuracy by class with intervals."""
    counts = found.confusion
    tested = [int(i) for i in np.flatnonzero(counts.sum(axis=1))]
    tested.sort(key=lambda i: counts[i, i] / counts[i].sum())
    rows = [_row(found, counts, i) for i in tested[:MOST_CLASSES]]
    texts = ["How often each class is recognised, and what it is taken for; higher is better."]
    if len(tested) > MOST_CLASSES:
        texts.append(f"Of {len(tested)} classes, the {MOST_CLASSES} that are right least often.")
    head = ["Class", "Items", "Right, %", "95% interval", "Taken most often for"]
    table = Table("Test accuracy by class", head, rows, frozenset({1, 2, 3}))
    pictures = []
    if 1 < len(found.classes) <= MOST_CLASSES:
        figure = confusion_figure(counts.tolist(), found.classes)
        common = np.argsort(-(counts - np.diag(counts.diagonal())), axis=None, kind="stable")[:3]
        pairs = [divmod(int(i), len(found.classes)) for i in common]
        words = "; ".join(
            f"{found.classes[a]} as {found.classes[b]} {counts[a, b]} times"
            for a, b in pairs
            if a != b and counts[a, b]
        )
        said = f"Rows are classes, columns answers. Most common: {words or 'no mistake'}."
        pictures.append(Picture(figure, "Confusion matrix", said))
    return Section("Classes", texts, [table], pictures)


def _row(found: Answers, counts: NDArray[np.int64], label: int) -> list[str]:
    right, of = int(counts[label, label]), int(counts[label].sum())
    low, high = interval(right, of)
    other = taken_for(counts, label)
    taken = "–" if other is None else f"{found.classes[other[0]]} ({other[1]})"  # noqa: RUF001
    share = f"{100 * right / of:.1f}"
    return [found.classes[label], str(of), share, f"{100 * low:.1f} to {100 * high:.1f}", taken]


def classes_of(folder: Path) -> Any:
    """The names that data.json has; None where it isn't there."""
    run = RunDirectory(folder)
    return run.read_json(run.data).get("classes") if run.data.is_file() else None
