"""Differences for other recordings: repeated cross-validation as partitions by items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tempreg.study.packed import items_of
from tempreg.study.results import StudyData
from tempreg.study.statistics.mixed import MixedModel, mixed_model


def over_recordings(
    study: StudyData, arm: str, other: str, *, step: int | None
) -> MixedModel | None:
    """The mixed model of a study whose folds test every item once in each partition.

    Args:
        study: with `split` "PARTITION.FOLD" in its runs.
        arm, other: the difference is `arm` minus `other`, in right or wrong.
        step: the timestep, from 0 (-1: the last); None: averaged over timesteps.

    Returns:
        None where runs are no folds, no partition is complete, or items weren't kept.
    """
    parts: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float64]]]] = {}
    ours, theirs = study.finished(arm), study.finished(other)
    for name in study.replicates:
        if name not in ours or name not in theirs:
            continue
        a, b = items_of(study, ours[name]), items_of(study, theirs[name])
        partition, dot, _ = ours[name].split.partition(".")
        if a is None or b is None or not dot or not np.array_equal(a[1], b[1]):
            return None
        difference = a[0] - b[0]
        row = difference.mean(axis=0) if step is None else difference[step]
        parts.setdefault(partition, []).append((a[1], row))
    rows = [_in_order(pieces) for pieces in parts.values()]
    most = max((len(items) for items, _ in rows), default=0)
    whole = [row for items, row in rows if len(items) == most]
    return mixed_model(np.stack(whole)) if whole else None


def _in_order(
    pieces: list[tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The folds of a partition together, by the items' numbers."""
    items = np.concatenate([items for items, _ in pieces])
    order = items.argsort()
    return items[order], np.concatenate([row for _, row in pieces])[order]
