"""The learning rate as a function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class WarmupCosine:
    """Linear warm-up, then half a cosine down to 0 after the last step.

    With `hold` the steps of an epoch it falls between epochs alone, as PyTorch's
    CosineAnnealingLR(optimizer, epochs) does that is stepped once an epoch.

    Attributes:
        peak: the highest learning rate.
        steps: gradient steps of the whole run, >= 1.
        warmup: steps of warm-up, 0 <= warmup <= steps.
        hold: after the warm-up, steps for which the learning rate stays as it is, counted from the
            first of the run, >= 1.
    """

    peak: float
    steps: int
    warmup: int = 0
    hold: int = 1

    def __call__(self, step: int) -> float:
        """The learning rate of step 0 <= step < steps."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        held = max(step // self.hold * self.hold, self.warmup)
        done = (held - self.warmup) / max(1, self.steps - self.warmup)
        return self.peak * 0.5 * (1.0 + math.cos(math.pi * done))
