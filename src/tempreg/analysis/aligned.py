"""Numbers as aligned text, for the tables of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def aligned(head: Sequence[str], rows: Iterable[Sequence[str | float]], form: str = ".3f") -> str:
    """Columns under their heads: text to the left, numbers to the right, by `form`."""
    cells = [list(head)]
    cells += [[c if isinstance(c, str) else format(c, form) for c in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        first, *rest = (
            text.ljust(w) if i == 0 else text.rjust(w)
            for i, (text, w) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join(lines)


def steps(count: int) -> list[str]:
    """Heads of timesteps, from 1."""
    return [f"t={t}" for t in range(1, count + 1)]
