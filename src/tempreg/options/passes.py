"""How the timesteps of a batch are gone through in training."""

from __future__ import annotations

from typing import Literal

Recompute = Literal["nothing", "layers", "time"]
"""What the backward pass computes again; see `tempreg.training.passes`."""
