"""Ratios for event data: recordings to frames against tonic, cached loading against a step.

    python benchmarks/events.py            (needs tonic: pip install tonic -c constraints.txt)

The embedded N-MNIST recordings are written out as .bin files and read from there, so that it runs
for anyone; both sides read the same files, tonic with its own reader. Frames are compared before
times are taken, and must be equal. Tonic and tempreg cut "time" otherwise: tonic makes bins of
floor((last - first) / T) microseconds and drops what comes after the last; tempreg's T bins hold
all. So they are compared in bins of 50 ms, where both mean the same, and by time with tempreg's
"duration" at tonic's bin length; how many events the two rules place otherwise is printed.
See `tempreg.bench.measure` for how ratios are taken.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tonic.functional import to_frame_numpy
from tonic.io import read_mnist_file

from tempreg.bench.measure import compare
from tempreg.config import PRESETS
from tempreg.data import DataOptions, load_dataset
from tempreg.data.formats.recordings import read_recordings
from tempreg.data.frames.frames import frames_of
from tempreg.data.sources.embedded import nmnist_recordings
from tempreg.data.sources.events import NMNIST
from tempreg.data.sources.recordings import Sample, built
from tempreg.runs.build import build_data, build_model, build_objective, build_optimizer

STEPS, FRAME_MS, SIZE = 6, 50, (34, 34)
EVENTS = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])


def write_out(root: Path) -> list[Path]:
    """The recordings of the embedded test and training parts, in N-MNIST's folders."""
    r, labels, part = nmnist_recordings()
    paths = []
    for i, (start, end) in enumerate(zip(r.offsets[:-1], r.offsets[1:], strict=True)):
        e = slice(start, end)
        word = r.p[e].astype(np.int64) << 23 | r.t[e]
        columns = (r.x[e], r.y[e], word >> 16, word >> 8 & 255, word & 255)
        path = root / ("Test" if part[i] == 2 else "Train") / str(labels[i]) / f"{i:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(np.stack(columns, axis=1).astype(np.uint8).tobytes())
        paths.append(path)
    return paths


def ours(paths: list[Path], by: str) -> NDArray[np.int16]:
    """As a data set makes them; not kept on disk."""
    options = DataOptions(num_steps=STEPS, frames=by, frame_ms=FRAME_MS)
    _, chunks = built([Sample(path, 0) for path in paths], SIZE, options)
    return np.concatenate([chunk.frames.numpy() for chunk in chunks])


def theirs(paths: list[Path], by: str) -> NDArray[np.int16]:
    frames = np.empty((len(paths), STEPS, 2, *SIZE), np.int16)
    for i, path in enumerate(paths):
        events = read_mnist_file(str(path), EVENTS)
        if by == "time":
            frames[i] = to_frame_numpy(events, (*SIZE, 2), n_time_bins=STEPS)
        elif by == "count":
            frames[i] = to_frame_numpy(events, (*SIZE, 2), n_event_bins=STEPS)
        else:
            window = FRAME_MS * 1000
            end = int(events["t"][0]) + STEPS * window
            frames[i] = to_frame_numpy(events, (*SIZE, 2), time_window=window, end_time=end)
    return frames


def check(paths: list[Path]) -> None:
    """Equal frames where the two mean the same, and where not, how much differs."""
    assert np.array_equal(ours(paths, "duration"), theirs(paths, "duration"))
    for path, frames in zip(paths, theirs(paths, "time"), strict=True):
        recording = read_recordings([path], SIZE)
        window = int(recording.t[-1] - recording.t[0]) // STEPS
        options = DataOptions(num_steps=STEPS, frames="duration", frame_ms=window / 1000)
        assert np.array_equal(frames_of(recording, options)[0].numpy(), frames), path
    print(f"frames of {len(paths)} recordings are equal: bins of 50 ms, and of tonic's length")
    for by in ("time", "count"):
        a, b = ours(paths, by), theirs(paths, by)
        moved = int(np.maximum(a - b, 0).sum())
        dropped = int(a.sum()) - int(b.sum())
        print(
            f"by {by} tonic drops {dropped} of {int(a.sum()):,} events at the end, and has "
            f"{moved - dropped} others in another frame"
        )


def main() -> None:
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TEMPREG_CACHE_DIR"] = str(Path(scratch, "cache"))
        root = Path(scratch, "nmnist")
        paths = write_out(root)
        check(paths)
        some = paths[:200]
        for by in ("duration", "time", "count"):
            compare(
                f"tonic / tempreg, 200 recordings to frames by {by}",
                lambda by=by: theirs(some, by),
                lambda by=by: ours(some, by),
                7,
            )
        data = load_dataset(
            "nmnist-full", num_steps=STEPS, frames="duration", frame_ms=FRAME_MS, path=root
        )
        first = torch.arange(200)
        _, samples = NMNIST().samples(root)
        same = [samples[row].path for row in data.train.rows[:200]]
        wanted = torch.from_numpy(theirs(same, "duration")).movedim(1, 0).float()
        assert torch.equal(data.train.inputs(first), wanted)
        compare(
            "tonic / tempreg, the same 200, frames kept on disk",
            lambda: theirs(same, "duration"),
            lambda: data.train.inputs(first),
            7,
        )
        against_a_step(root)


def against_a_step(root: Path) -> None:
    """A batch from the kept frames against forward, objective, backward and optimizer."""
    config = PRESETS["nmnist-trt"]()
    network = build_model(config, build_data(config))
    objective = build_objective(config, network)
    optimizer = build_optimizer(config, network)
    data = load_dataset("nmnist-full", num_steps=config.num_steps, path=root)
    places = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    batch = places[: config.batch_size]
    x, y = data.train.batch(batch)
    network.train()

    def step() -> None:
        optimizer.zero_grad()
        objective(network(x), y).backward()
        optimizer.step()

    name = f"training step of csnn / loading a kept batch of {config.batch_size}"
    compare(name, step, lambda: data.train.batch(batch), 7)


if __name__ == "__main__":
    main()
