"""Frames as their options ask for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tempreg.data import DataOptions, Recordings, events_to_frames, load_dataset
from tempreg.data.frames.frames import frames_of, resized
from tempreg.data.sources.embedded import nmnist_recordings
from tests.unit.data.test_data import recordings


@given(recordings(), st.integers(1, 6), st.floats(0.001, 2))
def test_duration_keeps_what_lies_within(r: Recordings, steps: int, ms: float) -> None:
    frames = events_to_frames(r, steps, "duration", ms)
    for i in range(len(r)):
        t = r.t[r.offsets[i] : r.offsets[i + 1]]
        step = np.floor((t - t[:1]) / round(ms * 1000, 6))
        expected = np.bincount(step[step < steps].astype(int), minlength=steps)
        assert frames[i].sum(dim=(1, 2, 3)).tolist() == expected.tolist()


@given(recordings(), st.integers(1, 12))
def test_area_loses_nothing_and_keeps_polarities_apart(r: Recordings, size: int) -> None:
    frames = events_to_frames(r, 3)
    small = frames_of(r, DataOptions(num_steps=3, size=size))
    assert small.shape[-2:] == (size, size)
    torch.testing.assert_close(small.sum(dim=(3, 4)), frames.sum(dim=(3, 4)).float())


def test_area_is_the_mean_of_blocks() -> None:
    frames = torch.zeros(1, 2, 2, 8, 8, dtype=torch.int16)
    frames[0, 0, 1, 2, 4:6] = 3
    expected = torch.nn.functional.avg_pool2d(frames[0].float(), 2) * 4
    assert torch.allclose(resized(frames, 4, 4)[0], expected)


@pytest.mark.parametrize("how", ["max", "percentile"])
def test_normalised_by_recording(how: str) -> None:
    r = nmnist_recordings()[0][:3]
    empty = Recordings(r.t, r.x, r.y, r.p, np.append(r.offsets, r.offsets[-1]), (34, 34))
    counts = events_to_frames(empty, 4).float()
    frames = frames_of(empty, DataOptions(num_steps=4, normalise=how))
    assert frames[3].abs().sum() == 0
    assert frames.amax(dim=(1, 2, 3, 4)).tolist() == [1, 1, 1, 0]
    for i in range(3):
        positive = counts[i][counts[i] > 0].numpy()
        scale = positive.max() if how == "max" else np.percentile(positive, 99)
        torch.testing.assert_close(frames[i], (counts[i] / float(scale)).clamp(max=1))


def test_options_that_contradict() -> None:
    r = nmnist_recordings()[0][:1]
    contradictions: list[dict[str, object]] = [
        {"frames": "duration"},
        {"normalise": "most"},
        {"frames": "published", "normalise": "max"},
        {"frames": "published", "resize": "bilinear"},
        {"resize": "paper"},
        {"resize": "by hand"},
        {"std": (0.5,)},
        {"shorter_side": 40},
    ]
    for bad in contradictions:
        with pytest.raises(ValueError, match=r"frame_ms|normalis|resize|is for images"):
            frames_of(r, DataOptions(num_steps=2, **bad))  # type: ignore[arg-type]


def test_embedded_honours_options() -> None:
    data = load_dataset("nmnist", num_steps=2, size=12, normalise="max")
    x, _ = data.test.batch(torch.arange(3))
    assert (data.input_size, x.shape[-2:], float(x.max())) == ((12, 12), (12, 12), 1.0)
