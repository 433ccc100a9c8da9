"""What a check says, and all of them together."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, final

from tempreg.errors import RequestError
from tempreg.files import write_json, write_text

VERSION = 1


@final
class AuditError(RequestError):
    """A network or an input that can't be audited; the message says why."""


@final
@dataclass(frozen=True)
class Check:
    """One question and its answer.

    Attributes:
        passed: whether nothing is wrong; facts that are no faults are remarks, and pass.
        layer: the first module that answers as it must not; the class's name where it is the
            network's own forward(). None where nothing is wrong.
        size: how much is wrong, from 0 (nothing) on; the sentence says of what.
        sentence: what was found, what it means and how to mend it.
        remarks: facts that no verdict follows from, a sentence each.
    """

    passed: bool
    layer: str | None
    size: float
    sentence: str
    remarks: tuple[str, ...] = ()


def fine(sentence: str, *remarks: str) -> Check:
    """A check that passes."""
    return Check(True, None, 0.0, sentence, remarks)


@final
@dataclass(frozen=True)
class Rows:
    """Numbers behind the checks, as a table."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@final
@dataclass(frozen=True)
class Audit:
    """The checks of one network.

    Attributes:
        model: the network's class, or the run's folder.
        checks: by name: batch, causality, time, state, axis, spikes, stepwise, gradients,
            precision, energy; of a run also those that begin with "run".
        settings: T, the samples, the seed, and what else shaped the answers.
        details: tables of numbers behind them.
    """

    model: str
    checks: dict[str, Check]
    settings: dict[str, Any] = field(default_factory=dict)
    details: tuple[Rows, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every check passes."""
        return not self.failed()

    def failed(self, allow: Collection[str] = ()) -> list[str]:
        """The names of the checks that fail, without those allowed to."""
        return [n for n, check in self.checks.items() if not check.passed and n not in allow]

    def table(self) -> str:
        """A line a check, and its remarks below it."""
        width = max(map(len, self.checks))
        lines = []
        for name, check in self.checks.items():
            word = "pass" if check.passed else "FAIL"
            where = f" [{check.layer}]" if check.layer else ""
            lines.append(f"{name:{width}}  {word}{where}  {check.sentence}")
            lines += [f"{'':{width}}        - {remark}" for remark in check.remarks]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "version": VERSION,
            "model": self.model,
            "passed": self.passed,
            "settings": self.settings,
            "checks": {name: asdict(check) for name, check in self.checks.items()},
            "details": [asdict(rows) for rows in self.details],
        }

    def save(self, path: str | Path) -> None:
        """Replace a file: JSON, or by its suffix a page (.html) or a badge (.svg)."""
        place = Path(path)
        if place.suffix == ".html":
            from tempreg.audit.page import audit_page
            from tempreg.report.page import write_page

            write_page(audit_page(self), place)
        elif place.suffix == ".svg":
            from tempreg.audit.page import badge

            write_text(place, badge(self))
        else:
            write_json(place, json.loads(json.dumps(self.as_json())))
