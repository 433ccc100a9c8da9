"""A generated task that can only be solved by remembering: a cue, distractors, a signal to answer.

At step 0 one of `classes` cue channels is 1. Then, up to the last step, distractor channels are
1 at random. At the last step the "go" channel is 1, and the answer is the cue. A loss of the last
step alone reaches the cue's weights only through `steps - 1` timesteps.
"""

from __future__ import annotations

import torch
from torch import Tensor


def cue_memory(
    samples: int,
    steps: int,
    *,
    classes: int = 4,
    distractors: int = 4,
    rate: float = 0.2,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Inputs [T, B, classes + distractors + 1] of zeros and ones, float32, and cues [B].

    Channels are the cues, the distractors (each on with probability `rate`, at steps 1 ... T-2),
    and "go". ValueError for fewer than 2 steps, samples, classes or distractors below 1, or a
    rate outside [0, 1].
    """
    if steps < 2:
        raise ValueError(f"the task needs a step for the cue and one to answer, got {steps}")
    if min(samples, classes, distractors) < 1 or not 0 <= rate <= 1:
        raise ValueError(
            "samples, classes and distractors must be >= 1 and rate in [0, 1], got "
            f"{samples}, {classes}, {distractors} and {rate}"
        )
    generator = torch.Generator().manual_seed(seed)
    cues = torch.randint(0, classes, (samples,), generator=generator)
    inputs = torch.zeros(steps, samples, classes + distractors + 1)
    inputs[0, torch.arange(samples), cues] = 1.0
    noise = torch.rand(steps - 2, samples, distractors, generator=generator) < rate
    inputs[1:-1, :, classes : classes + distractors] = noise.float()
    inputs[-1, :, -1] = 1.0
    return inputs, cues
