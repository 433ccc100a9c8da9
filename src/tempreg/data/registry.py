"""Data sets by name."""

from __future__ import annotations

from collections.abc import Callable

from tempreg.data.base import DataSet
from tempreg.data.embedded import load_fashion_mnist, load_nmnist

DATASETS: dict[str, Callable[..., DataSet]] = {
    "nmnist": load_nmnist,
    "fashion-mnist": load_fashion_mnist,
}


def load_dataset(
    name: str, *, num_steps: int, frames: str = "time", size: int | None = None
) -> DataSet:
    """A data set, ready for batches.

    Args:
        name: a key of `DATASETS`.
        num_steps: T of event frames; static images ignore it.
        frames: how events become frames, "time" or "count".
        size: resize to this height and width; no data set of this version can.

    Raises:
        ValueError: an unknown name, or a size.
    """
    if name not in DATASETS:
        raise ValueError(
            f"this version has no reader for the data set {name!r}: it reads {', '.join(DATASETS)}"
        )
    if size is not None:
        raise ValueError(f"{name} is used in its own size here: leave data.size out (null)")
    return DATASETS[name](num_steps=num_steps, frames=frames)
