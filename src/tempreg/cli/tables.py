"""Tables in the terminal."""

from __future__ import annotations


def per_step_table(rows: dict[str, list[float]]) -> str:
    """Accuracies at each timestep, a row a name, aligned."""
    steps = max(map(len, rows.values()))
    width = max(len("timestep"), *map(len, rows))
    lines = ["  ".join([f"{'timestep':{width}}", *(f"{t:>6}" for t in range(1, steps + 1))])]
    for name, values in rows.items():
        lines.append("  ".join([f"{name:{width}}", *(f"{value:6.1%}" for value in values)]))
    return "\n".join(lines)
