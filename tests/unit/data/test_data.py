"""Embedded data, events to frames, augmentation."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tempreg.data import Augmentation, Recordings, events_to_frames, load_dataset
from tempreg.data.augment import shifted, with_cutout
from tempreg.data.base import SPLITS, ArraySplit
from tempreg.data.sources.embedded import nmnist_recordings

HEIGHT, WIDTH = 5, 7


@st.composite
def recordings(draw: st.DrawFn) -> Recordings:
    """Up to five recordings of up to 30 events each, some empty."""
    sizes = draw(st.lists(st.integers(0, 30), min_size=1, max_size=5))
    seed = draw(st.integers(0, 10**6))
    span = draw(st.sampled_from([1, 3, 20, 1000]))
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    t = np.concatenate([np.sort(rng.integers(0, span, size)) for size in sizes])
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    x, y, p = rng.integers(0, WIDTH, n), rng.integers(0, HEIGHT, n), rng.integers(0, 2, n)
    return Recordings(t, x, y, p, offsets, (HEIGHT, WIDTH))


def one_by_one(r: Recordings, num_steps: int, by: str) -> NDArray[np.int64]:
    """The definition, event by event."""
    frames = np.zeros((len(r), num_steps, 2, *r.sensor_size), np.int64)
    for i in range(len(r)):
        events = range(r.offsets[i], r.offsets[i + 1])
        for k, e in enumerate(events):
            first, last = r.t[events[0]], r.t[events[-1]]
            if by == "time":
                step = (r.t[e] - first) * num_steps // (last - first + 1)
            else:
                step = k * num_steps // len(events)
            frames[i, step, r.p[e], r.y[e], r.x[e]] += 1
    return frames


@given(recordings(), st.integers(1, 6), st.sampled_from(["time", "count"]))
def test_frames_are_the_definition_and_lose_nothing(r: Recordings, num_steps: int, by: str) -> None:
    frames = events_to_frames(r, num_steps, by)
    assert np.array_equal(frames.numpy(), one_by_one(r, num_steps, by))
    assert frames.sum().item() == len(r.t)
    if by == "count":
        counts = frames.sum(dim=(2, 3, 4))
        assert (counts.amax(1) - counts.amin(1)).max() <= 1


def test_frames_in_several_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    r = nmnist_recordings()[0][:20]
    whole = events_to_frames(r, 4)
    monkeypatch.setattr("tempreg.data.frames.recordings._EVENTS_AT_ONCE", 10_000)
    assert torch.equal(events_to_frames(r, 4), whole)
    monkeypatch.setattr("tempreg.data.frames.recordings._EVENTS_AT_ONCE", 1)
    assert torch.equal(events_to_frames(r, 4), whole)


def test_bad_frames() -> None:
    r = nmnist_recordings()[0][:1]
    with pytest.raises(ValueError, match="num_steps must be"):
        events_to_frames(r, 0)
    with pytest.raises(ValueError, match="unknown binning"):
        events_to_frames(r, 2, "size")
    n = 40_000
    zeros = np.zeros(n, np.int64)
    crowded = Recordings(np.arange(n), zeros, zeros, zeros, np.array([0, n]), (1, 1))
    with pytest.raises(ValueError, match="use more timesteps"):
        events_to_frames(crowded, 1)
    assert events_to_frames(crowded, 2).sum() == n


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"p": [0, 2, 1, 0]}, "event 1 of recording 0 has p outside 0 ... 1"),
        ({"p": [0, 1, 1, -1]}, "event 1 of recording 1 has p outside"),
        ({"x": [0, 0, WIDTH, 0]}, f"event 0 of recording 1 has x outside 0 ... {WIDTH - 1}"),
        ({"y": [-1, 0, 0, 0]}, "event 0 of recording 0 has y outside"),
        ({"t": [5, 9, 4, 3]}, "event 1 of recording 1 has a time before"),
        ({"x": [0]}, "equally long"),
        ({"offsets": [0, 3]}, "offsets must rise"),
    ],
)
def test_events_that_cannot_be(change: dict[str, list[int]], words: str) -> None:
    fields = {
        "t": [5, 9, 3, 4],
        "x": [0] * 4,
        "y": [0] * 4,
        "p": [0, 1, 0, 1],
        "offsets": [0, 2, 4],
    }
    arrays = {name: np.array(values) for name, values in {**fields, **change}.items()}
    with pytest.raises(ValueError, match=words):
        Recordings(**arrays, sensor_size=(HEIGHT, WIDTH))


def test_nmnist_is_all_there() -> None:
    data = load_dataset("nmnist", num_steps=4)
    assert [len(data.split(name)) for name in SPLITS] == [700, 100, 300]
    assert all(len(data.split(name).targets.unique()) == 10 for name in SPLITS)
    x, y = data.validation.batch(torch.tensor([3, 5]))
    assert x.shape == (4, 2, 2, 34, 34)
    assert x.dtype == torch.float32
    assert y.shape == (2,)
    total = sum(
        data.split(name).inputs(torch.arange(len(data.split(name)))).sum() for name in SPLITS
    )
    assert int(total) == 4_518_827


def test_nmnist_equals_its_source(shared: Path) -> None:
    ours, labels, part = nmnist_recordings()
    with np.load(shared / "data" / "nmnist_1100.npz", allow_pickle=False) as source:
        for name in ("t", "x", "y", "p", "offsets"):
            assert np.array_equal(getattr(ours, name), source[name])
        assert np.array_equal(labels, source["label"])
    split = json.loads((shared / "data" / "nmnist_split.json").read_text())
    for code, name in enumerate(SPLITS):
        assert np.flatnonzero(part == code).tolist() == sorted(split[name])


def test_fashion_mnist_is_all_there() -> None:
    data = load_dataset("fashion-mnist", num_steps=4)
    assert [len(data.split(name)) for name in SPLITS] == [5000, 1000, 2000]
    assert all(len(set(data.split(n).targets.bincount().tolist())) == 1 for n in SPLITS)
    x, _ = data.train.batch(torch.arange(5000))
    assert x.shape == (5000, 1, 28, 28)
    assert abs(x.mean().item()) < 0.05
    assert x.std().item() == pytest.approx(1.0, abs=0.05)
    images = {
        hashlib.sha256(data.split(name).inputs(torch.tensor([i])).numpy().tobytes()).digest()
        for name in SPLITS
        for i in range(len(data.split(name)))
    }
    assert len(images) >= 7_990  # no image in two splits (the original has a few twins)


def test_settings_that_change_nothing_are_said() -> None:
    """Of images those of event frames, of most sets what is for folders or tasks alone."""
    plain = load_dataset("fashion-mnist", num_steps=2)
    idle = load_dataset("fashion-mnist", num_steps=2, frames="count", resize="bilinear", gap=1)
    assert plain.remarks == ()
    assert idle.remarks == (
        "fashion-mnist doesn't read data.frames, data.resize, data.gap, so that changes nothing",
    )
    assert torch.equal(plain.test.inputs(torch.arange(9)), idle.test.inputs(torch.arange(9)))
    assert load_dataset("fashion-gap", num_steps=5, gap=1).remarks == ()
    found = load_dataset("nmnist", num_steps=2, frames="count", skip_damaged=True).remarks
    assert found == ("nmnist doesn't read data.skip_damaged, so that changes nothing",)


def test_registry_errors() -> None:
    with pytest.raises(ValueError, match="no reader for the data set 'cifar12'"):
        load_dataset("cifar12", num_steps=4)
    with pytest.raises(ValueError, match=r"leave data\.size out"):
        load_dataset("fashion-mnist", num_steps=4, size=48)
    with pytest.raises(ValueError, match="unknown split"):
        load_dataset("fashion-mnist", num_steps=1).split("val")
    with pytest.raises(ValueError, match="3 samples but 2 targets"):
        ArraySplit(torch.zeros(3, 1), torch.zeros(2))


@pytest.mark.parametrize("leading", [(), (3,)])
def test_shift_moves_and_lets_zeros_in(leading: tuple[int, ...]) -> None:
    x = torch.rand(*leading, 2, 2, 6, 5) + 1
    moved = shifted(x, torch.tensor([2, -1]), torch.tensor([0, 3]))
    first, second = moved.select(-4, 0), moved.select(-4, 1)
    assert torch.equal(first[..., 2:, :], x.select(-4, 0)[..., :-2, :])
    assert not first[..., :2, :].any()
    assert torch.equal(second[..., :-1, 3:], x.select(-4, 1)[..., 1:, :-3])
    assert not second[..., :3].any()
    assert not second[..., -1, :].any()


def test_cutout_is_a_square_cut_at_the_border() -> None:
    x = torch.ones(2, 1, 8, 8)
    cut = with_cutout(x, torch.tensor([4, 0]), torch.tensor([4, 7]), 4)
    assert (cut[0] == 0).sum() == 16
    assert not cut[0, 0, 2:6, 2:6].any()
    assert (cut[1] == 0).sum() == 2 * 3


@pytest.mark.parametrize("leading", [(), (3,)])
def test_augmentation_is_the_same_for_the_same_generator(leading: tuple[int, ...]) -> None:
    augment = Augmentation(shift=2, flip=True, cutout=2)
    x = torch.rand(*leading, 8, 2, 6, 6)
    draws = [augment(x, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert Augmentation()(x, torch.Generator()) is x


def test_flip_mirrors_about_half_of_the_samples() -> None:
    x = torch.arange(4.0).expand(400, 1, 1, 4)
    flipped = Augmentation(flip=True)(x, torch.Generator().manual_seed(0))
    mirrored = (flipped[:, 0, 0, 0] == 3).sum().item()
    assert 150 < mirrored < 250
    assert all(sorted(row) == [0, 1, 2, 3] for row in flipped.flatten(1).tolist())


def test_each_augmentation_alone() -> None:
    x = torch.ones(300, 1, 9, 9)
    cut = Augmentation(cutout=3)(x, torch.Generator().manual_seed(0))
    holes = (cut == 0).flatten(1).sum(1)
    assert holes.max() == 9
    assert holes.min() == 4
    places = Augmentation(shift=2)(x, torch.Generator().manual_seed(0), blank=-3.0)
    down, right = (places[:, 0, :, 4] == 1).int(), (places[:, 0, 4] == 1).int()
    for axis in (down, right):
        assert set(axis.sum(1).tolist()) == {7, 8, 9}
        assert {axis[:, 0].min().item(), axis[:, -1].min().item()} == {0}
    assert places.min() == -3.0


def test_black_stays_black_after_standardisation() -> None:
    split = load_dataset("fashion-mnist", num_steps=1).train
    assert split.inputs(torch.arange(50)).min().item() == pytest.approx(split.blank)


def test_bad_augmentation() -> None:
    with pytest.raises(ValueError, match="shift must be"):
        Augmentation(shift=-1)
