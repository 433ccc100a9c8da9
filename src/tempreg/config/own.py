"""Settings for an own folder, chosen by what it holds."""

from __future__ import annotations

import math

from tempreg.config.schema import DataConfig, ModelConfig, RunConfig
from tempreg.options import AugmentOptions, ObjectiveOptions, OptimizerOptions

LARGEST_SIDE = {"images": 64, "events": 48}
"""Beyond it, images and frames are resized to it, so that a CPU trains in reasonable time."""
_STEPS = 600
"""Gradient steps that the embedded sets take to train, roughly; epochs are chosen to meet them."""


def own_run(path: str, *, kind: str, samples: int, size: tuple[int, int], alike: bool) -> RunConfig:
    """A run of csnn on the folder `path`.

    Args:
        kind: "images" or "events".
        samples: to train on, >= 1; decides batch size, epochs and width.
        size: (H, W), typically; decides the size to resize to and the number of layers.
        alike: whether all samples have that size.
    """
    events = kind == "events"
    side = min(max(size), LARGEST_SIDE[kind])
    resized = max(size) > side or not alike or size[0] != size[1]
    batch_size = next((b for b in (64, 32, 16, 8) if samples >= 20 * b), 4)
    epochs = min(50, max(10, math.ceil(_STEPS / math.ceil(samples / batch_size))))
    layers = min(4, max(1, round(math.log2(side / 4)))) if side >= 4 else 1
    width = 32 if samples >= 500 else 16
    return RunConfig(
        epochs=epochs,
        batch_size=batch_size,
        num_steps=6 if events else 4,
        data=DataConfig(
            name="event-folder" if events else "image-folder",
            path=path,
            size=side if resized else None,
        ),
        augment=AugmentOptions(shift=2 if side >= 16 else 0),
        model=ModelConfig(name="csnn", channels=tuple(width * 2**i for i in range(layers))),
        objective=ObjectiveOptions(name="trt", lam=1e-5, decay=0.5 if events else 0.25, eta=0.05),
        optimizer=OptimizerOptions(name="adam", lr=2e-3, warmup_epochs=1.0),
    )
