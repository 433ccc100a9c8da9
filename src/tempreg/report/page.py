"""A report as one HTML file: sections of text, tables and figures, nothing from elsewhere.

Everything that comes from a run's files (names, paths, errors) reaches the page escaped; only
the figures' SVG, which matplotlib escapes, is inserted as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from tempreg.files import write_text
from tempreg.report.svg import inline_svg
from tempreg.report.table import Table as Table

_WIDE = 8.0
"""Inches."""


@final
@dataclass(frozen=True)
class Picture:
    """A figure and what it shows.

    Attributes:
        figure: made inside `svg.page_style`.
        caption: a short title.
        words: the same in words, with its main numbers, for who can't see it.
    """

    figure: Figure
    caption: str
    words: str

    @property
    def wide(self) -> bool:
        """Whether it has panels beside each other, which a phone scrolls through."""
        return float(self.figure.get_figwidth()) > _WIDE


@final
@dataclass(frozen=True)
class Section:
    """A heading and what is under it.

    Attributes:
        paragraphs: plain text.
        code: commands, shown as they are to be typed.
    """

    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    code: Sequence[str] = ()


@final
@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    lead: str
    sections: Sequence[Section] = field(default_factory=list)


def render(page: Page) -> str:
    """The HTML file's text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tempreg.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = environment.get_template("page.css").render()
    drawn = {
        (s, p): Markup(inline_svg(picture.figure, f"f{s}-{p}"))
        for s, section in enumerate(page.sections)
        for p, picture in enumerate(section.pictures)
    }
    template = environment.get_template("page.html.jinja")
    return template.render(page=page, css=Markup(css), drawn=drawn)


def write_page(page: Page, path: Path) -> None:
    """Replace the file at `path`."""
    write_text(path, render(page))
