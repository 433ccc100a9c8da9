"""The formula that the golden files' inputs are given by."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


def fill(shape: tuple[int, ...], seed: int, scale: float) -> Tensor:
    """scale * sin(12.9898 (i + 1) + 78.233 seed), i the row-major index, float64."""
    index = np.arange(1, math.prod(shape) + 1, dtype=np.float64)
    return torch.from_numpy(scale * np.sin(12.9898 * index + 78.233 * seed)).reshape(shape)


def golden(name: str) -> Any:
    return json.loads(Path(__file__).with_name(name).read_text())


def relative(actual: Tensor, expected: list[float]) -> float:
    """The largest difference, as a share of the largest expected magnitude."""
    wanted = torch.tensor(expected, dtype=torch.float64).flatten()
    return float((actual.double().flatten() - wanted).abs().max() / wanted.abs().max())
