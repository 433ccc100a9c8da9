"""RandAugment (arXiv 1909.13719) by kornia, on standardised images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

OPERATIONS = 2
"""Applied to each image in turn, as in most of the published results."""


class RandAugmentation:
    """Two different operations on each image, chosen and signed anew for each. Final.

    Those of kornia: contrast, equalisation, inversion, rotation, posterisation, solarisation,
    saturation, brightness, sharpness, shear and translation; black enters at borders.

    Args:
        magnitude: in [1, 29], as kornia and the publication count it.
        scale, offset: x * scale + offset of pixel values 0 ... 255 are the images, one value or
            one a channel.

    Raises:
        ModuleNotFoundError: kornia isn't installed.
    """

    def __init__(
        self,
        magnitude: int,
        *,
        scale: float | Sequence[float] = 1.0,
        offset: float | Sequence[float] = 0.0,
    ) -> None:
        from kornia.augmentation.auto import RandAugment
        from kornia.augmentation.auto.rand_augment.rand_augment import default_policy

        # One a kind, since a RandAugment applies what it draws to all images of a batch.
        self._operations = [RandAugment(1, magnitude, policy=[entry]) for entry in default_policy]
        self._scale = torch.tensor(scale).float().reshape(-1, 1, 1) * 255
        self._offset = torch.tensor(offset).float().reshape(-1, 1, 1)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A changed copy of images [B, 1 or 3, H, W]; the draws depend on `generator` alone."""
        scale, offset = self._scale.to(x.device), self._offset.to(x.device)
        pixels = ((x - offset) / scale).clamp(0, 1)
        grey = pixels.shape[1] == 1
        if grey:
            pixels = pixels.expand(-1, 3, -1, -1)
        weights = torch.ones(len(x), len(self._operations))
        chosen = torch.multinomial(weights, OPERATIONS, generator=generator)
        seed = int(torch.randint(2**62, (1,), generator=generator))
        with torch.random.fork_rng(devices=[]):  # kornia draws from the CPU's global generator
            torch.manual_seed(seed)
            for place in range(OPERATIONS):
                after = pixels.clone()
                for index in chosen[:, place].unique().tolist():
                    rows = (chosen[:, place] == index).nonzero().flatten().to(x.device)
                    after[rows] = self._operations[index](pixels[rows]).clamp(0, 1)
                pixels = after
        return (pixels[:, :1] if grey else pixels) * scale + offset
