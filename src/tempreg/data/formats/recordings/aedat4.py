"""AEDAT 4, which the library aedat decodes.

It runs in a process of its own, so that a damaged file can't take this one along: it is native
code that panics on some.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings.arrays import from_array
from tempreg.data.formats.recordings.recording import Recording
from tempreg.errors import to_install

_AEDAT4 = """
import sys, aedat, numpy
packets, stream = [], None
decoder = aedat.Decoder(sys.argv[1])
streams = decoder.id_to_stream()
events = sorted(i for i, s in streams.items() if s["type"] == "events")
if not events:
    numpy.savez(sys.argv[2], others=[s["type"] for s in streams.values()])
    sys.exit()
for packet in decoder:
    if packet["stream_id"] == events[0]:
        packets.append(packet["events"])
dtype = [("t", "<i8"), ("x", "<i8"), ("y", "<i8"), ("p", "<i8")]
held = numpy.empty(sum(map(len, packets)), dtype)
if packets:
    joined = numpy.concatenate(packets)
    for ours, theirs in zip("txyp", joined.dtype.names):
        held[ours] = joined[theirs]
size = streams[events[0]]["height"], streams[events[0]]["width"]
numpy.savez(sys.argv[2], events=held, size=size)
"""


def read_aedat4(path: Path) -> Recording:
    """The first stream of events in an AEDAT 4 file."""
    _require_start(path, b"#!AER-DAT4.0\r\n")
    return _decoded(path, _AEDAT4, "aedat")


def _require_start(path: Path, magic: bytes) -> None:
    with path.open("rb") as file:
        if file.read(len(magic)) != magic:
            raise DataError(f"{path} is no {path.suffix} recording: it must begin with {magic!r}")


def _decoded(path: Path, program: str, library: str) -> Recording:
    """What a program writes, called with `path` and where to write."""
    with tempfile.TemporaryDirectory(prefix="tempreg-") as scratch:
        target = Path(scratch, "events.npz")
        done = subprocess.run(
            [sys.executable, "-c", program, str(path), str(target)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if "ModuleNotFoundError" in done.stderr:
            raise DataError(f"{path} needs {library}: {to_install('events')}")
        if done.returncode != 0 or not target.exists():
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise DataError(f"{path} can't be decoded by {library}, it may be damaged: {last}")
        with np.load(target, allow_pickle=False) as held:
            if "others" in held:
                there = ", ".join(held["others"].tolist()) or "nothing"
                raise DataError(f"{path} holds no stream of events, but {there}")
            recording = from_array(path, held["events"])
            height, width = held["size"].tolist()
    if height == 0 or width == 0:
        return recording
    recording.check_size(path, (height, width))
    return replace(recording, sensor_size=(height, width))
