"""How the pages about studies are read: their tables, sentences and words, by study and measure."""

from __future__ import annotations

import csv
import re

from tests.unit.study.page.published import (
    NAMES,
    ROOT,
    STUDIES,
    Difference,
    arms,
    difference,
    holm,
)

MEASURES = {
    "averaged over timesteps": "mean_accuracy_over_steps",
    "after the first timestep": "accuracy_t1",
    "after the last timestep": "test_accuracy",
    "gap from training to test accuracy": "generalization_gap",
    "training accuracy": "train_accuracy",
    "accuracy lost under weight noise": "noise_accuracy_drop",
    "accuracy lost under relative weight noise": "noise_accuracy_drop",
    "how far its centroid moved": "shift",
    "change of the information centroid": "shift",
    "change of the fisher information's centroid": "shift",
    "the factor": "gradient_decay",
    "factor to which gradients": "gradient_decay",
}
"""What a page calls a column."""
PAIR = r"`([^`\s]+)` minus `([^`\s]+)`"
NUMBER = r"[+-]\d+\.\d+"
FIGURE = rf"{NUMBER} \({NUMBER} to {NUMBER}\)"
READINGS = "higher|lower|undecided|no relevant difference"
UNTESTABLE = "not testable here"
"""What is said of temporal gradients on data that needs no time, whatever their difference."""
VERDICTS = {"supported", "contradicted", "no relevant difference", "undecided", UNTESTABLE}


def measure(words: str) -> str:
    """The column that words name; the longest phrase that they hold."""
    found = [phrase for phrase in MEASURES if phrase in words.lower()]
    assert found, words
    return MEASURES[max(found, key=len)]


def claims_page() -> str:
    return (STUDIES / "claims.md").read_text()


def table(text: str) -> tuple[list[str], list[list[str]]]:
    """The first Markdown table of `text`: its head and its rows."""
    lines = re.findall(r"(?:^\|.*\n)+", text, re.M)[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return cells[0], cells[2:]


def against_all(study: str, name: str) -> dict[str, tuple[Difference, float]]:
    """Every arm beside `rate`, with Holm's p over them."""
    tests = {arm: difference(study, arm, "rate", name) for arm in arms(study) if arm != "rate"}
    found = {arm: d for arm, d in tests.items() if d is not None}
    adjusted = holm([d.p for d in found.values()])
    return {arm: (d, p) for (arm, d), p in zip(found.items(), adjusted, strict=True)}


def part_pairs(text: str) -> list[tuple[str, str]]:
    return [(a, b) for _, pair, *_ in table(text)[1] for a, b in re.findall(PAIR, pair)]


def sections() -> dict[str, str]:
    """Of the page of claims, each table of parts by its heading."""
    return dict(re.findall(r"^### (.*?)\n\n(.*?)(?=^##)", claims_page(), re.M | re.S))


def studies_of_the_page() -> dict[str, str]:
    return {
        name: re.split(rf"^## {name}$", claims_page(), flags=re.M)[1].split("\n## ")[0]
        for name in NAMES.values()
    }


def items(study: str) -> dict[tuple[str, str], tuple[float, float]]:
    with (STUDIES / study / "items.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    return {(r["arm"], r["against"]): (float(r["low"]), float(r["high"])) for r in found}


def prose(page: str) -> str:
    text = (ROOT / page).read_text()
    if page == "README.md":
        text = text.split("## What the short studies show")[1].split("\n## ")[0]
    return " ".join(text.split())
