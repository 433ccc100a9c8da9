"""The first screens of the published reports say what the published CSV files say."""

from __future__ import annotations

import html
import re
from functools import cache

import pytest

from tests.unit.study.page.published import (
    NAMES,
    STUDIES,
    arms,
    column,
    difference,
    holm,
    reading,
    shown,
)
from tests.unit.study.page.published_pages import against_all, claims_page, table

MEAN = "mean_accuracy_over_steps"


@cache
def section(study: str, title: str) -> str:
    report = html.unescape((STUDIES / study / "report.html").read_text())
    return report.split(f"{title}</h2>")[1].split("</section>")[0]


def paragraph(study: str, beginning: str) -> str:
    """The one of the overview that begins so; "" without it."""
    found = re.findall(r"<p>(.*?)</p>", section(study, "Overview"))
    return next((text for text in found if text.startswith(beginning)), "")


@pytest.mark.parametrize("study", NAMES.values())
def test_the_confirmatory_test(study: str) -> None:
    said = paragraph(study, "The one confirmatory test, fixed before any run: ")
    d = difference(study, "trt", "rate", "test_accuracy")
    assert d is not None
    mean, low, high = (shown(value, "test_accuracy") for value in (d.mean, d.low, d.high))
    assert f"trt minus rate: {mean} points ({low} to {high}), " in said
    read = reading(d, "test_accuracy", d.p)
    if read == "no relevant difference":
        assert (
            f"not zero (p = {d.p:.2g}), but within ±0.5 points (p = {d.outside:.2g}): {read}."
            in said
        )
    else:
        assert f"p = {d.p:.2g}: {read} (a true difference smaller than about" in said
    assert ("without the correction it would be" in said) == (study == "nmnist")
    assert f"over {len(arms(study)) - 1} tests (Holm)" in paragraph(study, "Secondary, and expl")


@pytest.mark.parametrize("study", NAMES.values())
def test_what_is_open_and_what_is_as_good_as_the_best(study: str) -> None:
    read = {arm: (d, p, reading(d, MEAN, p)) for arm, (d, p) in against_all(study, MEAN).items()}
    left = [arm for arm, (_, _, word) in read.items() if word == "undecided"]
    names = re.findall(r"equal to rate: (.*?) \(a true", paragraph(study, "Open, which is not"))
    shown_left = [f"{arm} ({100 * read[arm][0].mean:+.2f})" for arm in left]
    assert [name for said in names for name in said.split(", ")] == shown_left
    single = [arm for arm in left if read[arm][0].low * read[arm][0].high > 0]
    said = paragraph(study, "The 95% interval")
    assert (f" out 0 for {', '.join(single)}, and yet" in said) if single else not said
    higher = [arm for arm, (_, _, word) in read.items() if word == "higher"]
    first = paragraph(study, "Shown to be higher, by ") or paragraph(study, "No arm's test")
    assert first.startswith("No arm's") != bool(higher)
    if higher:
        best = max(higher, key=lambda arm: column(study, arm, MEAN).mean())
        tests = {arm: difference(study, arm, best, MEAN) for arm in arms(study) if arm != best}
        known = {arm: d for arm, d in tests.items() if d is not None}
        adjusted = zip(known.items(), holm([d.p for d in known.values()]), strict=True)
        alike = [a for (a, d), p in adjusted if reading(d, MEAN, p) != "lower" and a != "rate"]
        assert first.startswith(
            f"Shown to be higher, by test accuracy averaged over timesteps: {best}, "
        )
        assert re.findall(r"; not told apart from it: (.*)\.$", first) == (
            [", ".join(alike)] if alike else []
        )
        assert first.endswith("; higher than every other arm, too.") == (not alike)


@pytest.mark.parametrize("study", NAMES.values())
def test_what_stands_beside_a_claim_that_is_supported(study: str) -> None:
    head, body = table(claims_page())
    words = "TRT is more accurate than direct training"
    (cell,) = [row[head.index(study)] for row in body if row[0] == words]
    said = paragraph(study, f"{words}: ")
    supported = cell.startswith("supported")
    whole, alone = (difference(study, arm, "rate", MEAN) for arm in ("trt", "step"))
    more = difference(study, "trt", "step", MEAN)
    assert whole is not None
    assert alone is not None
    assert more is not None
    change = (column(study, "trt", "weight_norm") / column(study, "step", "weight_norm") - 1).mean()
    supported = cell.startswith("supported")
    assert (": supported, by " in said) == supported
    assert ("too weak to be active" in said) == (supported and change > -0.1)
    enough = reading(more, MEAN, more.p) == "no relevant difference"
    assert (f"has {shown(alone.mean, MEAN)} points already" in said) == (supported and enough)


@pytest.mark.parametrize("study", NAMES.values())
def test_claims_are_counted_by_verdict(study: str) -> None:
    head, body = table(claims_page())
    verdicts = [row[head.index(study)].split(": ")[0] for row in body]
    said = section(study, "The paper's claims").split("this study's numbers: ")[1].split(".")[0]
    counts = {word: int(n) for word, n in re.findall(r"([a-z ]+) (\d+)", said)}
    counts = {word.strip(): n for word, n in counts.items()}
    assert sum(counts.values()) == len(verdicts)
    assert {word: n for word, n in counts.items() if n} == {v: verdicts.count(v) for v in verdicts}


def test_pairs_are_of_equal_strength() -> None:
    """On CIFAR-10 both penalties at the paper's strength, and both 600 times as strong."""
    first = section("cifar10", "What each part does").split("</table>")[0]
    rows = re.findall(r"<tr.*?</tr>", first, re.S)
    (row,) = [row for row in rows if "TRT's penalty in the place of L2" in row]
    count, *_ = re.findall(r"<td[^>]*>([^<]*)</td>", row)
    pairs = [("trt", "step+mse+l2"), ("strong-trt", "strong-l2")]
    assert count == str(len(pairs))
    d = sum(column("cifar10", a, MEAN) - column("cifar10", b, MEAN) for a, b in pairs) / len(pairs)
    assert f": {100 * d.mean():+.2f} (" in row


@pytest.mark.parametrize("study", ["fashion", "cifar10"])
def test_what_each_part_does_stands_on_the_first_screen(study: str) -> None:
    words = {"test_accuracy": "after the last timestep", MEAN: "averaged over timesteps"}
    for name, where in words.items():
        said = paragraph(study, f"What each part does to test accuracy {where}, in points, ")
        d = difference(study, "step", "rate", name)
        assert d is not None
        mean, low, high = (shown(value, name) for value in (d.mean, d.low, d.high))
        assert f"supervision at every timestep {mean} ({low} to {high})" in said


@pytest.mark.parametrize("study", NAMES.values())
def test_idle_penalties_are_named(study: str) -> None:
    said = paragraph(study, "The penalty was active (weights at least 10% shorter) in ")
    active, _, idle = said.partition("; it was idle, ")
    told = re.findall(r"(\S+) \((-?\+?[0-9.]+)% beside (\S+?)\)", said)
    assert told
    for arm, percent, plain in told:
        change = column(study, arm, "weight_norm") / column(study, plain, "weight_norm") - 1
        assert percent == f"{100 * change.mean():+.1f}"
        assert f"{arm} (" in (active if change.mean() <= -0.1 else idle)
