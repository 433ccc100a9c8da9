"""RandAugment (arXiv 1909.13719) by kornia, on standardised images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import final

import torch
from torch import Tensor

from tempreg.data.augment.draws import Change, changed

OPERATIONS = 2
"""Applied to each image in turn, as in most of the published results."""


@final
class RandAugmentation:
    """Two different operations on each image, chosen and signed anew for each.

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
        return changed(x, [self.change(len(x), generator)])

    def change(self, samples: int, generator: torch.Generator) -> Change:
        """The same, drawn for so many images; kornia draws more while it works."""
        weights = torch.ones(samples, len(self._operations))
        chosen = torch.multinomial(weights, OPERATIONS, generator=generator)
        seed = int(torch.randint(2**62, (1,), generator=generator))
        indices = [chosen[:, place].unique().tolist() for place in range(OPERATIONS)]
        rows = [
            (chosen[:, place] == index).nonzero().flatten()
            for place in range(OPERATIONS)
            for index in indices[place]
        ]
        return Change(partial(self._changed, indices, seed), *rows)

    def _changed(self, indices: list[list[int]], seed: int, x: Tensor, *rows: Tensor) -> Tensor:
        """x after the operations of each place, of those samples each that `rows` name."""
        self._scale, self._offset = self._scale.to(x.device), self._offset.to(x.device)
        pixels = ((x - self._offset) / self._scale).clamp(0, 1)
        grey = pixels.shape[1] == 1
        if grey:
            pixels = pixels.expand(-1, 3, -1, -1)
        named = iter(rows)
        with torch.random.fork_rng(devices=[]):  # kornia draws from the CPU's global generator
            # That one alone: the device's stays where dropout will go on from.
            torch.default_generator.manual_seed(seed)
            for place in indices:
                after = pixels.clone()
                for index in place:
                    mine = next(named)
                    after[mine] = self._operations[index](pixels[mine]).clamp(0, 1)
                pixels = after
        return (pixels[:, :1] if grey else pixels) * self._scale + self._offset
