"""A program that answers while events come: the embedded recordings stand in for a camera.

tempreg train nmnist-trt --out runs/trt
python examples/live.py runs/trt [UNTIL]

A camera gives arrays of t, x, y and p every few milliseconds; that is all that `Stream.events`
wants. UNTIL is the confidence at which it answers, or "calibrated" after `tempreg calibrate`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

import tempreg
from tempreg.data.base import SPLITS
from tempreg.data.frames.recordings import Recordings
from tempreg.data.sources.embedded import nmnist_recordings

Packet = tuple[NDArray[np.int64], ...]


def digits(count: int) -> Iterator[tuple[int, Recordings]]:
    """Test recordings, and what they show."""
    recordings, labels, parts = nmnist_recordings()
    for index in np.flatnonzero(parts == SPLITS.index("test"))[:count].tolist():
        yield int(labels[index]), recordings[index : index + 1]


def camera(recording: Recordings) -> Iterator[Packet]:
    """t, x, y and p of 10 ms after 10 ms."""
    for begin in range(0, int(recording.t[-1]) + 1, 10_000):
        here = (recording.t >= begin) & (recording.t < begin + 10_000)
        yield tuple(getattr(recording, name)[here].astype(np.int64) for name in "txyp")


def first_sure(stream: tempreg.Stream, packets: Iterator[Packet]) -> tempreg.Answer | None:
    """The answer of a sample, as soon as there is one; of the events so far at its end."""
    stream.reset()
    for packet in packets:
        for answer in stream.events(*packet):
            if answer.done:
                return answer
    return stream.finish()


def main(run: str, until: float | str) -> None:
    stream = tempreg.Stream(run, until=until)
    right, steps = 0, []
    for digit, recording in digits(20):
        answer = first_sure(stream, camera(recording))
        if answer is None:
            continue
        label, confidence = int(answer.label), float(answer.confidence)
        steps.append(int(answer.steps))
        right += label == digit
        print(f"shown {digit}, answered {label} ({confidence:.1%}) after {steps[-1]} timesteps")
    print(f"{right} of {len(steps)} right, after {np.mean(steps):.1f} timesteps in the mean")


if __name__ == "__main__":
    wanted = sys.argv[2] if len(sys.argv) > 2 else "0.9"
    main(sys.argv[1], wanted if wanted == "calibrated" else float(wanted))
