"""A table, for whatever shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Rows under headings. Final.

    Attributes:
        caption: what it shows.
        head: a heading a column.
        rows: as many cells each; the first is the row's heading.
        numeric: columns (by index) that are numbers, and aligned so.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[int] = frozenset()
