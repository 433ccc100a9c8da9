"""Tables of a page as Markdown and LaTeX, every cell escaped, and as text for a terminal."""

from __future__ import annotations

import re

from tempreg.report.table import Table

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "λ": r"$\lambda$",
    "…": r"\dots{}",
    "\u2013": "--",
    **{character: f"\\{character}" for character in "&%$#_"},
}


def markdown(table: Table) -> str:
    """A table as GitHub and Pandoc read it, its caption above."""
    rule = [("---:" if i in table.numeric else "---") for i in range(len(table.head))]
    rows = [list(map(markdown_text, row)) for row in (table.head, *table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]
    return "\n".join([markdown_text(table.caption), "", *lines, ""])


def text(table: Table) -> str:
    """Aligned columns under their headings, the caption above."""
    rows = [[" ".join(cell.split()) for cell in row] for row in (table.head, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if i in table.numeric else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([table.caption, *lines])


def latex(table: Table) -> str:
    """A table environment; it needs the package booktabs."""
    columns = "".join("r" if i in table.numeric else "l" for i in range(len(table.head)))
    rows = [" & ".join(map(_latex_cell, row)) + r" \\" for row in (table.head, *table.rows)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex_cell(table.caption)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            rows[0],
            r"\midrule",
            *rows[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def markdown_text(text: str) -> str:
    """One line of Markdown that shows the text as it is."""
    one_line = " ".join(text.split())
    escaped = re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", one_line)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _latex_cell(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
