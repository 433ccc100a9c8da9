"""Fills the table of packages in docs/licences.md from what is installed: `make lock` calls it.

    python tools/licences.py

Covers what `pip install tempreg` and each of its extras bring, directly and through others, and
what the tests and these pages need, as .ci/locks/dev.txt and triton.txt have it. A licence is what
the package itself says: its License-Expression, its classifiers, its field License, or the first
line of its file LICENSE.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"
BEGIN, END = "<!-- packages: begin -->\n", "<!-- packages: end -->\n"
TOOLS = ("dev", "docs")
"""Extras that nobody needs who only uses the package."""


def locked(name: str) -> dict[str, str]:
    """Version by package of .ci/locks/NAME.txt."""
    text = (ROOT / ".ci" / "locks" / f"{name}.txt").read_text()
    return dict(re.findall(r"(?m)^([a-z0-9-]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", text))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def licence(package: Distribution) -> str:
    """One line, as short as the package's metadata has it."""
    said = package.metadata
    if expression := said.get("License-Expression"):
        return str(expression)
    classified = [
        line.rpartition(" :: ")[2]
        for line in said.get_all("Classifier", [])
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    if classified:
        return ", ".join(classified)
    # Some put the whole text there; its first line is the licence's name.
    text = said.get("License") or package.read_text("licenses/LICENSE") or ""
    first = str(text).strip().partition("\n")[0]
    return first or "not stated"


def brought(extra: str) -> set[str]:
    """Packages that `tempreg[extra]` brings, through any number of others; "" is without one."""
    found: set[tuple[str, str]] = set()
    todo = [("tempreg", extra)]
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in found:
            continue
        found.add((name, wanted))
        for line in distribution(name).requires or []:
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": wanted}):
                todo += [(canonical(need.name), each) for each in {"", *need.extras}]
    return {name for name, _ in found} - {"tempreg"}


def uses() -> dict[str, list[str]]:
    """What brings a package: "tempreg", or names of extras, or the tests and pages."""
    extras = {
        extra: brought(extra)
        for extra in distribution("tempreg").metadata.get_all("Provides-Extra")
    }
    core = brought("")
    found = {}
    for name in {**locked("dev"), **locked("triton")}:
        by = [extra for extra in sorted(extras) if name in extras[extra] and extra not in TOOLS]
        if name in core:
            by = ["tempreg"]
        found[name] = by or ["tests and pages"]
    return found


def table() -> str:
    rows = ["| package | licence | comes with |", "|---|---|---|"]
    for name, by in sorted(uses().items()):
        if (package := installed(name)) is None:
            sys.exit(f"{name} is locked and not installed here: call it through make lock")
        rows.append(f"| {name} | {licence(package)} | {', '.join(by)} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + table() + END + after)
