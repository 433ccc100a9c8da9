"""Random numbers by purpose and place, so that no generator's state needs saving.

Every draw of a run (weights, order, augmentation, dropout) comes from a seed that is a hash
of the run's seed and of what it is for: ("augment", epoch, batch), say. A run that continues
in the middle draws what it would have drawn.
"""

from __future__ import annotations

import hashlib

import torch


def stream_seed(seed: int, purpose: str, *place: int) -> int:
    """A 63-bit seed for one purpose at one place of a run."""
    text = ":".join(map(str, (seed, purpose, *place)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def stream(seed: int, purpose: str, *place: int) -> torch.Generator:
    """A generator on the CPU, seeded for one purpose at one place."""
    return torch.Generator().manual_seed(stream_seed(seed, purpose, *place))
