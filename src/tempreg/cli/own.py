"""An own folder instead of a preset: what it seems to be, said, and settings for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tempreg.errors import one_line

if TYPE_CHECKING:
    from tempreg.config import RunConfig
    from tempreg.data.guess import Guess


def guessed_run(path: str) -> tuple[RunConfig, Guess]:
    """Settings for the folder `path`, and what they are chosen by; DataError where it is none."""
    from tempreg.config.own import own_run
    from tempreg.data.guess import guess

    found = guess(Path(path).expanduser())
    config = own_run(
        path, kind=found.kind, samples=found.samples, size=found.size, alike=found.alike
    )
    return config, found


def described(found: Guess, config: RunConfig) -> list[str]:
    """A few lines on what was guessed, what was chosen, and how to choose otherwise."""
    height, width = found.size
    events = found.kind == "events"
    more = ", ..." if len(found.classes) > 5 else ""
    named = ", ".join(map(one_line, found.classes[:5])) + more
    place = "in all parts"
    if found.train is not None:  # a folder, or a table of labels
        place = f"in {found.train}" + ("" if Path(found.train).suffix else "/")
    size = f"{width} x {height}" if found.alike else f"about {width} x {height}"
    used = "as recorded" if events else "as they are"
    if config.data.size is not None:
        used = f"resized to {config.data.size} x {config.data.size}"
    lines = [
        f"{one_line(config.data.path)}: {'recordings' if events else 'images'} of "
        f"{len(found.classes)} classes ({named}), {found.samples} {place}  "
        "(otherwise: --data.name)",
        f"{'sensor' if events else 'images'} {size}, {used}  (otherwise: --data.size)",
        f"{config.model.name} {list(config.model.channels or ())}, T {config.num_steps}, "
        f"{config.epochs} epochs, batches of {config.batch_size}  (otherwise: --model.channels, "
        "--num-steps, --epochs, --batch-size)",
    ]
    if found.left_out:
        lines.append(f"files of other kinds, left out: {found.left_out}")
    return lines
