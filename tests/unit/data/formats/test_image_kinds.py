"""Images as Pillow, cameras and scanners write them, held to Pillow's own pixels."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, features

from tempreg.data import DataError, load_dataset
from tempreg.data.formats.images import IMAGE_SUFFIXES, decoded, header

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 6), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)
TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}
"""How a viewer turns the stored rows and columns (EXIF 2.3, "Orientation")."""


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("suffix", ["tif", "png", "webp"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_orientation_of_header_and_pixels(
    tmp_path: Path, orientation: int, suffix: str, pixels: np.ndarray
) -> None:
    path, image = tmp_path / f"a.{suffix}", Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = orientation
    if suffix == "tif":
        image.save(path, tiffinfo={0x0112: orientation})
    else:
        image.save(path, exif=exif, lossless=True)
    expected = TURNED[orientation](pixels)
    channels = 1 if pixels.ndim == 2 else 3
    found = decoded(path, channels)
    assert np.array_equal(found.reshape(expected.shape), expected)
    assert header(path) == (expected.shape[:2], channels == 1 and suffix != "webp")
    # By its path Pillow 13 maps a grey TIFF into memory as if it lay there turned already.
    with Image.open(io.BytesIO(path.read_bytes())) as opened:
        assert np.array_equal(
            found[..., 0] if channels == 1 else found,
            np.array(ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")),
        )


def test_a_folder_of_turned_tiffs_loads(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / label).mkdir()
        for i, orientation in enumerate((1, 3, 5, 6, 7, 8)):
            shape = (4, 6) if orientation < 5 else (6, 4)  # 4 x 6 when upright
            image = Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8))
            image.save(tmp_path / label / f"{i}.tif", tiffinfo={0x0112: orientation})
    data = load_dataset("image-folder", num_steps=1, path=tmp_path)
    assert (data.input_size, data.in_channels) == ((4, 6), 1)


MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16")
SUFFIXES = ("png", "tif", "gif", "jpg", "jfif", "webp", "bmp", "dib", "jp2", "tga", "ppm", "pcx",
            "sgi", "qoi", "avif", "apng")  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_what_pillow_saves_by_default_is_read_as_pillow_reads_it(tmp_path: Path, mode: str) -> None:
    """Every format that takes the mode; where a pixel is see-through, on black."""
    image = Image.fromarray(COLOUR).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(GREY.astype(np.uint16) * 200 + 17)
    tried = 0
    for suffix in SUFFIXES:
        path = tmp_path / f"a.{suffix}"
        assert path.suffix in IMAGE_SUFFIXES
        if suffix in ("jp2", "avif") and not features.check(
            {"jp2": "jpg_2000"}.get(suffix, suffix)
        ):
            continue
        try:
            image.save(path, format="PNG" if suffix == "apng" else None)
        except (OSError, KeyError, ValueError):
            path.unlink(missing_ok=True)
            continue
        tried += 1
        with Image.open(path) as opened:
            opened.load()
            if opened.mode.startswith("I"):
                grey = np.array(opened).astype(np.int64) >> 8
                colour = np.repeat(grey[..., None], 3, axis=2)
            else:
                shown = Image.new("RGBA", opened.size, "black")
                shown.alpha_composite(opened.convert("RGBA"))
                plain = opened if not opened.has_transparency_data else shown
                grey, colour = np.array(plain.convert("L")), np.array(plain.convert("RGB"))
        assert np.array_equal(decoded(path, 1)[..., 0], grey), suffix
        assert np.array_equal(decoded(path, 3), colour), suffix
        assert header(path)[0] == (4, 6)
        if mode in ("1", "L", "LA", "I;16") and suffix not in ("gif", "webp", "avif"):
            assert header(path)[1], suffix
    assert tried >= 3


@pytest.mark.parametrize("most", [65535, 1023, 4095])
def test_pgm_of_more_than_8_bits(tmp_path: Path, most: int) -> None:
    """As PNM says, a value of `most` is white, however many bits that takes."""
    values = RNG.integers(0, most + 1, (4, 6))
    values[0, :2] = 0, most
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 6 4 %d\n" % most + values.astype(">u2").tobytes())
    found = decoded(path, 1)[..., 0]
    assert np.abs(found - values * 255 / most).max() <= 1
    assert header(path) == ((4, 6), True)


def test_big_endian_and_multi_page_tiff(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 256 + 3
    path = tmp_path / "a.tif"
    swapped = Image.frombytes("I;16B", (6, 4), deep.astype(">u2").tobytes())
    swapped.save(path)
    assert np.array_equal(decoded(path, 1)[..., 0], GREY)
    Image.fromarray(GREY).save(path, save_all=True, append_images=[Image.new("L", (6, 4))] * 2)
    assert np.array_equal(decoded(path, 1)[..., 0], GREY)


@pytest.mark.parametrize("suffix", ["gif", "png", "apng", "webp", "tif"])
def test_of_an_animation_the_first_image_is_taken(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    frames = [Image.fromarray(COLOUR // 64 * 64), Image.new("RGB", (6, 4), (9, 9, 9))]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(
        path, format="PNG" if suffix == "apng" else None, save_all=True, append_images=frames[1:],
        **options,
    )  # fmt: skip
    with Image.open(path) as opened:
        assert getattr(opened, "n_frames", 1) == 2
        expected = np.array(opened.convert("RGB"))
    assert np.array_equal(decoded(path, 3), expected)
    assert np.array_equal(expected, np.array(frames[0])) or suffix == "gif"


@pytest.mark.parametrize("values", [GREY.astype(np.int32) * 999, GREY / np.float32(7)])
def test_a_range_that_is_unknown_is_said_so(tmp_path: Path, values: np.ndarray) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    with pytest.raises(DataError, match=r"a\.tif has pixels of a range that is unknown"):
        decoded(path, 1)


def test_images_leave_nothing_behind_that_grows() -> None:
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, "png")
    decoded(file.getvalue(), 1)
    before = len(logging.getLogger("PIL").handlers)
    for _ in range(3):
        decoded(file.getvalue(), 1)
    assert len(logging.getLogger("PIL").handlers) == before
