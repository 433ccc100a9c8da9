"""Which test items every run of a study got right, in one small file: items.npz.

names                [2, most] text: the arms in the first row, the repetitions in the second
items_R              int64 [N]: the items' numbers in the R-th repetition
correct_A_R          uint8 [T, ceil(N / 8)]: bits, 1 where the A-th arm's run was right

A study that is published without its run folders has it, so that anyone may ask other questions of
the same answers.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempreg.data.errors import DataError
from tempreg.data.sources.npz import read_npz
from tempreg.files import replacing
from tempreg.report.reading import ReportError
from tempreg.study.files import ITEMS
from tempreg.study.results import ReportedRun, StudyData, test_items

Items = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Which items a run got right, [T, N] of 0 and 1, and the items' numbers, [N]."""


def write_packed(study: StudyData, folder: Path) -> Path | None:
    """items.npz of all runs whose items were kept; None, and no file, where no run's were."""
    arms = [arm.name for arm in study.arms]
    arrays: dict[str, Any] = {}
    for run in study.runs:
        found = test_items(run)
        if found is None:
            continue
        a, r = arms.index(run.arm), study.replicates.index(run.replicate)
        arrays[f"correct_{a}_{r}"] = np.packbits(found[0].astype(np.uint8), axis=1)
        arrays[f"items_{r}"] = found[1]
    if not arrays:
        return None
    most = max(len(arms), len(study.replicates))
    names = [row + [""] * (most - len(row)) for row in (arms, study.replicates)]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, names=np.array(names), **arrays)
    path = folder / ITEMS
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return path


def items_of(study: StudyData, run: ReportedRun) -> Items | None:
    """From the run's folder, else from items.npz; None where neither has them."""
    found = test_items(run)
    path = study.folder / ITEMS
    if found is not None or not path.is_file():
        return found
    try:
        arrays = read_npz(path)
        arms, replicates = (row.tolist() for row in arrays["names"])
        a, r = arms.index(run.arm), replicates.index(run.replicate)
        if f"correct_{a}_{r}" not in arrays:
            return None
        items = arrays[f"items_{r}"].astype(np.int64)
        bits = np.unpackbits(arrays[f"correct_{a}_{r}"], axis=1, count=len(items))
    except (DataError, KeyError, ValueError, TypeError) as error:
        raise ReportError(f"{path} is damaged: {error}") from None
    return bits.astype(np.float64), items
