"""What came out, in a sentence: which arms differ from the reference, and which way."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from tempreg.study.results import StudyData, training_overlap
from tempreg.study.statistics.comparison import Comparison, accuracy_margin
from tempreg.study.statistics.paired import Paired, holm, paired
from tempreg.study.statistics.reading import Reading, read_difference, within


def outcome(study: StudyData, column: str, words: str, *, points: bool = False) -> str:
    """The arms beside the reference by a column of results.csv; p is adjusted over them (Holm).

    Args:
        words: what the column is, as "the energy of a sample".
        points: whether it is an accuracy, whose differences have the study's margin.
    """
    tests: dict[str, tuple[Paired, float]] = {}
    margin, overlap = accuracy_margin(study) if points else None, training_overlap(study)
    for arm in study.arms:
        d = study.differences(arm.name, study.reference, column)
        if arm.name != study.reference and len(d) > 1:
            tests[arm.name] = paired(d, overlap=overlap), within(d, margin, overlap)
    if not tests:
        return _alone(study, column, words, points=points)
    adjusted = holm([test.p for test, _ in tests.values()])
    by_reading: dict[Reading, list[str]] = {}
    left: list[Paired] = []
    for (name, (test, equal)), p in zip(tests.items(), adjusted, strict=True):
        read = read_difference(test, equal, margin, p=p)
        shown = f"{100 * test.mean:+.2f} points" if points else f"{test.mean:+.3g}"
        text = name if read == "undecided" else f"{name} ({shown})"
        by_reading.setdefault(read, []).append(text)
        if read == "undecided":
            left.append(test)
    ways: dict[Reading, str] = {
        "higher": f"higher than {study.reference}'s for",
        "lower": f"lower than {study.reference}'s for",
        "no relevant difference": f"no relevant difference from {study.reference}'s for",
        "undecided": f"can't be told from {study.reference}'s for",
    }
    said = [
        f"{way} {', '.join(by_reading[read])}" for read, way in ways.items() if read in by_reading
    ]
    if left:
        said[-1] += f" ({apart(left, points=points)})"
    return f"{words[:1].upper()}{words[1:]}: {'; '.join(said)}."


def apart(tests: Sequence[Paired], *, points: bool = True) -> str:
    """What so many runs can't tell apart (80% power), of differences that are left open."""
    known = sorted(t.detectable for t in tests if not isnan(t.detectable))
    if not known:
        return "every seed differs by the same, which says nothing of how far seeds lie apart"
    seen = [f"{100 * d:.2f}" if points else f"{d:.3g}" for d in known]
    counts = sorted({test.n for test in tests})
    below = seen[0] if seen[0] == seen[-1] else f"{seen[0]} to {seen[-1]}"
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"below {below}{' points' * points} with {many} seeds"


def accuracy_sentences(study: StudyData, comparisons: list[Comparison], words: str) -> list[str]:
    """What a reader of one minute takes away of the endpoint, `words`."""
    reference = next(c for c in comparisons if c.arm == study.reference)
    tested = [c for c in comparisons if c.paired is not None and c.verdict != "not measured"]
    judged = [c for c in tested if c.paired is not None and c.paired.n > 1]
    if not judged:
        done = [f"{c.arm} {100 * c.mean:.2f}%" for c in comparisons if not isnan(c.mean)]
        there = f" So far, by {words}: {', '.join(done)}." if done else ""
        return [f"Nothing can be said yet: it takes two finished runs of two arms.{there}"]
    groups = {verdict: [c for c in judged if c.verdict == verdict] for verdict in _READ}
    best = sorted(groups["higher"], key=lambda c: -c.mean)
    of = f"{study.reference} ({100 * reference.mean:.2f}%)"
    if best:
        said = [f"Most accurate: {_told(best[0], of)}."]
        if best[1:]:
            said.append(f"Also more accurate than {study.reference}: {_all(best[1:])}.")
    else:
        said = [f"No arm is shown to be more accurate than {of}."]
    if groups["lower"]:
        said.append(f"Less accurate: {_all(groups['lower'])}.")
    if groups["no relevant difference"]:
        names = ", ".join(c.arm for c in groups["no relevant difference"])
        said.append(f"No relevant difference from {study.reference}: {names}.")
    if groups["undecided"]:
        names = ", ".join(c.arm for c in groups["undecided"])
        seen = apart([c.paired for c in groups["undecided"] if c.paired])
        said.append(f"Can't be told apart from {study.reference}: {names} ({seen}).")
    return [*said, f"What counts is {words}."]


_READ: tuple[Reading, ...] = ("higher", "lower", "no relevant difference", "undecided")


def _told(c: Comparison, of: str) -> str:
    assert c.paired is not None
    low, high = 100 * c.paired.low, 100 * c.paired.high
    said = (
        f"{c.arm}, {100 * c.paired.mean:.2f} points above {of}, 95% interval {low:+.2f} to "
        f"{high:+.2f}, {c.paired.n} seeds"
    )
    if c.items is not None and c.items.low <= 0:
        said += "; on other test items it might not be"
    return said


def _all(several: list[Comparison]) -> str:
    return ", ".join(f"{c.arm} ({100 * c.paired.mean:+.2f})" for c in several if c.paired)


def _alone(study: StudyData, column: str, words: str, *, points: bool) -> str:
    """The values themselves, where nothing can be compared."""
    shown = []
    for arm in study.arms:
        values = list(study.values(arm.name, column).values())
        if values:
            mean = sum(values) / len(values)
            shown.append(f"{arm.name} {100 * mean:.2f}%" if points else f"{arm.name} {mean:.3g}")
    if not shown:
        return ""
    return f"{words[:1].upper()}{words[1:]}: {', '.join(shown)}; one run can't be judged."
