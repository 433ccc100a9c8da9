"""Tables in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def per_step_table(rows: dict[str, list[float]]) -> str:
    """Accuracies at each timestep, a row a name, aligned."""
    return _aligned({name: [f"{value:6.1%}" for value in values] for name, values in rows.items()})


def scores_table(split: str, found: Mapping[str, Any]) -> str:
    """What a split scores at each timestep: accuracies; or of numbers R^2 and squared errors.

    `found` has them by the names that summary.json has.
    """
    if "accuracy_per_step" in found:
        return per_step_table({f"{split} accuracy": found["accuracy_per_step"]})
    rows = {
        f"{split} R^2": found["r2_per_step"],
        "MSE of the mean so far": found["mse_per_step"],
        "MSE of the timestep alone": found["mse_of_each_step"],
    }
    return _aligned({name: [f"{value:.4g}" for value in values] for name, values in rows.items()})


def _aligned(rows: dict[str, list[str]]) -> str:
    steps = max(map(len, rows.values()))
    width = max(len("timestep"), *map(len, rows))
    cells = max(6, *(len(cell) for values in rows.values() for cell in values))
    heads = [f"{t:>{cells}}" for t in range(1, steps + 1)]
    lines = ["  ".join([f"{'timestep':{width}}", *heads])]
    for name, values in rows.items():
        lines.append("  ".join([f"{name:{width}}", *(f"{value:>{cells}}" for value in values)]))
    return "\n".join(lines)
