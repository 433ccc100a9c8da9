"""Results read back from a run's folder, each as what it is."""

from __future__ import annotations

import re
from pathlib import Path

from tempreg.analysis.anytime import Anytime, StepTransfer
from tempreg.analysis.curvature import SurrogateCurvature
from tempreg.analysis.early_exits import EarlyExits
from tempreg.analysis.fisher import Fisher
from tempreg.analysis.flatness import Flatness
from tempreg.analysis.gradients import TemporalGradients
from tempreg.analysis.own_gradients import OwnGradients
from tempreg.analysis.probes import Probes
from tempreg.analysis.result import Result
from tempreg.analysis.robustness import Robustness
from tempreg.analysis.spikes import Spikes
from tempreg.report.reading import ReportError, read_json

KINDS: dict[str, type[Result]] = {
    kind.quantity: kind
    for kind in (
        Anytime,
        EarlyExits,
        Fisher,
        Flatness,
        OwnGradients,
        Probes,
        Robustness,
        Spikes,
        StepTransfer,
        SurrogateCurvature,
        TemporalGradients,
    )
}
"""What a result's file may hold, by its `quantity`."""


def stored_result(path: Path) -> Result:
    """The result in a file; ReportError or ResultError where it holds none."""
    quantity = read_json(path).get("quantity")
    if not isinstance(quantity, str) or quantity not in KINDS:
        raise ReportError(f"{path} is not the result of an analysis")
    return KINDS[quantity].load(path)


def stored_results(run: Path) -> list[tuple[str, Result]]:
    """All of a run's results by their files' names, those of single epochs left out."""
    paths = sorted((run / "analysis").glob("*.json"))
    return [(p.stem, stored_result(p)) for p in paths if not re.search(r"-epoch-\d+$", p.stem)]
