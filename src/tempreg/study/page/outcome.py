"""What came out, in a sentence: which arms differ from the reference, and which way."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

from tempreg.study.results import StudyData
from tempreg.study.statistics.comparison import (
    Comparison,
    accuracy_margin,
    beside,
    endpoint,
    equality_margin,
)
from tempreg.study.statistics.items import ENDPOINT, OF_NUMBERS
from tempreg.study.statistics.paired import Paired
from tempreg.study.statistics.reading import (
    ALPHA,
    Reading,
    smaller_p,
    unseen,
    why_undecided,
)


def endpoint_words(study: StudyData) -> str:
    """What the study's endpoint is."""
    if endpoint(study) == ENDPOINT:
        return "test accuracy averaged over timesteps, after the last epoch"
    if endpoint(study) == OF_NUMBERS:
        return (
            "test R² (the share of the targets' variance that is explained) averaged over "
            "timesteps, after the last epoch"
        )
    return endpoint(study).replace("_", " ")


def outcome(study: StudyData, column: str, words: str, *, points: bool = False) -> str:
    """The arms beside the reference by a column of results.csv; p is adjusted over them (Holm).

    Args:
        words: what the column is, as "the energy of a sample".
        points: whether it is an accuracy, whose differences have the study's margin.
    """
    tests = beside(study, study.reference, column, accuracy_margin(study) if points else None)
    if not tests:
        return _alone(study, column, words, points=points)
    by_reading: dict[Reading, list[str]] = {}
    for name, found in tests.items():
        mean = found.test.mean
        shown = f"{100 * mean:+.2f} points" if points else f"{mean:+.3g}"
        by_reading.setdefault(found.reading, []).append(f"{name} ({shown})")
    ways: dict[Reading, str] = {
        "higher": f"higher than {study.reference}'s for",
        "lower": f"lower than {study.reference}'s for",
        "no relevant difference": f"no relevant difference from {study.reference}'s for",
        "undecided": f"open beside {study.reference}'s for",
    }
    said = [
        f"{way} {', '.join(by_reading[read])}" for read, way in ways.items() if read in by_reading
    ]
    if left := [found.test for found in tests.values() if found.reading == "undecided"]:
        said[-1] += f" ({apart(left, points=points)})"
    return f"{words[:1].upper()}{words[1:]}: {'; '.join(said)}."


def apart(tests: Sequence[Paired], *, points: bool = True) -> str:
    """What so many runs can't tell apart (80% power), of differences that are left open."""
    known = sorted(t.detectable for t in tests if not isnan(t.detectable))
    if not known:
        return "every seed differs by the same, which says nothing of how far seeds lie apart"
    seen = [f"{100 * d:.2f}" if points else f"{d:.3g}" for d in known]
    counts = sorted({test.n for test in tests})
    alike = seen[0] == seen[-1]
    size = (seen[0] if alike else f"{seen[0]} to {seen[-1]}") + " points" * points
    many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return unseen(size if alike else f"{size}, by arm,", many)


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
    measure = words.partition(",")[0]
    if best:
        said = [
            f"Shown to be higher, by {measure}: {_told(best[0], of)}{_as_good(study, best[0])}."
        ]
        if best[1:]:
            said.append(f"Also higher than {study.reference}: {_all(best[1:])}.")
    else:
        said = [f"No arm's {measure} is shown to be above {of}."]
    above = max(judged, key=lambda c: c.mean)
    if above.verdict == "undecided" and above.mean > reference.mean:
        said.append(f"The highest mean is that of {above.arm} ({100 * above.mean:.2f}%), open.")
    if groups["lower"]:
        said.append(f"Lower: {_all(groups['lower'])}.")
    if alike := groups["no relevant difference"]:
        said.append(f"No relevant difference from {study.reference}: {_all(alike)}.")
    return said + _left_open(study, groups["undecided"], len(judged))


_READ: tuple[Reading, ...] = ("higher", "lower", "no relevant difference", "undecided")


def _left_open(study: StudyData, undecided: list[Comparison], tests: int) -> list[str]:
    """What is undecided, and why: too few seeds, one of many tests, or too near the margin."""
    left = [c for c in undecided if not c.p < ALPHA]
    near = [c for c in undecided if c.p < ALPHA]
    said = []
    if left:
        seen = apart([c.paired for c in left if c.paired])
        said.append(
            f"Open, which is not the same as equal to {study.reference}: {_all(left)} ({seen})."
        )
    if single := [c.arm for c in left if c.paired and c.paired.p < ALPHA]:
        whose, them = ("s leave", "they are") if len(single) > 1 else (" leaves", "it is")
        said.append(
            f"The 95% interval{whose} out 0 for {', '.join(single)}, and yet {them} open: an "
            f"interval is of one test, and {smaller_p(tests)}."
        )
    for c in near:
        if c.paired:
            why = why_undecided(c.paired, equality_margin(study), c.p)
            said.append(f"Open: {c.arm}, {why}.")
    return said


def _as_good(study: StudyData, best: Comparison) -> str:
    """The arms that can't be called less accurate than the best one, or that there are none."""
    others = beside(study, best.arm, endpoint(study), equality_margin(study))
    names = [
        arm
        for arm, found in others.items()
        if found.reading != "lower" and arm != study.reference  # which it is told apart from
    ]
    if names:
        return f"; not told apart from it: {', '.join(names)}"
    return "; higher than every other arm, too" if len(others) > 1 else ""


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
