"""One encoded image to pixels: upright, of one size and number of channels."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tempreg.data.source import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})  # fmt: skip  # noqa: E501
MAX_PIXELS = 64_000_000
"""An image that claims more is refused before its pixels are decoded."""


def decoded(
    source: Path | bytes, channels: int, size: int | None = None, *, name: str = ""
) -> NDArray[np.uint8]:
    """Pixels [H, W, C], turned upright by their EXIF orientation.

    Palettes and CMYK become RGB, transparency shows black, 16 bits of grey become 8, and of an
    animation the first image is taken.

    Args:
        source: a file, or what one holds.
        channels: 1 (grey) or 3 (RGB).
        size: the shorter side is brought to this length (bilinear, with antialiasing), and a
            square is cut from the middle; None: as it is.
        name: what errors call it; the default is the path.

    Raises:
        DataError: no image, a truncated one, or one of more than MAX_PIXELS.
    """
    where = name or str(source)
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(source if isinstance(source, Path) else io.BytesIO(source)) as opened:
            _check_size(opened, where)
            upright = ImageOps.exif_transpose(opened)
            pixels = _converted(upright, channels, where)
    except UnidentifiedImageError:
        raise DataError(f"{where} is not an image") from None
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where} can't be read as an image: {error}") from None
    array: NDArray[np.uint8] = np.array(pixels, dtype=np.uint8)
    array = array.reshape(pixels.height, pixels.width, channels)
    return array if size is None else squared(array, size)


def squared(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """[H, W, C] to [size, size, C]: see `decoded`."""
    from PIL import Image

    height, width, channels = pixels.shape
    if (height, width) != (size, size):
        short = min(height, width)
        wide, high = (max(size, round(side * size / short)) for side in (width, height))
        left, top = (wide - size) // 2, (high - size) // 2
        image = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
        image = image.resize((wide, high), Image.Resampling.BILINEAR)
        pixels = np.array(image.crop((left, top, left + size, top + size)), dtype=np.uint8)
    return pixels.reshape(size, size, channels)


def header(path: Path) -> tuple[tuple[int, int], bool]:
    """(H, W) once upright, and whether the image is grey, without decoding it.

    Raises:
        DataError: as `decoded`.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            _check_size(opened, str(path))
            turned = opened.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            width, height = opened.size
            grey = opened.mode in ("1", "L") or opened.mode.startswith("I;16")
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image") from None
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} can't be read as an image: {error}") from None
    return ((width, height) if turned else (height, width)), grey


def _check_size(image: Image, where: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DataError(
            f"{where} claims {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}: make "
            "it smaller"
        )


def _converted(image: Image, channels: int, where: str) -> Any:
    from PIL import Image as Images

    if image.mode.startswith("I;16"):
        image = Images.fromarray((np.array(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise DataError(f"{where} has 32 bits a pixel, whose range is unknown: save it with 8")
    elif image.has_transparency_data:
        seen = image.convert("RGBA")
        black = Images.new("RGBA", seen.size, (0, 0, 0, 255))
        image = Images.alpha_composite(black, seen)
    return image.convert("L" if channels == 1 else "RGB")
