"""One encoded image to pixels: upright, of one size and number of channels."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from tempreg.data.errors import DataError
from tempreg.data.formats.crops import middle
from tempreg.errors import warnings_about

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".apng",
        ".bmp",
        ".dib",
        ".gif",
        ".tif",
        ".tiff",
        ".webp",
        ".avif",
        ".jp2",
        ".j2k",
        ".jpx",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".tga",
        ".pcx",
        ".sgi",
        ".qoi",
    }
)
MAX_PIXELS = 64_000_000
"""An image that claims more is refused before its pixels are decoded."""
_SILENT = logging.NullHandler()
"""One for all images: Pillow logs what its errors say, and a logger keeps each that it gets."""


def decoded(
    source: Path | bytes,
    channels: int,
    size: int | None = None,
    *,
    shorter_side: int | None = None,
    name: str = "",
) -> NDArray[np.uint8]:
    """Pixels [H, W, C], turned upright by their EXIF orientation.

    Palettes and CMYK become RGB, transparency shows black, 16 bits of grey become 8, and of an
    animation the first image is taken.

    Args:
        source: a file, or what one holds.
        channels: 1 (grey) or 3 (RGB).
        size: the shorter side is brought to this length (bilinear, with antialiasing), and a
            square is cut from the middle; None: as it is.
        shorter_side: with a size, what the shorter side is brought to instead, >= size.
        name: what errors call it; the default is the path.

    Raises:
        DataError: no image, a truncated one, or one of more than MAX_PIXELS.
    """
    from PIL import ImageOps

    where = name or str(source)
    with _opened(source, where) as image:
        sixteen = _sixteen_bits(image)
        pixels = _converted(ImageOps.exif_transpose(image), channels, where, sixteen)
    array: NDArray[np.uint8] = np.array(pixels, dtype=np.uint8)
    array = array.reshape(pixels.height, pixels.width, channels)
    return array if size is None else squared(array, size, shorter_side)


def squared(
    pixels: NDArray[np.uint8], size: int, shorter_side: int | None = None
) -> NDArray[np.uint8]:
    """[H, W, C] to [size, size, C]: see `decoded`."""
    from PIL import Image

    if shorter_side is not None:
        return middle(pixels, shorter_side, size)
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
    with _opened(path, str(path)) as image:
        turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        width, height = image.size
        if turned and image.format == "TIFF":  # which newer versions of Pillow turn by themselves
            turned = image.size == (image.getexif().get(0x0100), image.getexif().get(0x0101))
        grey = image.mode in _GREY or image.mode.startswith("I;16") or _sixteen_bits(image)
    return ((width, height) if turned else (height, width)), grey


_GREY = ("1", "L", "LA", "La")


def _sixteen_bits(image: Image) -> bool:
    """Grey of 16 bits that Pillow holds in 32: from .pgm of any depth, or PNG before Pillow 11."""
    return image.mode == "I" and image.format in ("PPM", "PNG")


@final
class _Bounded(io.BufferedReader):
    """A file of which no more is asked than it has, whatever length it claims within."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._length = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size if size is None else min(size, self._length))


@contextmanager
def _opened(source: Path | bytes, where: str) -> Iterator[Image]:
    """An image before it is decoded; DataError for what Pillow raises, with the file's name."""
    from PIL import Image, UnidentifiedImageError

    logging.getLogger("PIL").addHandler(_SILENT)
    with warnings_about(where):
        try:
            file = _Bounded(source) if isinstance(source, Path) else io.BytesIO(source)
            with file, Image.open(file) as opened:
                _check_size(opened, where)
                yield opened
        except UnidentifiedImageError:
            raise DataError(f"{where} is not an image") from None
        except (  # whatever its readers of damaged files have been seen to raise, and their kin
            OSError,
            EOFError,
            SyntaxError,
            ValueError,
            TypeError,
            ArithmeticError,
            LookupError,
            struct.error,
            Image.DecompressionBombError,
        ) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{where} can't be read as an image: {error}") from None


def _check_size(image: Image, where: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DataError(
            f"{where} claims {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}: make "
            "it smaller"
        )


def _converted(image: Image, channels: int, where: str, sixteen_bits: bool) -> Any:
    from PIL import Image as Images

    if image.mode.startswith("I;16") or sixteen_bits:
        image = Images.fromarray((np.array(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise DataError(
            f"{where} has pixels of a range that is unknown (32 bits, or 16 with a sign): save it "
            "with 8, or 16 without a sign"
        )
    elif image.has_transparency_data:
        seen = image.convert("RGBA")
        black = Images.new("RGBA", seen.size, (0, 0, 0, 255))
        image = Images.alpha_composite(black, seen)
    return image.convert("L" if channels == 1 else "RGB")
