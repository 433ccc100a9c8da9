"""Events one after another become the frames that whole recordings became."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tempreg.data import DataError, DataOptions, Recordings
from tempreg.data.frames.extent import Extent
from tempreg.data.frames.frames import frames_of
from tempreg.data.frames.live import RESTART, LiveFrames

SIZE = (6, 9)
HOUR = 3_600_000_000


def recording(seed: int, events: int, span: int) -> Recordings:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, span, events)) + 1000
    x, y, p = rng.integers(0, 9, events), rng.integers(0, 6, events), rng.integers(0, 2, events)
    return Recordings(t, x, y, p, np.array([0, events]), SIZE)


def pushed(live: LiveFrames, r: Recordings, cuts: list[int]) -> Iterator[Tensor]:
    """The frames of a recording that comes in pieces, and its last one."""
    edges = [0, *sorted(c % (len(r.t) + 1) for c in cuts), len(r.t)]
    for a, b in pairwise(edges):
        yield from live.push(r.t[a:b], r.x[a:b], r.y[a:b], r.p[a:b])
    rest = live.rest()
    if rest is not None:
        yield rest


@given(
    st.integers(0, 10**6),
    st.integers(6, 60),
    st.sampled_from([6, 40, 100_000]),
    st.integers(1, 6),
    st.lists(st.integers(0, 100), max_size=5),
    st.sampled_from(["time", "duration", "count", "number"]),
    st.sampled_from([None, 4]),
)
def test_frames_are_those_of_whole_recordings(
    seed: int, events: int, span: int, steps: int, cuts: list[int], by: str, size: int | None
) -> None:
    r = recording(seed, events, span)
    lasts = int(r.t[-1] - r.t[0]) + 1
    ms = lasts / 1000 / steps + 0.001
    options = DataOptions(num_steps=steps, frames=by, frame_ms=ms, size=size)
    live = LiveFrames(SIZE, options, extent=Extent((lasts, lasts), (events, events)))
    wanted = frames_of(r, options)[0].float()
    found = list(pushed(live, r, cuts))
    if by == "number" and len(found) > steps:  # what is left over belongs to the last
        found[steps - 1 :] = [torch.stack(found[steps - 1 :]).sum(dim=0)]
    while len(found) < steps:  # no event came behind these
        found.append(torch.zeros_like(found[0]))
    torch.testing.assert_close(torch.stack(found), wanted)
    assert live.dropped.late == live.dropped.outside == 0


def live(ms: float = 40.0, steps: int = 4) -> LiveFrames:
    return LiveFrames(SIZE, DataOptions(num_steps=steps), sample_ms=ms)


def counts(frames: Iterator[Tensor]) -> list[int]:
    return [int(frame.sum()) for frame in frames]


def test_late_and_outside_events_are_counted_and_in_no_frame() -> None:
    camera = live()
    assert counts(camera.push([0, 25_000], [1, 1], [1, 1], [0, 1])) == [1, 0]
    assert counts(camera.push([21_000, 19_999, 100], [0, 0, 0], [0, 0, 0], [1, 1, 1])) == []
    assert camera.dropped.late == 2
    assert counts(camera.push([22_000, 23_000, 24_000], [9, 0, -1], [0, 6, 0], [1, 1, 2])) == []
    assert camera.dropped.outside == 3
    assert counts(camera.push([30_000], [0], [0], [0])) == [2]


def test_a_long_silence_ends_a_sample_after_its_timesteps() -> None:
    camera = live()
    assert counts(camera.push([0, HOUR], [0, 0], [0, 0], [1, 1])) == [1, 0, 0, 0]
    assert counts(camera.push([HOUR + 10_000], [0], [0], [1])) == [1]


def test_a_clock_that_begins_again_begins_a_sample() -> None:
    camera = live()
    list(camera.push([HOUR], [0], [0], [1]))
    assert counts(camera.push([5], [0], [0], [1])) == []
    assert camera.dropped.restarts == 1
    assert counts(camera.push([5 + 10_000], [0], [0], [1])) == [1]
    list(camera.push([5 + 10_000 - RESTART // 2], [0], [0], [1]))
    assert (camera.dropped.late, camera.dropped.restarts) == (1, 1)


def test_memory_does_not_grow_over_an_hour_of_events() -> None:
    camera, rng = live(ms=1000.0), np.random.default_rng(0)
    frames, most = 0, 0
    tracemalloc.start()
    try:
        for second in range(3600):
            t = second * 1_000_000 + np.sort(rng.integers(0, 1_000_000, 200))
            x, y, p = rng.integers(0, 9, 200), rng.integers(0, 6, 200), rng.integers(0, 2, 200)
            frames += sum(1 for _ in camera.push(t, x, y, p))
            if second == 10:
                tracemalloc.reset_peak()
                most = tracemalloc.get_traced_memory()[0]
        grown = tracemalloc.get_traced_memory()[1] - most
    finally:
        tracemalloc.stop()
    assert frames > 14_000
    assert grown < 100_000


@pytest.mark.parametrize(
    ("options", "given_", "said"),
    [
        ({"normalise": "max"}, {"sample_ms": 5}, "data.normalise max divides by"),
        ({"frames": "published"}, {}, "needs whole recordings"),
        ({}, {}, "give sample_ms"),
        ({"frames": "count"}, {}, "give sample_events"),
        ({"frames": "count"}, {"sample_ms": 5}, "give sample_events"),
        ({}, {"sample_ms": 0}, "sample_ms must be in [0.004, 1e12], got 0"),
        ({}, {"sample_ms": float("nan")}, "sample_ms must be in"),
        ({}, {"sample_ms": "20"}, "sample_ms must be in [0.004, 1e12], got '20'"),
        ({"frames": "count"}, {"sample_events": 3}, "sample_events must be in [4, 1e12], got 3"),
        ({"frames": "duration", "frame_ms": 2.0}, {"sample_ms": 5}, "last 2.0 ms each"),
    ],
)
def test_what_cannot_be_binned_as_it_comes(
    options: dict[str, object], given_: dict[str, float], said: str
) -> None:
    with pytest.raises(DataError) as caught:
        LiveFrames(SIZE, DataOptions(num_steps=4, **options), **given_)
    assert said in str(caught.value)


@pytest.mark.parametrize("t", [[0.5], [[1]], ["a"], [1, 2]])
def test_what_is_no_events(t: list[object]) -> None:
    with pytest.raises(DataError):
        live().push(t, [0], [0], [0])


@pytest.mark.parametrize("by", ["duration", "count"])
def test_it_says_when_each_frame_was_over(by: str) -> None:
    r = recording(0, 60, 600)
    options = DataOptions(num_steps=3, frames=by, frame_ms=0.1)
    live = LiveFrames(SIZE, options, extent=Extent((600, 600), (60, 60)))
    count = len(list(live.push(r.t, r.x, r.y, r.p)))
    assert count == len(live.ends) >= 3
    first = int(r.t[0])
    if by == "duration":
        assert live.ends[:3] == [first + 100, first + 200, first + 300]
    else:
        assert live.ends == [int(r.t[19]), int(r.t[39]), int(r.t[59])]


@pytest.mark.parametrize("t", [[[1], [1, 2]], np.array([2**63], dtype=np.uint64), ["a"], [1.5]])
def test_no_whole_numbers_are_told(t: object) -> None:
    live = LiveFrames(SIZE, DataOptions(num_steps=3, frames="duration", frame_ms=0.1))
    with pytest.raises(DataError, match="t must be"):
        list(live.push(t, [1], [1], [1]))
