"""Which analyses of a run are complete: a file beside its folder says it, with their samples.

So a study is continued with other analyses, or with more samples, on runs that are finished.
Marks of earlier versions, which are no JSON, say of numbers that meant something else: those
analyses are made again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tempreg.files import write_json
from tempreg.study.plan.plan import Plan, Run


def left_to_analyse(plan: Plan, run: Run) -> list[str]:
    """The plan's analyses that the run lacks, or has with other samples or draws."""
    done = _read(_mark(run))
    return [name for name in plan.analyses if done.get(name) != _with(plan, name)]


def note_analysed(plan: Plan, run: Run) -> None:
    """All of the plan's are complete."""
    write_json(_mark(run), _read(_mark(run)) | {name: _with(plan, name) for name in plan.analyses})


def _mark(run: Run) -> Path:
    return run.folder.with_name(run.folder.name + ".analysed")


def _with(plan: Plan, name: str) -> dict[str, int]:
    draws = {"draws": plan.draws} if name == "flatness" else {}
    return {"samples": plan.samples, **draws}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
