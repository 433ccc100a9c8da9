"""How every figure looks: colours that survive colour-blindness and a black-and-white print."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

# Okabe and Ito (2008); lines also differ by dash and marker, so none depends on colour alone.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def line_styles(count: int) -> list[dict[str, Any]]:
    """Keyword arguments of `Axes.plot` for `count` lines that can be told apart."""
    styles = zip(cycle(COLOURS), cycle(DASHES), cycle(MARKERS))
    return [
        {"color": colour, "linestyle": dash, "marker": marker, "markersize": 4}
        for colour, dash, marker in islice(styles, count)
    ]


def shortened(name: str, most: int = 24) -> str:
    """A module's path for a legend: its end, where it is long."""
    return legible(name if len(name) <= most else "…" + name[1 - most :])


def legible(label: str) -> str:
    """A label that matplotlib shows: it leaves those that begin with "_" out of legends, and can't
    draw half of a character, as a file's name that isn't UTF-8 has."""
    shown = label.encode("utf-8", "backslashreplace").decode()
    return f" {shown}" if shown.startswith("_") else shown
