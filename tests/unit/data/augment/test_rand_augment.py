"""RandAugment by kornia: drawn for each image from our stream, on pixel values, for images only."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from tempreg.config import PRESETS, ConfigError
from tempreg.data import load_dataset
from tempreg.data.augment import Augmentation, RandAugmentation
from tempreg.runs.build import build_augmentation

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
SCALE = tuple(1 / (255 * s) for s in STD)
OFFSET = tuple(-m / s for m, s in zip(MEAN, STD, strict=True))


def stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(x: torch.Tensor) -> torch.Tensor:
    """0 ... 1 again."""
    return x * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]


def test_each_image_is_changed_for_itself_by_the_stream_alone() -> None:
    pytest.importorskip("kornia")
    image = torch.rand(3, 16, 16, generator=stream(0))
    x = (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    x = x.expand(40, -1, -1, -1).contiguous()
    augment = RandAugmentation(15, scale=SCALE, offset=OFFSET)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    once = augment(x, stream(5))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(augment(x, stream(5)), once)
    assert not torch.equal(augment(x, stream(6)), once)
    assert len(torch.unique(once.flatten(1).round(decimals=4), dim=0)) > 30
    assert pixels(once).min() > -1e-5
    assert pixels(once).max() < 1 + 1e-5


def test_operations_see_pixel_values_whatever_the_standardisation() -> None:
    pytest.importorskip("kornia")
    image = torch.rand(32, 3, 8, 8, generator=stream(3))
    plain = RandAugmentation(10, scale=1 / 255, offset=0.0)(image, stream(4))
    x = (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    other = RandAugmentation(10, scale=SCALE, offset=OFFSET)(x, stream(4))
    # Posterisation and solarisation jump where rounding moves a value over an edge.
    near = (pixels(other) - plain).abs() < 1e-4
    assert near.float().mean() > 0.99


def test_grey_images_stay_grey_and_events_are_refused() -> None:
    pytest.importorskip("kornia")
    augment = Augmentation(rand=9, rand_augment=RandAugmentation(9, scale=1 / 255))
    assert augment(torch.rand(12, 1, 9, 7), stream(0)).shape == (12, 1, 9, 7)
    with pytest.raises(ValueError, match="for images"):
        augment(torch.rand(2, 3, 2, 8, 8), stream(0))


def test_data_without_pixels_and_a_missing_library_are_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for preset, sentence in (("nmnist-trt", "for images"), ("fashion-trt", r"'\.\[augment\]'")):
        config = PRESETS[preset]()
        config = replace(config, augment=replace(config.augment, rand=9))
        for module in ("kornia", "kornia.augmentation.auto"):
            monkeypatch.setitem(sys.modules, module, None)
        data = load_dataset(config.data.name, num_steps=2)
        with pytest.raises(ConfigError, match=sentence):
            build_augmentation(config, data)


def test_a_fashion_image_is_augmented_in_its_own_range() -> None:
    pytest.importorskip("kornia")
    config = PRESETS["fashion-trt"]()
    config = replace(config, augment=replace(config.augment, rand=9, shift=0, flip=False))
    data = load_dataset("fashion-mnist", num_steps=2)
    x, _ = data.train.batch(torch.arange(64))
    changed = build_augmentation(config, data)(x, stream(0), blank=data.train.blank)
    assert changed.shape == x.shape
    assert changed.min() >= x.min() - 1e-5
    assert changed.max() <= x.max() + 1e-5
    assert sum(not torch.equal(a, b) for a, b in zip(changed, x, strict=True)) > 55
