"""Random changes of whole training batches."""

from tempreg.data.augment.events import dropped, jittered
from tempreg.data.augment.geometry import mirrored, rolled, shifted, turned, with_cutout
from tempreg.data.augment.mixing import cutmix, mixup
from tempreg.data.augment.policy import Augmentation
from tempreg.data.augment.rand import RandAugmentation

__all__ = [
    "Augmentation",
    "RandAugmentation",
    "cutmix",
    "dropped",
    "jittered",
    "mirrored",
    "mixup",
    "rolled",
    "shifted",
    "turned",
    "with_cutout",
]
