"""Figures as SVG that stands inside a page: its colours follow the page, its text is text."""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from tempreg.report.style import COLOURS

_INK = "#010203"
"""Stands for the page's text colour; no palette has it."""

_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tempreg",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
}


def page_style() -> AbstractContextManager[None]:
    """Figures for a page are made and saved inside this."""
    return matplotlib.rc_context(_SETTINGS)


def inline_svg(figure: Figure, key: str) -> str:
    """The <svg> element of a figure.

    Hidden from screen readers: the page says in words what it shows. `key` (letters, digits,
    hyphens) makes its ids different from other figures' on the page. Colours of the palette
    become the page's variables --c1 ..., which it defines for light and for dark.
    """
    with page_style():
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{key}-", text)
    text = text.replace("xlink:href", "href").replace(_INK, "currentColor")
    for index, colour in enumerate(COLOURS, 1):
        text = re.sub(re.escape(colour), f"var(--c{index})", text, flags=re.IGNORECASE)
    text = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1).strip()
