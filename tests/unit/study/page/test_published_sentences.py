"""Sentences of docs/study/claims.md and of the reports say what the CSV files say."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from tests.unit.study.page.published import (
    NAMES,
    STUDIES,
    Difference,
    arms,
    beside_zero,
    column,
    difference,
    facts,
    figure,
    reading,
    rows,
    shown,
)
from tests.unit.study.page.published_pages import (
    UNTESTABLE,
    against_all,
    claims_page,
    items,
    measure,
    studies_of_the_page,
    table,
)


@pytest.mark.parametrize("study", NAMES.values())
def test_every_sentence_of_a_claim(study: str) -> None:
    lines = re.findall(r"^- (.*)$", studies_of_the_page()[study], re.M)
    head, body = table(claims_page())
    place = head.index(study)
    assert len(lines) == len(body)
    for line, row in zip(lines, body, strict=True):
        verdict = row[place].partition(": ")[0]
        assert line.startswith(f"{row[0]}: {verdict}")
        name = measure(row[1])
        if verdict == UNTESTABLE:
            assert line.startswith(f"{row[0]}: {verdict}: set by tau (theory 8 to 10). Factor to")
        arm, other = re.findall(r"(\S+) minus (\S+)$", row[1])[0]
        d = difference(study, arm, other, name)
        assert d is not None
        rest = line.split(f", {arm} minus {other}: ")[1]
        unit = {"gradient_decay": "", "shift": " timesteps"}.get(name, " points")
        mean, low, high = (shown(value, name) for value in (d.mean, d.low, d.high))
        start = f"{mean}{unit}, 95% interval {low} to {high}"
        assert rest.startswith(start), line
        rest = rest.removeprefix(start)
        known = [check(study, arm, other, d) for check in SAID]
        for words in filter(None, known):
            rest = rest.replace(words, "")
        if apart := re.search(
            r"; a true difference smaller than about ([\d.]+)( points)? may well go unseen with "
            r"(\d+) seeds",
            rest,
        ):
            scale, digits = (100, 2) if apart[2] else (1, 3)
            assert float(apart[1]) == pytest.approx(scale * seen(d), abs=1.5 * 10**-digits)
            assert int(apart[3]) == d.n
            rest = rest.replace(apart[0], "")
        rest = rest.removesuffix(f" ({d.n} repetitions).")
        assert not re.search(r"\d", rest.replace("±0.5 points", "")), (line, rest)


def holm_words(study: str, arm: str, other: str, d: Difference) -> str:
    if other != "rate":
        return ""
    return f", p = {against_all(study, 'mean_accuracy_over_steps')[arm][1]:.2g} after Holm's"


def open_words(study: str, arm: str, other: str, d: Difference) -> str:
    if other != "rate" or d.p >= 0.05:
        return ""
    if against_all(study, "mean_accuracy_over_steps")[arm][1] < 0.05:
        return ""
    return "; its interval leaves out 0, but with several tests p has to be smaller (Holm)"


def margin_words(study: str, arm: str, other: str, d: Difference) -> str:
    zero = f"not zero (p = {d.p:.2g}), but " if d.p < 0.05 else ""
    return f"; {zero}within ±0.5 points (p = {d.outside:.2g})"


def gap_words(study: str, arm: str, other: str, d: Difference) -> str:
    parts = [difference(study, arm, other, f"{split}_accuracy") for split in ("train", "test")]
    train, test = (figure(part, "test_accuracy") for part in parts if part)
    return f"; made of training accuracy {train} and test accuracy {test}"


def centroid_words(study: str, arm: str, other: str, d: Difference) -> str:
    moved = (f"{column(study, name, 'shift').mean():+.3f}" for name in (arm, other))
    return "; with {2} it moved by {0}, with {3} by {1}".format(*moved, arm, other)


def norm_words(study: str, arm: str, other: str, d: Difference) -> str:
    apart = column(study, arm, "weight_norm") / column(study, other, "weight_norm") - 1
    return f"is {-100 * apart.mean():.1f}% below that of {other}'s"


def item_words(study: str, arm: str, other: str, d: Difference) -> str:
    low, high = items(study).get((arm, other), (0, 0))
    return f"; over runs and test items {100 * low:+.2f} to {100 * high:+.2f}"


def idle_words(study: str, arm: str, other: str, d: Difference) -> str:
    norms = (column(study, name, "weight_norm") for name in (arm, "step"))
    change = 100 * (np.divide(*norms) - 1).mean()
    return f"; but {arm}'s penalty was too weak to be active (norm of the weights {change:+.1f}%"


def bare_words(study: str, arm: str, other: str, d: Difference) -> str:
    alone = difference(study, "step", other, "mean_accuracy_over_steps")
    return f": step minus {other} is {100 * alone.mean:+.2f} points" if alone else ""


def step_words(study: str, arm: str, other: str, d: Difference) -> str:
    name = "mean_accuracy_over_steps"
    alone, more = difference(study, "step", other, name), difference(study, arm, "step", name)
    if alone is None or more is None or reading(more, name, more.p) != "no relevant difference":
        return ""
    return (
        f"; but step alone (cross-entropy at every timestep) has {shown(alone.mean, name)} points "
        f"already, and {arm} minus step is no relevant difference: {shown(more.mean, name)} points "
        f"({shown(more.low, name)} to {shown(more.high, name)})"
    )


def beside_l2(name: str) -> Callable[[str, str, str, Difference], str]:
    def words(study: str, arm: str, other: str, d: Difference) -> str:
        more = difference(study, arm, "step+mse+l2", name)
        assert more is not None
        said = f"{arm} minus step+mse+l2 (L2 in the penalty's place): "
        return f"; {said}{reading(more, name, more.p)}, {shown(more.mean, name)} points (" + (
            f"{shown(more.low, name)} to {shown(more.high, name)})"
        )

    return words


def beside_l2_alone(study: str, arm: str, other: str, d: Difference) -> str:
    return "; but " + beside_l2("noise_accuracy_drop")(study, arm, other, d)[2:]


def l2_name(study: str, arm: str, other: str, d: Difference) -> str:
    return f"{other}'s"


def seen(d: Difference) -> float:
    """The true difference that a two-sided t test sees with 80% power, by the noncentral t."""
    critical = float(stats.t.ppf(0.975, d.n - 1))
    error = (d.high - d.low) / 2 / critical

    def power(difference: float) -> float:
        return float(stats.nct.sf(critical, d.n - 1, difference / error))  # the other tail is none

    return float(brentq(lambda difference: power(difference) - 0.8, error, 6 * error))


SAID = (
    holm_words, open_words, margin_words, gap_words, centroid_words, norm_words, item_words,
    idle_words, bare_words, step_words, beside_l2("mean_accuracy_over_steps"), beside_l2_alone,
    l2_name,
)  # fmt: skip
"""What a sentence may say beside its difference."""


@pytest.mark.parametrize("study", NAMES.values())
def test_intervals_over_items_are_not_narrower_than_over_runs(study: str) -> None:
    found = items(study)
    assert {pair for pair in found if pair[1] == "rate"} == {
        (arm, "rate") for arm in arms(study) if arm != "rate"
    }
    for (arm, other), (low, high) in found.items():
        d = difference(study, arm, other, "mean_accuracy_over_steps")
        assert d is not None
        assert high - low >= (d.high - d.low) - 1.01e-4, (arm, other)  # kept to 0.01 points
        assert (low + high) / 2 == pytest.approx(d.mean, abs=1e-4)


@pytest.mark.parametrize("study", NAMES.values())
def test_what_is_said_of_the_regime(study: str) -> None:
    steps = {int(row["optimizer_steps"]) for row in rows(study)}
    base = facts(study)["base"]
    assert isinstance(base, dict)
    epochs, batch = base["epochs"], base["batch_size"]
    training = base["data"]["train_size"]
    for row in rows(study):  # the number of training samples makes the accuracy a fraction of it
        wholes = [training] if training else [n for n in range(780, 800) if _whole(row, n)]
        assert {epochs * -(-n // batch) for n in wholes if _whole(row, n)} == steps
    ends = [column(study, arm, "mean_accuracy_over_steps") for arm in arms(study)]
    best = [column(study, arm, "test_mean_accuracy_over_steps_at_best_val") for arm in arms(study)]
    tests = [beside_zero(study, a - b) for a, b in zip(ends, best, strict=True)]
    changes = [test.mean for test in tests]
    read = [reading(test, "mean_accuracy_over_steps", test.p) for test in tests]
    assert "lower" not in read  # else an arm overfits
    words = {
        "higher": "still rose",
        "no relevant difference": "stayed within ±0.5 points",
        "undecided": "can't be told",
    }
    said = ", ".join(f"{read.count(r)} {word}" for r, word in words.items() if r in read)
    (number,) = steps
    sentence = (
        f"Every figure is of runs of {number} optimiser steps ({epochs} epochs), and says nothing "
        "of shorter or longer ones. From the best epoch by validation to the last one test "
        "accuracy averaged over timesteps changed by "
        f"{100 * min(changes):+.2f} to {100 * max(changes):+.2f} points (means of the arms). "
        f"Of {len(changes)} arms {said}; none is shown to fall."
    )
    assert f"- *{study}*: {sentence}\n" in claims_page()
    assert studies_of_the_page()[study].strip().startswith(sentence)
    report = html.unescape((STUDIES / study / "report.html").read_text())
    overview = report.split("Overview</h2>")[1].split("</section>")[0]
    assert f"<p>{sentence}</p>" in overview


def _whole(row: dict[str, str], n: int) -> bool:
    right = float(row["train_accuracy"]) * n
    return abs(right - round(right)) < 1e-6


@pytest.mark.parametrize("study", NAMES.values())
def test_what_is_said_of_penalties(study: str) -> None:
    (line,) = re.findall(r"^.*Penalties, and the change.*$", studies_of_the_page()[study], re.M)
    found = re.findall(r"`(\S+)` (active|not active) \(([+-][\d.]+)%\)", line)
    wanted = {arm for arm in arms(study) if re.search(r"trt|l2", arm)}
    assert {arm for arm, *_ in found} == wanted
    for arm, word, percent in found:
        plain = "anytime" if arm.startswith("anytime") else "step"
        if re.search("mse|^trt", arm) and "step+mse" in arms(study):
            plain = "step+mse"
        change = column(study, arm, "weight_norm") / column(study, plain, "weight_norm") - 1
        assert f"{100 * change.mean():+.1f}" == percent
        assert word == ("active" if change.mean() <= -0.1 else "not active")


@pytest.mark.parametrize("study", NAMES.values())
def test_the_report_says_the_same(study: str) -> None:
    report = (STUDIES / study / "report.html").read_text()
    for line in re.findall(r"^- (.*)$", studies_of_the_page()[study], re.M):
        assert line.split(". ", 1)[1] in html.unescape(report), line
    body = report.split("p (TOST)</th>")[1].split("</table>")[0]
    found = {}
    for row in re.findall(r"<tr.*?</tr>", body, re.S):
        for arm, verdict in re.findall(
            r'">([^<>]+) <span class="verdict">([^<>]+)</span></th>', row
        ):
            cells = [html.unescape(c) for c in re.findall(r">([^<>]+)</td>", row)]
            found[html.unescape(arm)] = [*cells, verdict]
    for arm, (d, p) in against_all(study, "mean_accuracy_over_steps").items():
        low, high = items(study)[arm, "rate"]
        spread = f"{100 * low:+.2f} to {100 * high:+.2f}"
        mean, own_low, own_high = (f"{100 * v:+.2f}" for v in (d.mean, d.low, d.high))
        values = column(study, arm, "mean_accuracy_over_steps")
        told = [f"{v:.3f}" if v >= 0.001 else "< 0.001" for v in (p, d.outside)]
        assert found[arm] == [
            str(d.n), f"{100 * values.mean():.2f} ± {100 * values.std(ddof=1):.2f}", mean,
            f"{own_low} to {own_high}", spread, *told,
            reading(d, "mean_accuracy_over_steps", p),
        ]  # fmt: skip
