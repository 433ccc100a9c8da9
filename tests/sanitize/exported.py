"""Random networks exported to C, compiled with the sanitizers and run on random frames."""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch

from tempreg.models.vgg import PlainNetwork
from tests.unit.export.test_export_c import SANITIZED, expected, lively, ran, written

NEAR = 1e-4


@final
@dataclass
class Tally:
    """What became of the networks: `equal` within `NEAR` of float64, `flipped` where a membrane
    potential within rounding of the threshold gave another spike, `faults` the sanitizers' words.
    """

    networks: int = 0
    equal: int = 0
    flipped: int = 0
    int8: int = 0
    faults: list[str] | None = None


def try_one(number: int, seed: int, tally: Tally) -> None:
    """The network of this number."""
    chance = random.Random(f"{seed}, {number}")
    torch.manual_seed(chance.randrange(2**31))
    size = (chance.randrange(4, 20), chance.randrange(4, 20))
    layers = _layers(chance, min(size))
    steps, channels = chance.randrange(1, 9), chance.randrange(1, 4)
    model = lively(
        PlainNetwork(
            layers,
            input_size=size,
            num_classes=chance.choice((2, 5, 10)),
            in_channels=channels,
            num_steps=steps,
            tau=chance.choice((1.0, 1.25, 2.0, 3.3)),
            v_reset=chance.choice((0.0, None, -0.2)),
            norm=chance.choice(("bn", "tdbn")),
        )
    )
    density = chance.choice((0.0, 0.02, 0.2, 1.0, 4.0))
    shape = (chance.randrange(1, 5), steps, channels, *size)
    x = np.random.default_rng(number).poisson(density, shape).astype(np.float32)
    int8 = chance.random() < 0.3
    with tempfile.TemporaryDirectory() as folder:
        classes = tuple(str(c) for c in range(model.num_classes))
        written(model, Path(folder), input_size=size, int8=int8, classes=classes)
        done = ran(Path(folder), x, SANITIZED)
    tally.networks += 1
    if done.returncode != 0:
        tally.faults = [*(tally.faults or []), f"network {number}: {done.stderr.decode()[-600:]}"]
        return
    logits = np.frombuffer(done.stdout, np.float32).reshape(*shape[:2], -1)
    if int8:
        tally.int8 += 1
    elif np.abs(logits - expected(model, x)).max() < NEAR:
        tally.equal += 1
    else:
        tally.flipped += 1


def _layers(chance: random.Random, edge: int) -> tuple[int | str, ...]:
    layers: list[int | str] = []
    for _ in range(chance.randrange(1, 5)):
        layers.append(chance.choice((1, 3, 8, 15, 16, 17, 33, 64, 70)))
        if edge >= 4 and chance.random() < 0.4:
            layers.append("P")
            edge //= 2
    return tuple(layers)
