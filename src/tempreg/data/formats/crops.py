"""Parts of images that are resized: the random one of training, and the middle for tests.

Both as torchvision does them of Pillow images, with its defaults: what published training on
ImageNet uses.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

AREA = (0.08, 1.0)
ASPECT = (3 / 4, 4 / 3)
TRIES = 10

Pixels = NDArray[np.uint8]


def random_crop(pixels: Pixels, size: tuple[int, int], seed: int, sample: int) -> Pixels:
    """A random part of an image, resized (Szegedy et al. 2015, arXiv 1409.4842).

    Args:
        pixels: [H, W, C], C is 1 or 3.
        size: (height, width) to resize to, bilinear with antialiasing.
        seed, sample: >= 0; they decide what is drawn.

    Returns:
        [height, width, C].
    """
    top, left, height, width = random_box(pixels.shape[:2], np.random.default_rng([seed, sample]))
    return _resized(pixels[top : top + height, left : left + width], size)


def random_box(shape: tuple[int, ...], draws: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of a part of an image of `shape` (H, W).

    Its share of the area is uniform in AREA, the logarithm of width / height in that of ASPECT.
    Where none of TRIES such parts fits, it is the largest in the middle whose aspect is allowed.
    """
    high, wide = shape
    for _ in range(TRIES):
        area = high * wide * draws.uniform(*AREA)
        aspect = math.exp(draws.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= wide and 0 < height <= high:
            top = int(draws.integers(high - height + 1))
            left = int(draws.integers(wide - width + 1))
            return top, left, height, width
    width, height = wide, high
    if wide / high < ASPECT[0]:
        height = min(high, round(wide / ASPECT[0]))
    elif wide / high > ASPECT[1]:
        width = min(wide, round(high * ASPECT[1]))
    return (high - height) // 2, (wide - width) // 2, height, width


def middle(pixels: Pixels, shorter_side: int, size: int) -> Pixels:
    """[H, W, C] with its shorter side brought to a length >= size, and its middle cut out."""
    high, wide = pixels.shape[:2]
    longer = int(shorter_side * max(high, wide) / min(high, wide))
    height, width = (shorter_side, longer) if high <= wide else (longer, shorter_side)
    pixels = _resized(pixels, (height, width))
    top, left = round((height - size) / 2), round((width - size) / 2)
    return pixels[top : top + size, left : left + size]


def _resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    from PIL import Image

    height, width = size
    if pixels.shape[:2] == size:
        return pixels
    image = Image.fromarray(
        np.ascontiguousarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
    )
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.array(image, dtype=np.uint8).reshape(height, width, pixels.shape[2])
