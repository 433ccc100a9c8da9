"""Recordings in the byte layouts of their formats, written by their documents."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tempreg.data.formats.recordings import Recording

Events = NDArray[np.int64]
"""Columns t, x, y, p."""


def forty_bit(events: Events) -> bytes:
    return b"".join(
        bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for t, x, y, p in events.tolist()
    )


def dvs128(events: Events, version: int = 2) -> bytes:
    head = f"#!AER-DAT{version}.0\r\n# made by a test\r\n".encode()
    form = ">II" if version == 2 else ">HI"
    return head + b"".join(
        struct.pack(form, (127 - y) << 8 | (127 - x) << 1 | (1 - p), t % 2**32)
        for t, x, y, p in events.tolist()
    )


def write_recordings(folder: Path) -> None:
    """24 recordings of 60 ms in two classes, whose events lie left and right."""
    rng = np.random.default_rng(0)
    for i in range(24):
        t = np.sort(rng.integers(0, 60_000, 300))
        x = rng.integers(0, 60, 300) + 60 * (i % 2)
        events = np.stack([t, x, rng.integers(0, 120, 300), rng.integers(0, 2, 300)], axis=1)
        path = folder / ("left", "right")[i % 2] / f"{i}.aedat"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dvs128(events))


def aedat3(events: Events, at_once: int = 60) -> bytes:
    raw = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"
    raw += struct.pack("<HHIIIIII", 0, 1, 12, 4, 0, 1, 1, 1) + bytes(12)  # a special event
    for k in range(0, len(events), at_once):
        part = events[k : k + at_once].tolist()
        raw += struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, len(part), len(part), len(part))
        raw += b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in part)
    return raw


def dat(events: Events) -> bytes:
    head = b"% Data file\n% Version 2\n% Height 240\n% Width 304\n" + bytes([0, 8])
    return head + b"".join(
        struct.pack("<II", t, x | y << 14 | p << 28) for t, x, y, p in events.tolist()
    )


def evt2(events: Events) -> bytes:
    raw, high = b"% evt 2.0\n% geometry 640x480\n% end\n", -1
    for t, x, y, p in events.tolist():
        if t >> 6 != high:
            high = t >> 6
            raw += struct.pack("<I", 8 << 28 | high)
        raw += struct.pack("<I", p << 28 | (t & 63) << 22 | x << 11 | y)
    return raw


def flatbuffer(identifier: bytes, slots: list[int], body: bytes) -> bytes:
    """A table whose only field is in the last of `slots`, an offset to `body` just behind it."""
    vtable = struct.pack(f"<{2 + len(slots)}H", 4 + 2 * len(slots), 8, *slots)
    vtable += bytes(-len(vtable) % 4)
    whole = struct.pack("<I", 8 + len(vtable)) + identifier + vtable
    whole += struct.pack("<iI", len(vtable), 4) + body
    return struct.pack("<I", len(whole)) + whole


def aedat4(events: Events, at_once: int = 70) -> bytes:
    """Uncompressed, without a table of packets, by flatbuffers/*.fbs of the aedat library."""
    xml = b"""<dv version="2.0"><node name="outInfo"><node name="0">
        <attr key="typeIdentifier" type="string">EVTS</attr><node name="info">
        <attr key="sizeX" type="int">40</attr><attr key="sizeY" type="int">36</attr>
        </node></node></node></dv>"""
    raw = b"#!AER-DAT4.0\r\n"
    raw += flatbuffer(b"IOHE", [0, 0, 4], struct.pack("<I", len(xml)) + xml + b"\0")
    for k in range(0, len(events), at_once):
        part = events[k : k + at_once].tolist()
        body = struct.pack("<I", len(part))
        body += b"".join(struct.pack("<qhh?3x", t, x, y, p) for t, x, y, p in part)
        packet = flatbuffer(b"EVTS", [4], body)
        raw += struct.pack("<II", 0, len(packet)) + packet
    return raw


def evt3(events: Events) -> bytes:
    raw, high, low = b"% format EVT3;height=480;width=640\n% end\n", -1, -1
    for t, x, y, p in events.tolist():
        while high < t >> 12:
            high, low = high + 1, -1
            raw += struct.pack("<H", 8 << 12 | high)
        if t & 0xFFF != low:
            low = t & 0xFFF
            raw += struct.pack("<H", 6 << 12 | low)
        raw += struct.pack("<HH", y, 2 << 12 | p << 11 | x)
    return raw


def same(found: Recording, events: Events) -> bool:
    return np.array_equal(np.stack([found.t, found.x, found.y, found.p], axis=1), events)
