"""Ratios for event data: recordings to frames against tonic, cached loading against a step.

    python benchmarks/events.py            (needs tempreg[events])

The embedded N-MNIST recordings are written out as .bin files and read from there, so that it runs
for anyone. First frames are compared: by time, the first frame and the total to within 2%,
for tonic cuts bins elsewhere and drops a remainder. See `foundation.py` for how ratios are taken.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from foundation import compare
from tonic.functional import to_frame_numpy
from tonic.io import read_mnist_file

import tempreg
from tempreg.data import DataOptions, Recordings, load_dataset
from tempreg.data.embedded import nmnist_recordings
from tempreg.data.event_files import read_recording
from tempreg.data.frames import frames_of

STEPS, EVENTS = 6, np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])


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


def ours(path: Path, by: str) -> np.ndarray:
    r = read_recording(path)
    whole = Recordings(r.t, r.x, r.y, r.p, np.array([0, len(r.t)]), (34, 34))
    return frames_of(whole, DataOptions(num_steps=STEPS, frames=by))[0].numpy()


def theirs(path: Path, by: str) -> np.ndarray:
    bins = {"n_time_bins" if by == "time" else "n_event_bins": STEPS}
    return to_frame_numpy(read_mnist_file(str(path), EVENTS), (34, 34, 2), **bins)


def main() -> None:
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TEMPREG_CACHE_DIR"] = str(Path(scratch, "cache"))
        root = Path(scratch, "nmnist")
        paths = write_out(root)[:200]
        for path in paths:
            # Tonic leaves out the events after the last whole bin; ours are all there.
            a, b = ours(path, "time"), theirs(path, "time")
            assert 0 <= int(a.sum()) - int(b.sum()) < 0.02 * a.sum(), path
            assert np.abs(a[0] - b[0]).sum() <= 0.02 * a[0].sum(), path
        for by in ("time", "count"):
            compare(
                f"tonic / tempreg, 200 recordings to frames by {by}, uncached",
                lambda by=by: [theirs(path, by) for path in paths],
                lambda by=by: [ours(path, by) for path in paths],
                5,
            )
        data = load_dataset("nmnist-full", num_steps=STEPS, path=root)
        x, y = data.train.batch(torch.arange(200))
        compare(
            "tonic / tempreg, 200 recordings to frames, cached",
            lambda: [theirs(path, "time") for path in paths],
            lambda: data.train.batch(torch.arange(200)),
            5,
        )
        model = tempreg.create_model(
            "csnn", num_classes=10, in_channels=2, num_steps=STEPS, input_size=34
        )
        loss, some = tempreg.TRTLoss(model), torch.arange(32)
        x, y = data.train.batch(some)
        compare(
            "loading a cached batch of 32 / training step of csnn",
            lambda: data.train.batch(some),
            lambda: loss(model(x), y).backward(),
            5,
        )


if __name__ == "__main__":
    main()
