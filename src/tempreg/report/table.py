"""A table, for whatever shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes:
        caption: what it shows.
        head: a heading a column.
        rows: as many cells each; the first is the row's heading.
        numeric: columns (by index) that are numbers, and aligned so.
        verdict: the column that says what came out, which a page keeps in sight; None: none does.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
    verdict: int | None = None
