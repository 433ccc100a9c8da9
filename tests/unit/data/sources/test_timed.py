"""Tasks that need time: what is shown when, and that no timestep alone gives the answer away."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tempreg.data import load_dataset
from tempreg.data.sources.embedded import fashion_images
from tempreg.data.sources.timed import DIRECTIONS, in_motion


def test_the_item_comes_first_then_another_then_nothing() -> None:
    plain = load_dataset("nmnist", num_steps=2)
    task = load_dataset("nmnist-gap", num_steps=8, gap=4)
    for split in ("train", "validation", "test"):
        ours, theirs = task.split(split), plain.split(split)
        assert torch.equal(ours.targets, theirs.targets)
        x, item = ours.inputs(torch.arange(40)), theirs.inputs(torch.arange(len(theirs)))
        assert torch.equal(x[:2], item[:, :40])
        assert not x[6:].any()
        for b in range(40):
            # Each of the four frames lies within one frame of some other recording.
            fits = [
                n
                for n in range(len(theirs))
                if all((x[2 + k, b] <= item[k % 2, n]).all() for k in range(4))
            ]
            assert fits
            assert b not in fits[:1] or len(fits) > 1
        share = x[2:6].sum() / (2 * item[:, :40].sum())
        assert 0.22 < share < 0.28


def test_a_garment_is_shown_twice_and_the_other_by_a_quarter_of_its_pixels() -> None:
    images, labels = fashion_images("test")
    task = load_dataset("fashion-gap", num_steps=6, gap=2)
    x, y = task.test.batch(torch.arange(50))
    scale, offset = 1 / (255 * 0.3530), -0.2860 / 0.3530
    shown = torch.from_numpy(images[:50]).float() * scale + offset
    torch.testing.assert_close(x[0, :, 0], shown)
    assert torch.equal(x[0], x[1])
    assert torch.equal(y, torch.from_numpy(labels[:50]).long())
    assert (x[4:] == np.float32(offset)).all()
    lit = (x[2] > offset + 1e-6).float().mean() / (x[0] > offset + 1e-6).float().mean()
    assert 0.2 < lit < 0.3
    assert not torch.equal(x[2], x[3])


@pytest.mark.parametrize(
    ("direction", "axis", "by"), [("left", 1, -2), ("right", 1, 2), ("up", 0, -2), ("down", 0, 2)]
)
def test_images_move_as_their_label_says(direction: str, axis: int, by: int) -> None:
    images, _ = fashion_images("validation")
    index = np.full(5, DIRECTIONS.index(direction))
    moving = in_motion(images[:5], index, 8, np.random.default_rng(0))[:, :, 0].numpy()
    for sample in moving:
        for t in range(7):
            np.testing.assert_array_equal(sample[t + 1], np.roll(sample[t], by, axis=axis))


def test_images_turn_about_their_centre() -> None:
    """By quarter turns, six timesteps apart, as numpy has them; rows count from the top."""
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 4, 14], image[0, 14, 20] = 200, 90

    class Still:
        def integers(self, low: int, high: int, count: int) -> np.ndarray:
            return np.zeros(count, dtype=np.int64)

        def uniform(self, low: float, high: float, count: int) -> np.ndarray:
            return np.zeros(count)

    for direction, k in (("clockwise", -1), ("anticlockwise", 1)):
        index = np.array([DIRECTIONS.index(direction)])
        turning = in_motion(image, index, 7, Still())[0, :, 0].numpy()  # type: ignore[arg-type]
        np.testing.assert_array_equal(turning[0], image[0])
        np.testing.assert_array_equal(turning[6], np.rot90(image[0], k))


def test_no_single_timestep_tells_the_direction() -> None:
    """Nearest means of a timestep alone are at chance; two timesteps together are not."""
    task = load_dataset("fashion-motion", num_steps=8)
    x, y = task.train.batch(torch.arange(3000))
    counts = torch.bincount(task.train.targets, minlength=6)
    assert counts.max() - counts.min() <= 1
    for t in (0, 4, 7):
        accuracy = _nearest_mean(x[t].flatten(1), y)
        assert accuracy < 1 / 6 + 4 * (5 / 36 / 1000) ** 0.5, t
    down = (x[0] * x[1].roll(2, dims=-2)).flatten(1).sum(1)  # moved up: lies as it was, rolled back
    up = (x[0] * x[1].roll(-2, dims=-2)).flatten(1).sum(1)
    moves = (y == DIRECTIONS.index("up")) | (y == DIRECTIONS.index("down"))
    assert ((down > up)[moves] == (y == DIRECTIONS.index("up"))[moves]).float().mean() > 0.9


def _nearest_mean(x: torch.Tensor, y: torch.Tensor) -> float:
    means = torch.stack([x[:2000][y[:2000] == c].mean(dim=0) for c in range(6)])
    return float((torch.cdist(x[2000:], means).argmin(dim=1) == y[2000:]).float().mean())


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="has 6 timesteps: set num_steps to 6, got 4"):
        load_dataset("fashion-gap", num_steps=4, gap=2)
    with pytest.raises(ValueError, match="needs num_steps of 2 or more"):
        load_dataset("fashion-motion", num_steps=1)
    again = [load_dataset("nmnist-gap", num_steps=6, gap=2).test for _ in range(2)]
    first, second = (part.inputs(torch.arange(10)) for part in again)
    assert torch.equal(first, second)
