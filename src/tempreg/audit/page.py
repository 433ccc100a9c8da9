"""An audit as one page, and as a badge."""

from __future__ import annotations

from tempreg.audit.check import Audit
from tempreg.report.page import Page, Section
from tempreg.report.table import Table


def audit_page(audit: Audit) -> Page:
    """Verdicts first, then each check with its remarks, then the numbers behind them."""
    failed = audit.failed()
    verdicts = [
        [name, "pass" if c.passed else "fail", c.layer or "-", f"{c.size:.3g}"]
        for name, c in audit.checks.items()
    ]
    lead = (
        f"{len(failed)} of {len(audit.checks)} checks fail: {', '.join(failed)}."
        if failed
        else f"All {len(audit.checks)} checks pass."
    )
    sections = [
        Section(
            "Verdicts",
            tables=[Table("By check", ["Check", "Verdict", "First layer", "Size"], verdicts)],
        )
    ]
    sections += [
        Section(name.capitalize(), [check.sentence, *check.remarks])
        for name, check in audit.checks.items()
    ]
    settings = [[name, str(value)] for name, value in audit.settings.items()]
    tables = [Table(r.caption, r.head, r.rows) for r in audit.details if r.rows]
    sections.append(
        Section("Numbers", tables=[Table("How it was made", ["What", "Value"], settings), *tables])
    )
    return Page(f"Audit: {audit.model}", lead, sections)


def badge(audit: Audit) -> str:
    """A small picture for a README, SVG: how many checks pass."""
    passed = len(audit.checks) - len(audit.failed())
    words = f"{passed} of {len(audit.checks)} pass"
    colour = "#2e7d32" if audit.passed else "#c62828"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="190" height="20" role="img" '
        f'aria-label="tempreg audit: {words}">'
        '<rect width="100" height="20" fill="#444"/>'
        f'<rect x="100" width="90" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="50" y="14">tempreg audit</text><text x="145" y="14">{words}</text></g></svg>\n'
    )
