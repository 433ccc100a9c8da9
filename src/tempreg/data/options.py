"""How a data set is asked for: everything but its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataOptions:
    """Settings that readers of data sets share; each uses those that concern its kind. Final.

    Attributes:
        num_steps: T of event frames, >= 1; static images ignore it.
        frames: how events become frames: "time", "count" or "duration".
        frame_ms: with "duration", how long one frame is in milliseconds, > 0.
        normalise: "none", or each recording by its "max" or a "percentile" of its counts.
        size: resize to this height and width; None: as recorded.
        resize: "area", which conserves events, or "paper", as the published scripts do.
        path: the folder or file of the data; None: `source.default_folder`.
        validation: share of the training part that is held out where no split is official, in
            (0, 1).
        split_seed: of splits that are drawn, >= 0.
        cache: keep frames on disk.
    """

    num_steps: int
    frames: str = "time"
    frame_ms: float | None = None
    normalise: str = "none"
    size: int | None = None
    resize: str = "area"
    path: Path | None = None
    validation: float = 0.1
    split_seed: int = 0
    cache: bool = True
