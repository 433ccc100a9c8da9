"""README, docs/study/findings.md and the quick start say what the published CSV files say."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from scipy import stats

from tests.unit.study.page.published import (
    NAMES,
    ROOT,
    STUDIES,
    arms,
    column,
    difference,
    facts,
    figure,
    reading,
    rows,
)
from tests.unit.study.page.published_pages import (
    FIGURE,
    MEASURES,
    NUMBER,
    PAIR,
    READINGS,
    against_all,
    claims_page,
    measure,
    part_pairs,
    prose,
    sections,
    table,
)


@pytest.mark.parametrize("page", ["README.md", "docs/study/findings.md"])
def test_every_figure_in_prose(page: str) -> None:
    """A figure is of the pair and the measure named last before it, and of the data after it."""
    text = prose(page)
    names = "|".join(NAMES)
    tokens = re.compile(
        rf"{PAIR}|(?P<measure>{'|'.join(sorted(MEASURES, key=len, reverse=True))})"
        rf"|(?P<figure>{FIGURE})(?: on (?P<data>{names})(?: \((?P<reading>{READINGS})\b)?)?",
        re.IGNORECASE,
    )
    pair, name, seen = ("", ""), "", 0
    tables = {measure(title): text for title, text in sections().items()}
    for token in tokens.finditer(text):
        if token[1]:
            pair = (token[1], token[2])
        elif token["measure"]:
            name = MEASURES[token["measure"].lower()]
        else:
            assert token["data"], f"{token['figure']}: of which data?"
            study = NAMES[token["data"]]
            d = difference(study, *pair, name)
            assert d is not None, (pair, study)
            assert token["figure"] == figure(d, name), (pair, name, study)
            head, body = table(tables[name])
            cells = [r for r in body if r[1] == f"`{pair[0]}` minus `{pair[1]}`"]
            word = cells[0][head.index(study)].split(":")[0]
            if page != "README.md":
                assert token["reading"] == word, (pair, name, study, word)
            elif token["reading"]:
                assert token["reading"] == word
            seen += 1
    assert seen >= 6
    assert not re.search(rf"[+-]\d+\.\d|{NUMBER}", re.sub(FIGURE, "", text)), "a figure alone"


def test_other_figures_in_prose() -> None:
    text = prose("docs/study/findings.md")
    shrink = [column(s, arm, "gradient_decay").mean() for s in NAMES.values() for arm in arms(s)]
    assert f"shrink to {min(shrink):.2f} to {max(shrink):.2f} of their size" in text
    for name, study in NAMES.items():
        d = [v for v, _ in against_all(study, "mean_accuracy_over_steps").values()]
        half = np.median([100 * (v.high - v.low) / 2 for v in d])
        assert f"±{half:.1f} points on {name}" in text
        (steps,) = {int(row["optimizer_steps"]) for row in rows(study)}
        assert f"{steps} optimiser steps on {name}" in text or f"{steps} on {name}" in text
        cells = re.findall(rf"^\| {name} \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|",
                           (STUDIES / "findings.md").read_text(), re.M)[0]  # fmt: skip
        times = sum(bool(re.fullmatch(r"accuracy_t\d+", key)) for key in rows(study)[0])
        each = len(rows(study)) // len(arms(study))
        epochs = int(float(rows(study)[0]["epochs"]))
        assert [int(cell) for cell in cells] == [len(arms(study)), each, times, epochs]
    idle = column("cifar10", "trt", "weight_norm") / column("cifar10", "step", "weight_norm") - 1
    assert f"shortened the weights by {-100 * idle.mean():.1f}%" in text
    pairs = [("nmnist", "trt", "step+mse+l2"), ("nmnist", "step+trt", "step+l2"),
             ("fashion", "trt", "step+mse+l2"), ("cifar10", "strong-trt", "strong-l2")]  # fmt: skip
    apart = [
        -100 * (column(s, a, "weight_norm") / column(s, b, "weight_norm") - 1).mean()
        for s, a, b in pairs
    ]
    assert f"ended {min(apart):.0f}% to {max(apart):.0f}% shorter than with L2" in text
    beside = len(against_all("nmnist", "mean_accuracy_over_steps"))
    assert f"one of {beside} comparisons" in text
    counts = [int(n) for n in re.findall(r"as one of (\d+) pairs", text)]
    heads = [title for title in sections() if measure(title) == "accuracy_t1"]
    pairs_seen = sum(
        difference("nmnist", *pair, "accuracy_t1") is not None
        for pair in part_pairs(sections()[heads[0]])
    )
    assert counts
    assert set(counts) == {pairs_seen}
    moved = {arm: column("nmnist", arm, "shift").mean() for arm in arms("nmnist")}
    assert [arm for arm, by in moved.items() if by < -0.05] == ["rate"]
    assert all(column("fashion", arm, "shift").mean() < -0.05 for arm in arms("fashion"))


def test_settings_that_prose_names() -> None:
    text = prose("docs/study/findings.md")
    for study in NAMES.values():
        base = facts(study)["base"]
        assert isinstance(base, dict)
        assert "with {}, {} and {} channels".format(*base["model"]["channels"]) in text
        assert f"The samples are few ({facts(study)['samples']})" in text
        if size := base["data"]["train_size"]:
            assert f"{size:,} training images" in text
        chosen = json.loads((STUDIES / study / "chosen.json").read_text())
        paper = base["objective"]["lam"]
        strong = [arm["changes"].get("objective.lam") for arm in facts(study)["arms"]]  # type: ignore[attr-defined]
        lam = chosen["trt"]["objective.lam"] if "trt" in chosen else max(filter(None, strong))
        assert lam / paper == pytest.approx(600)
    assert "from 1, 10, 100 and 600 times the paper's, and 600 was chosen for TRT" in text
    assert "600 times that in `strong-trt`" in text
    assert len(re.findall("600 times as strong", claims_page())) == 2 * len(sections())


def test_what_the_readme_says_in_words() -> None:
    text, name = prose("README.md"), "mean_accuracy_over_steps"
    assert "The penalty beside L2: no relevant difference on Fashion-MNIST, undecided on" in text
    beside = {s: difference(s, "trt", "step+mse+l2", name) for s in NAMES.values()}
    read = {study: reading(d, name, d.p) for study, d in beside.items() if d}
    assert (read["fashion"], read["nmnist"]) == ("no relevant difference", "undecided")
    idle = column("cifar10", "trt", "weight_norm") / column("cifar10", "step", "weight_norm") - 1
    assert "idle on CIFAR-10" in text
    assert abs(idle.mean()) < 0.1
    share = {}
    for study in ("fashion", "cifar10"):
        part, whole = (difference(study, arm, "rate", name) for arm in ("step", "trt"))
        assert part is not None
        assert whole is not None
        share[study] = part.mean / whole.mean
    assert "alone brings most of that on Fashion-MNIST and half on CIFAR-10" in text
    assert share["fashion"] > 0.75
    assert share["cifar10"] == pytest.approx(0.5, abs=0.1)
    tried = [study for study in NAMES.values() if "anytime+kd" in arms(study)]
    assert len(tried) == 2  # has the highest mean on both
    for study in tried:
        means = {arm: column(study, arm, name).mean() for arm in arms(study)}
        assert max(means, key=means.__getitem__) == "anytime+kd"
    head, body = table(claims_page())
    for row in body:  # was not seen
        if measure(row[1]) in ("gradient_decay", "shift"):
            assert not any(cell.startswith("supported") for cell in row[2:]), (head, row)


def test_regime_of_the_readme() -> None:
    steps = sorted({int(row["optimizer_steps"]) for s in NAMES.values() for row in rows(s)})
    assert f"{steps[0]} to {steps[-1]} optimiser steps" in prose("README.md")
    text = (ROOT / "README.md").read_text()
    assert (
        len(text.split("## What the short studies show")[1].split("\n## ")[0].strip().split("\n"))
        <= 13
    )


def test_what_the_preset_is_said_to_give() -> None:
    with (STUDIES / "preset.csv").open(newline="") as file:
        found = list(csv.DictReader(file))

    def percent(arm: str, step: int) -> np.ndarray:
        return np.array([100 * float(r[f"accuracy_t{step}"]) for r in found if r["arm"] == arm])

    page = (ROOT / "docs" / "quickstart.md").read_text()
    for words, step in (("after the first timestep", 1), ("after all six", 6)):
        trt, rate = percent("trt", step), percent("rate", step)
        d = trt - rate
        half = stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
        row = f"| {words} | {trt.mean():.1f}% | {rate.mean():.1f}% | {d.mean():+.1f} ± {half:.1f} |"
        assert row in page


def test_the_demo_s_picture_and_its_caption() -> None:
    """docs/demo.png and docs/demo.csv are from one run of examples/demo.py."""
    with (ROOT / "docs" / "demo.csv").open(newline="") as file:
        percent = {
            r["objective"]: {k: 100 * float(r[k]) for k in ("t1", "t6")}
            for r in csv.DictReader(file)
        }
    trt, rate = percent["trt"], percent["rate"]
    caption = " ".join((ROOT / "README.md").read_text().split())
    assert f"{trt['t1']:.0f}% with TRT and {rate['t1']:.0f}% with `rate`" in caption
    assert trt["t6"] == rate["t6"]
    assert f"after all six {trt['t6']:.0f}% with both" in caption
