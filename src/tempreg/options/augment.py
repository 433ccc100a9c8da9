"""The settings of random changes of training batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tempreg.options.field import check_settings, setting


@dataclass(frozen=True)
class AugmentOptions:
    """Random changes of training batches, made in the order of the attributes but for `crop`,
    which is done where images are read."""

    shift: int = setting(
        0, "move by up to this many pixels; blank ones enter (padded crop)", ">= 0, at most 65536"
    )
    roll: int = setting(
        0, "move by up to this many pixels; what leaves enters opposite", ">= 0, at most 65536"
    )
    crop: bool = setting(
        False, "images: a random part of 8 to 100% of the area, resized, as RandomResizedCrop"
    )
    rotate: float = setting(0.0, "turn by up to this many degrees", "[0, 180]")
    shear: float = setting(0.0, "shear by up to this many degrees", "[0, 89]")
    nda: bool = setting(False, "one of shift, rotation and shear for each sample, as NDA does")
    flip: bool = setting(False, "mirror left to right with probability 1/2")
    rand: int = setting(0, "images: RandAugment of this magnitude (0: don't)", "[0, 29]")
    drop: bool = setting(False, "event frames: lose a span of time, an area, or events by chance")
    jitter: float = setting(
        0.0, "event frames: probability that events move by a timestep", "[0, 1]"
    )
    cutout: int = setting(0, "edge of a random square that is blanked", ">= 0, at most 65536")
    cutout_fill: Literal["mean", "black"] = setting(
        "mean", "what cutout leaves: 0 after standardising, or black, as if before it"
    )
    mixup: float = setting(
        0.0, "mix samples in pairs: alpha of Beta(alpha, alpha) (0: don't)", ">= 0"
    )
    cutmix: float = setting(
        0.0, "take a box from another sample: alpha likewise (0: don't)", ">= 0"
    )

    def __post_init__(self) -> None:
        check_settings(self, "augment.")
