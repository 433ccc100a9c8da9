"""Fills docs/audit.md with what the audit finds of the tests' networks, over several seeds.

    python tools/audit_page.py SEEDS [LIBRARY ...]

Rows that are there stay as they are, of libraries that aren't named (by default all are) or aren't
installed: run it in each environment of `make test-frameworks`, too.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.interop.audited import CASES, given  # noqa: E402
from tests.unit.audit.planted import MISSED, PLANTED  # noqa: E402
from tests.unit.audit.sound import SOUND  # noqa: E402

import tempreg  # noqa: E402

PAGE = ROOT / "docs" / "audit.md"


class Line(NamedTuple):
    """A network of the tables: its check and layer where it has a fault."""

    name: str
    library: str
    kind: str | None
    layer: str | None
    make: Callable[[], nn.Module]
    given: Callable[[], Tensor]


def lines() -> Iterator[Line]:
    for name, p in {**PLANTED, **MISSED}.items():
        yield Line(name, "torch", p.kind, p.layer, p.make, p.given)
    for name, s in SOUND.items():
        yield Line(name, "torch", None, None, s.make, s.given)
    for name, c in CASES.items():
        yield Line(name, c.library, c.kind, c.layer, c.make, given)


def row(line: Line, seeds: int) -> str:
    """What was found of it, of so many seeds of weights and changes."""
    right, others = 0, set()
    for seed in range(seeds):
        torch.manual_seed(seed)
        audit = tempreg.audit(line.make(), line.given(), seed=seed)
        if line.kind is None:
            right += audit.passed
            others |= set(audit.failed())
            continue
        checks = [audit.checks[kind] for kind in line.kind.split()]
        right += all(not c.passed and (c.layer or "") == line.layer for c in checks)
        others |= set(audit.failed()) - set(line.kind.split())
    also = ", ".join(sorted(others)) or "-"
    if line.kind is None:
        return f"| {line.name} | {line.library} | {right} of {seeds} | {also} |"
    found = f"{right} of {seeds}"
    kind = line.kind.replace(" ", ", ")
    layer = f"`{line.layer}`" if line.layer else "-"
    return f"| {line.name} | {line.library} | {kind} | {layer} | {found} | {also} |"


def main() -> None:
    seeds, named = int(sys.argv[1]), sys.argv[2:]
    warnings.simplefilter("ignore")
    text = PAGE.read_text(encoding="utf-8")
    before = dict(re.findall(r"^(\| [^|]+ \| [^|]+ \|)(.*)$", text, re.MULTILINE))
    tables: dict[str, list[str]] = {"planted": [], "sound": []}
    for line in lines():
        key = f"| {line.name} | {line.library} |"
        there = importlib.util.find_spec(line.library.lower())
        asked = there and (not named or line.library in named or key not in before)
        made = row(line, seeds) if asked else key + before.get(key, "")
        print(made, flush=True)
        if made != key:
            tables["planted" if line.kind else "sound"].append(made)
    for name, rows in tables.items():
        mark = rf"(<!-- {name} -->\n(?:\|.*\n){{2}})(?:\|.*\n)*"
        text = re.sub(mark, lambda m, rows=rows: m[1] + "\n".join(rows) + "\n", text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
