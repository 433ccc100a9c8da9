"""Figures as SVG that stands inside a page: its colours follow the page, its text is text."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter

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


def _on_page(tag: str, key: str) -> str:
    """A tag with its ids and colours as the page has them."""
    tag = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{key}-", tag)
    tag = tag.replace("xlink:href", "href").replace(_INK, "currentColor")
    for index, colour in enumerate(COLOURS, 1):
        tag = re.sub(re.escape(colour), f"var(--c{index})", tag, flags=re.IGNORECASE)
    return tag


def _legible_log(axis: Axis) -> None:
    """Few ticks with plain numbers: matplotlib's own labels are mathematics, which is off here."""
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
    if not isinstance(axis.get_major_locator(), FixedLocator):
        low, high = sorted(axis.get_view_interval())
        if low <= 0 or high < 3 * low:
            axis.set_major_locator(MaxNLocator(4))
        elif high < 100 * low:  # with one or two powers of ten in it
            axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
        else:
            axis.set_major_locator(LogLocator(numticks=6))


def inline_svg(figure: Figure, key: str) -> str:
    """The <svg> element of a figure, whose background becomes transparent.

    Hidden from screen readers: the page says in words what it shows. `key` (letters, digits,
    hyphens) makes its ids different from other figures' on the page. Colours of the palette
    become the page's variables --c1 ..., which it defines for light and for dark.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":
                _legible_log(axis)
    with page_style(), warnings.catch_warnings():
        # Of matplotlib's own fonts, which only measure: the page's reader has others.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
            patch.set(facecolor="none", edgecolor="none")
        buffer = io.StringIO()
        # `Figure.savefig` would draw all of it once more, to find where it lies.
        FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
            buffer, metadata={"Date": None}
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    # In tags alone: what stands between them are words, which a name may have put there.
    text = re.sub(r"<[^>]*>", lambda tag: _on_page(tag[0], key), text)
    text = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1).strip()
