"""Folders of image files, as people and ImageNet have them."""

from __future__ import annotations

import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tempreg.data import DataError, DataSet, load_dataset
from tempreg.data.formats.images import decoded
from tempreg.data.sources import folder as folder_module

RNG = np.random.default_rng(0)


def filled(root: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 10) -> None:
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(count):
            pixels = RNG.integers(0, 256, (8, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")


def load(path: Path, name: str = "image-folder", size: int | None = None) -> DataSet:
    return load_dataset(name, num_steps=2, path=path, size=size, validation=0.2)


def test_one_folder_is_split_in_three(tmp_path: Path) -> None:
    filled(tmp_path)
    data = load(tmp_path)
    assert data.classes == ("cat", "dog")
    assert [len(data.split(s)) for s in ("train", "validation", "test")] == [12, 4, 4]
    assert (data.in_channels, data.input_size) == (3, (8, 6))


def test_parts_by_folder_read_back_by_pixel(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        filled(tmp_path / part)
    data = load(tmp_path)
    assert [len(data.split(s)) for s in ("train", "validation", "test")] == [20, 20, 20]
    reading = data.reading
    assert reading is not None
    scale, offset = (torch.tensor(v)[:, None, None] for v in (reading.scale, reading.offset))
    x = ((data.test.inputs(torch.tensor([13])) - offset) / scale).round().byte()[0]
    expected = np.array(Image.open(tmp_path / "test" / "dog" / "3.png")).transpose(2, 0, 1)
    assert np.array_equal(x.numpy(), expected)
    assert data.test.targets[13] == 1


def test_large_sets_are_decoded_for_each_batch_alike(tmp_path: Path, monkeypatch) -> None:
    filled(tmp_path)
    inside = load(tmp_path, size=5)
    monkeypatch.setattr(folder_module, "IN_MEMORY", 0)
    outside = load(tmp_path, size=5)
    assert isinstance(outside.train, folder_module.FileSplit)
    copied = pickle.loads(pickle.dumps(outside.train))  # noqa: S301  as worker processes do
    rows = torch.arange(len(inside.train))
    assert torch.allclose(inside.train.inputs(rows), copied.inputs(rows), atol=1e-6)
    assert inside.reading == outside.reading


def test_kinds_of_images(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    image, path = Image.fromarray(pixels), tmp_path / "image.tif"
    image.convert("CMYK").save(path)
    assert np.array_equal(decoded(path, 3), pixels)
    image.quantize(24).save(tmp_path / "palette.png")
    assert np.array_equal(decoded(tmp_path / "palette.png", 3), image.quantize(24).convert("RGB"))
    grey = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2600
    Image.fromarray(grey).save(tmp_path / "grey16.png")
    assert np.array_equal(decoded(tmp_path / "grey16.png", 1)[..., 0], grey >> 8)
    clear = image.copy()
    clear.putalpha(Image.fromarray(np.repeat([[255, 0]], 4, 0).repeat(3, 1).astype(np.uint8)))
    clear.save(tmp_path / "clear.png")
    shown = decoded(tmp_path / "clear.png", 3)
    assert np.array_equal(shown[:, :3], pixels[:, :3])
    assert not shown[:, 3:].any()
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(decoded(tmp_path / "turned.png", 3), np.rot90(pixels, -1))


@pytest.mark.parametrize("kind", [2, 5, 7, 12, 16])
def test_a_damaged_note_beside_the_orientation(tmp_path: Path, kind: int) -> None:
    image, path = Image.new("RGB", (8, 8)), tmp_path / "a.jpg"
    exif = image.getexif()
    exif[0x0100], exif[0x0112] = 8, 6
    image.save(path, exif=exif)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"Exif") + 19] = kind  # the type of the first, which was a number of 32 bits
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a\.jpg can't be read as an image"):
        decoded(path, 3)


def test_all_grey_files_give_one_channel(tmp_path: Path) -> None:
    filled(tmp_path)
    for file in tmp_path.glob("*/*.png"):
        Image.open(file).convert("L").save(file)
    assert load(tmp_path).in_channels == 1


def test_several_sizes_need_one(tmp_path: Path) -> None:
    filled(tmp_path)
    Image.new("RGB", (9, 9)).save(tmp_path / "dog" / "9.png")
    with pytest.raises(DataError, match=r"9\.png has 9 x 9 pixels .* --data\.size"):
        load(tmp_path)
    assert load(tmp_path, size=7).input_size == (7, 7)


def test_tiny_imagenet(tmp_path: Path) -> None:
    base = tmp_path / "tiny-imagenet-200"
    for wnid in ("n01", "n02"):
        filled(base / "train" / wnid, ("images",))
        (base / "train" / wnid / f"{wnid}_boxes.txt").write_text("0.png\t0\t0\t1\t1\n")
    filled(base / "val", ("images",))
    lines = [f"{i}.png\tn0{i % 2 + 1}\t0\t0\t1\t1" for i in range(10)]
    (base / "val" / "val_annotations.txt").write_text("\n".join(lines))
    data = load(tmp_path, "tiny-imagenet")
    assert data.classes == ("n01", "n02")
    assert data.test.targets.tolist() == [0] * 5 + [1] * 5
    assert (len(data.train), len(data.validation)) == (16, 4)
    (base / "val" / "val_annotations.txt").write_text("../x.png\tn01")
    with pytest.raises(DataError, match="line 1"):
        load(tmp_path, "tiny-imagenet")


@pytest.mark.parametrize("name", ["imagenet", "imagenet100"])
def test_imagenet(tmp_path: Path, name: str) -> None:
    for part in ("train", "val"):
        filled(tmp_path / part)
    data = load(tmp_path, name, size=8)
    assert [len(data.split(s)) for s in ("train", "validation", "test")] == [16, 4, 20]
    with pytest.raises(DataError, match="is not complete"):
        load(tmp_path / "train", name)


def chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def png(width: int, height: int) -> bytes:
    """A PNG that claims so many pixels, and holds hardly any."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99)))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncated, "can't be read as an image"),
        (lambda path: path.write_bytes(b""), "is not an image"),
        (lambda path: path.write_text("some text"), "is not an image"),
        (lambda path: path.write_bytes(png(8000, 9000)), "claims 8000 x 9000 pixels"),
        (lambda path: path.write_bytes(png(50_000, 50_000)), "can't be read as an image"),
        (lambda path: (path.unlink(), path.mkdir(), (path / "a.txt").touch()), "has no file"),
        (lambda path: (path.unlink(), path.symlink_to(path.parent.parent)), "link to a folder"),
        (lambda path: (path.unlink(), path.symlink_to(path)), "can't be read"),
    ],
)
def test_damaged(tmp_path: Path, damage, words: str) -> None:
    filled(tmp_path)
    filled(tmp_path, ("owl",), count=1)
    path = tmp_path / "owl" / "0.png"
    damage(path)
    with pytest.raises(DataError, match=words) as caught:
        load(tmp_path)
    assert str(tmp_path / "owl") in str(caught.value)


def test_two_classes_of_one_name_and_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no class folders"):
        load(tmp_path)
    filled(tmp_path, ("cat", "Cat"))
    with pytest.raises(DataError, match="two classes of one name"):
        load(tmp_path)


def test_a_part_with_a_class_of_its_own(tmp_path: Path) -> None:
    filled(tmp_path / "train")
    filled(tmp_path / "test", ("cat", "owl"))
    with pytest.raises(DataError, match="test part has the class owl"):
        load(tmp_path)
