"""Augmentation held to the published rules: what may come out of them, and how often."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tempreg.config import PRESETS, ConfigError, RunConfig
from tempreg.data import Augmentation, load_dataset
from tempreg.data.base import ArraySplit
from tempreg.data.formats.crops import random_box, random_crop
from tempreg.data.formats.images import decoded
from tempreg.data.splits.resample import Subset
from tempreg.runs import train
from tempreg.runs.build import build_augmentation, build_data
from tests.conftest import same_weights
from tests.unit.data.sources.test_static_cifar import written

RNG = np.random.default_rng(0)


def preset(name: str) -> Augmentation:
    return Augmentation(**vars(PRESETS[name]().augment))


def near(counts: Counter[object], kinds: int, samples: int) -> bool:
    """Whether all kinds were seen, about equally often: within 5 standard deviations."""
    mean = samples / kinds
    return len(counts) == kinds and all(
        abs(count - mean) < 5 * math.sqrt(mean) for count in counts.values()
    )


@pytest.mark.parametrize("name", ["paper-cifar10dvs", "paper-cifar10dvs-as-published"])
def test_events_are_flipped_and_rolled_as_published(name: str) -> None:
    """if random() > 0.5: flip(dims=(3,)); roll(randint(-5, 5), randint(-5, 5), dims=(2, 3))."""
    samples = 2400
    frames = RNG.random((3, 2, 12, 13)).astype(np.float32)
    x = torch.from_numpy(frames)[:, None].expand(-1, samples, -1, -1, -1)
    after = preset(name)(x, torch.Generator().manual_seed(0)).numpy()
    outcomes = {}
    for flip in (False, True):
        source = frames[..., ::-1] if flip else frames
        for down in range(-5, 6):
            for right in range(-5, 6):
                rolled = np.roll(source, (down, right), axis=(2, 3))
                outcomes[rolled.tobytes()] = (flip, down, right)
    drawn = [outcomes[np.ascontiguousarray(after[:, b]).tobytes()] for b in range(samples)]
    for place, kinds in enumerate((2, 11, 11)):
        assert near(Counter(draw[place] for draw in drawn), kinds, samples)
    assert len(set(drawn)) > 230  # of 242: the three are drawn apart


def coded(samples: int) -> Tensor:
    """Images [B, 3, 32, 32] whose pixels tell where they come from: row + 1, column + 1, 1."""
    row, column = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    return torch.stack((row + 1, column + 1, torch.ones(32, 32))).expand(samples, -1, -1, -1)


def test_images_are_cropped_flipped_and_cut_as_published() -> None:
    """RandomCrop(32, padding=4), RandomHorizontalFlip, Cutout(16) on the pixels, Normalize."""
    samples, mean, std = 2000, torch.tensor([0.3, 0.2, 0.5]), torch.tensor([0.2, 0.4, 0.1])
    scale, offset = (1 / std)[:, None, None], (-mean / std)[:, None, None]
    x = coded(samples) * scale + offset
    after = preset("paper-cifar10-as-published")(x, torch.Generator().manual_seed(0), blank=offset)
    pixels = (((after - offset) / scale) * 1000).round() / 1000
    drawn = []
    for image in pixels.numpy():
        seen = np.argwhere(image[2] > 0)
        y, x0 = seen[0]
        flip = bool(
            image[1, y, x0] > image[1, seen[seen[:, 0] == y][-1][0], seen[seen[:, 0] == y][-1][1]]
        )
        down = int(y - (image[0, y, x0] - 1))
        column = image[1, y, x0] - 1
        right = int(31 - x0 - column) if flip else int(x0 - column)
        padded = np.zeros((3, 40, 40), np.float32)
        padded[:, 4:36, 4:36] = coded(1)[0].numpy()
        expected = padded[:, 4 - down : 36 - down, 4 - right : 36 - right]
        expected = expected[..., ::-1] if flip else expected
        cut = np.argwhere((expected[2] > 0) & (image[2] == 0))
        if len(cut):  # a square of 16 cut at the border, seen where the crop isn't black already
            (top, left), (bottom, end) = cut.min(0), cut.max(0) + 1
            assert bottom - top <= 16
            assert end - left <= 16
            expected = expected.copy()
            expected[:, top:bottom, left:end] = 0
        assert np.array_equal(image, expected)
        drawn.append((flip, down, right, len(cut)))
    for place, kinds in enumerate((2, 9, 9)):
        assert near(Counter(draw[place] for draw in drawn), kinds, samples)
    # mean over centres 0 ... 31 of the rows of [c - 8, c + 8) inside 0 ... 31, squared
    rows = np.mean([min(c + 8, 32) - max(c - 8, 0) for c in range(32)])
    assert np.mean([draw[3] for draw in drawn]) < rows**2
    assert np.mean([draw[3] for draw in drawn]) > 0.85 * rows**2


def test_cutout_leaves_the_mean_by_default_and_black_where_asked() -> None:
    x, black = torch.ones(50, 1, 9, 9), torch.tensor([-2.5])[:, None, None]
    for fill, value in (("mean", 0.0), ("black", -2.5)):
        augmentation = Augmentation(cutout=4, cutout_fill=fill)
        after = augmentation(x, torch.Generator().manual_seed(0), blank=black)
        assert after.unique().tolist() == sorted([value, 1.0])
    with pytest.raises(ValueError, match="cutout_fill"):
        Augmentation(cutout=4, cutout_fill="grey")


def boxes(shape: tuple[int, int], count: int) -> np.ndarray:
    return np.array([random_box(shape, np.random.default_rng([7, i])) for i in range(count)])


@pytest.mark.parametrize("shape", [(120, 200), (60, 60)])
def test_random_crops_are_as_large_and_as_long_as_kornias(shape: tuple[int, int]) -> None:
    generators = pytest.importorskip("kornia.augmentation.random_generator")
    count = 6000
    top, left, height, width = boxes(shape, count).T
    assert min(top.min(), left.min()) >= 0
    assert (top + height).max() <= shape[0]
    assert (left + width).max() <= shape[1]
    theirs = generators.ResizedCropGenerator((8, 8), (0.08, 1.0), (3 / 4, 4 / 3))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        corners = theirs((count, 3, *shape))["src"].numpy()
    other = corners[:, 2] - corners[:, 0] + 1  # width, height
    for ours, kornias in (
        (height * width / math.prod(shape), other.prod(axis=1) / math.prod(shape)),
        (np.log(width / height), np.log(other[:, 0] / other[:, 1])),
        ((top + height / 2) / shape[0], corners[:, [0, 2], 1].mean(axis=1) / shape[0]),
        ((left + width / 2) / shape[1], corners[:, [0, 2], 0].mean(axis=1) / shape[1]),
    ):
        quantiles = np.linspace(0.1, 0.9, 9)
        gap = np.abs(np.quantile(ours, quantiles) - np.quantile(kornias, quantiles))
        assert gap.max() < 0.04


def test_where_no_part_fits_it_is_the_middle() -> None:
    top, left, height, width = boxes((1000, 3), 200).T
    assert set(zip(top, left, height, width, strict=True)) >= {(498, 0, 4, 3)}


def test_a_random_crop_is_pillows(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    for sample in range(20):
        top, left, height, width = random_box((50, 70), np.random.default_rng([3, sample]))
        part = Image.fromarray(pixels).crop((left, top, left + width, top + height))
        expected = np.asarray(part.resize((24, 24), Image.Resampling.BILINEAR))
        assert np.array_equal(random_crop(pixels, (24, 24), 3, sample), expected)
    assert random_crop(pixels[..., :1], (8, 9), 0, 0).shape == (8, 9, 1)


@pytest.mark.parametrize("shape", [(50, 71), (71, 50), (40, 40), (300, 256), (45, 44)])
def test_the_middle_is_resize_and_center_crop(shape: tuple[int, int], tmp_path: Path) -> None:
    """transforms.Resize(36), then transforms.CenterCrop(32), as torchvision computes them."""
    pixels = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    height, width = shape
    short = min(shape)
    new = tuple(36 if side == short else int(36 * side / short) for side in (width, height))
    image = Image.fromarray(pixels).resize(new, Image.Resampling.BILINEAR)
    top, left = round((new[1] - 32) / 2.0), round((new[0] - 32) / 2.0)
    expected = np.asarray(image.crop((left, top, left + 32, top + 32)))
    found = decoded(tmp_path / "a.png", 3, 32, shorter_side=36)
    assert np.array_equal(found, expected)


def images(root: Path, shape: tuple[int, int] = (40, 60)) -> None:
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for i in range(10):
            pixels = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")


def test_crops_of_files_are_of_the_whole_image(tmp_path: Path) -> None:
    images(tmp_path)
    data = load_dataset("image-folder", num_steps=1, path=tmp_path, size=16, whole_images=True)
    rows = torch.tensor([3, 0])
    x = data.train.cropped(rows, 5)
    assert torch.equal(x.flip(0), data.train.cropped(rows.flip(0), 5))
    assert not torch.equal(x, data.train.cropped(rows, 6))
    files = sorted(tmp_path.rglob("*.png"))
    crops = [random_crop(decoded(file, 3), (16, 16), 5, 3) for file in files]
    reading = data.reading
    assert reading is not None
    scale, offset = (torch.tensor(v)[:, None, None] for v in (reading.scale, reading.offset))
    standardised = [torch.from_numpy(c).permute(2, 0, 1) * scale + offset for c in crops]
    assert any(torch.allclose(x[0], image, atol=1e-5) for image in standardised)
    assert torch.equal(Subset([data.train], rows).cropped(torch.tensor([0]), 5)[0], x[0])


def test_crops_of_arrays() -> None:
    values = torch.from_numpy(RNG.integers(0, 256, (5, 1, 12, 9), dtype=np.uint8))
    split = ArraySplit(values, torch.zeros(5), scale=0.5)
    x = split.cropped(torch.tensor([4]), 2)
    expected = random_crop(values[4].permute(1, 2, 0).numpy(), (12, 9), 2, 4)
    assert np.array_equal(x[0, 0].numpy(), expected[..., 0] * np.float32(0.5))


def test_cropped_runs_are_the_same_with_workers_and_differ_by_epoch(
    tiny: RunConfig, tmp_path: Path
) -> None:
    images(tmp_path / "data", (20, 30))
    config = replace(
        tiny,
        batch_size=4,
        data=replace(tiny.data, name="image-folder", path=str(tmp_path / "data"), size=12),
        augment=replace(tiny.augment, crop=True, shift=0),
    )
    for name, workers in (("a", 0), ("b", 1)):
        train(replace(config, workers=workers), tmp_path / name)
    assert same_weights(tmp_path / "a", tmp_path / "b")
    plain = replace(config, augment=replace(config.augment, crop=False))
    train(plain, tmp_path / "c")
    assert not same_weights(tmp_path / "a", tmp_path / "c")


def test_crops_are_for_images(tiny: RunConfig) -> None:
    config = replace(tiny, augment=replace(tiny.augment, crop=True))
    with pytest.raises(ConfigError, match=r"augment\.crop is for images, and nmnist holds none"):
        build_augmentation(config, build_data(config))


def test_statistics_as_asked(tmp_path: Path) -> None:
    written(tmp_path, "cifar10", True)
    own = load_dataset("cifar10", num_steps=1, path=tmp_path).test.inputs(torch.arange(3))
    given = {"mean": (0.5, 0.25, 0.0), "std": (0.2023, 0.1994, 0.2010)}
    for name in ("mean", "std", "both"):
        asked = {k: v for k, v in given.items() if name in (k, "both")}
        x = load_dataset("cifar10", num_steps=1, path=tmp_path, **asked).test
        mean = torch.tensor(asked.get("mean", (0.4914, 0.4822, 0.4465)))[:, None, None]
        std = torch.tensor(asked.get("std", (0.2470, 0.2435, 0.2616)))[:, None, None]
        pixels = own * torch.tensor((0.2470, 0.2435, 0.2616))[:, None, None]
        pixels = pixels + torch.tensor((0.4914, 0.4822, 0.4465))[:, None, None]
        torch.testing.assert_close(x.inputs(torch.arange(3)), (pixels - mean) / std)
    with pytest.raises(ValueError, match=r"data\.std has 1 values, and the images have 3 channels"):
        load_dataset("cifar10", num_steps=1, path=tmp_path, std=(0.2,))
    with pytest.raises(ValueError, match=r"data\.shorter_side needs data\.size"):
        load_dataset("cifar10", num_steps=1, path=tmp_path, shorter_side=40)
    grey = load_dataset("fashion-mnist", num_steps=1, std=(0.5,), mean=(0.0,)).test
    assert float(grey.inputs(torch.arange(9)).max()) == pytest.approx(2.0)
