"""Random recordings of N-MNIST's layout, AEDAT 1, 2, 3.1 and 4, and of arrays and tables."""

from __future__ import annotations

import io
import random
import struct
import tempfile
from pathlib import Path

import h5py
import numpy as np

from tests.differential.prophesee_streams import BACK, OUTSIDE
from tests.differential.stream import Draw, Event, Stream
from tests.unit.data.formats.recordings.layouts import aedat4 as uncompressed

OVERFLOW, WRAP = "words of overflow (y = 240)", "a counter that wraps"
HASH, LINES, NO_HEADER = "data that begin with #", "no header but a version", "no header"
SPECIAL, INVALID = "events that are no pixel's", "events marked invalid"
PACKED, OTHER_PACKETS = "serialised times", "packets of other kinds"
MOVED = "an overflow of packets' time"
FLAGS, BY_HAND = "addresses with bit 10 set", "a header as short as can be"


def forty_bit(rng: random.Random) -> Stream:
    """Five bytes an event."""
    draw = Draw(rng)
    wanted = draw.some(BACK, OVERFLOW, WRAP)
    first = rng.randrange(100_000)
    if WRAP in wanted:
        first = 2**23 - rng.randrange(1, 3000)
    events = draw.events(rng.randrange(1, 80), 34, 34, first, first + 2**22)
    if BACK in wanted and len(events) > 2:
        (before, *_), (_, x, y, p) = events[-2:]
        if before % 2**23 > 0:
            draw.has(BACK)
            events[-1] = (before - 1, x, y, p)
    raw, shift = b"", 0
    if events and events[-1][0] >= 2**23:
        draw.has(WRAP)
    for t, x, y, p in events:
        if OVERFLOW in wanted and rng.random() < 0.1:
            draw.has(OVERFLOW)
            raw += bytes((rng.randrange(34), 240)) + (t % 2**23).to_bytes(3, "big")
        raw += bytes((x, y)) + (p << 23 | (t + shift) % 2**23).to_bytes(3, "big")
    return draw.finished(".bin", raw, 5)


def aedat_1(rng: random.Random) -> Stream:
    """Six bytes an event."""
    return _dvs128(rng, 1)


def aedat_2(rng: random.Random) -> Stream:
    """Eight bytes an event."""
    return _dvs128(rng, 2)


def _dvs128(rng: random.Random, version: int) -> Stream:
    draw = Draw(rng)
    wanted = draw.some(BACK, SPECIAL, HASH, LINES, NO_HEADER, WRAP)
    end = rng.choice(("\r\n", "\r\n", "\n"))
    head = f"#!AER-DAT{version}.0{end}"
    if LINES not in wanted:
        head += "# This is a raw AE data file - do not edit" + end
        head += "# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128" + end
        head += f"#End Of ASCII Header{end}" * rng.randrange(2)
    if NO_HEADER in wanted and version == 1:
        draw.has(NO_HEADER)
        head = ""
    first = rng.choice((0, rng.randrange(2**24), rng.randrange(2**32 - 2**21)))
    if WRAP in wanted:
        first = 2**32 - rng.randrange(1, 1000)
    events = draw.events(rng.randrange(1, 80), 128, 128, first, first + 2**21)
    if BACK in wanted and len(events) > 2 and events[-2][0] > 0:
        draw.has(BACK)
        events[-1] = (events[-2][0] - 1, *events[-1][1:])
    if events and events[-1][0] >= 2**32:
        draw.has(WRAP)
    raw = b""
    for t, x, y, p in events:
        address = (127 - y) << 8 | (127 - x) << 1 | (1 - p)
        if HASH in wanted and version == 1 and not raw:
            address = 0x23 << 8 | address & 0xFF
        if SPECIAL in wanted and rng.random() < 0.1:
            draw.has(SPECIAL)
            address |= 0x8000
        raw += struct.pack(">HI" if version == 1 else ">II", address, t % 2**32)
        if address & 0x400:
            draw.has(FLAGS)
    if raw.startswith(b"#"):
        draw.has(HASH)
    return draw.finished(".aedat", head.encode() + raw, 6 if version == 1 else 8)


def aedat_3(rng: random.Random) -> Stream:
    """Packets."""
    draw = Draw(rng)
    wanted = draw.some(BACK, INVALID, PACKED, OTHER_PACKETS, MOVED)
    form = "SerializedTS" if PACKED in wanted else "RAW"
    raw = f"#!AER-DAT3.1\r\n#Format: {form}\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n".encode()
    events = draw.events(rng.randrange(1, 80), 128, 128, rng.randrange(2**20), 2**31)
    over = 0
    while events:
        part, events = events[: rng.randrange(1, 30)], events[30:]
        if MOVED in wanted and rng.random() < 0.3:
            draw.has(MOVED)
            over += 1
        if BACK in wanted and len(part) > 1 and rng.random() < 0.3 and part[-2][0] > 0:
            draw.has(BACK)
            part[-1] = (part[-2][0] - 1, *part[-1][1:])
        if OTHER_PACKETS in wanted and rng.random() < 0.3:
            draw.has(OTHER_PACKETS)
            raw += struct.pack("<HHIIIIII", 0, 1, 8, 4, 0, 1, 1, 1) + struct.pack("<II", 1, 9)
        valid = [1] * len(part)
        if INVALID in wanted:
            draw.has(INVALID)
            valid = [rng.randrange(2) for _ in part]
        words = [
            (x << 17 | y << 2 | p << 1 | ok, t)
            for (t, x, y, p), ok in zip(part, valid, strict=True)
        ]
        kind, room = 1, len(part)
        body = b"".join(struct.pack("<II", *word) for word in words)
        if PACKED in wanted and (packed := _serialised(words)) != body:
            draw.has(PACKED)
            kind, room, body = 0x8001, len(packed), packed
        raw += struct.pack("<HHIIIIII", kind, 1, 8, 4, over, room, len(part), sum(valid)) + body
    return draw.finished(".aedat", raw, 8)


def _serialised(words: list[tuple[int, int]]) -> bytes:
    """Runs of at least three equal times have it once, and then their number."""
    out, place = b"", 0
    while place < len(words):
        data, time = words[place]
        run = 1
        while place + run < len(words) and words[place + run][1] == time:
            run += 1
        if run < 3:
            out += struct.pack("<II", data, time)
            place += 1
            continue
        out += struct.pack("<IIII", data, time | 1 << 31, words[place + 1][0], run - 2)
        out += b"".join(struct.pack("<I", each) for each, _ in words[place + 2 : place + run])
        place += run
    return out


def aedat_4(rng: random.Random) -> Stream:
    """Packets of flatbuffers: without compression, or as dv-processing writes them."""
    draw = Draw(rng)
    if rng.random() < 0.5:
        return _by_dv_processing(draw)
    draw.has(BY_HAND)
    wanted = draw.some(BACK, OUTSIDE)
    first = rng.choice((0, rng.randrange(2**40), 1_700_000_000_000_000))
    events = draw.events(rng.randrange(1, 80), 40, 36, first, 2**62)
    if BACK in wanted and len(events) > 2 and events[-2][0] > 0:
        draw.has(BACK)
        events[-1] = (events[-2][0] - 1, *events[-1][1:])
    if OUTSIDE in wanted and events:
        draw.has(OUTSIDE)
        t, _, y, p = events[-1]
        events[-1] = (t, 40, y, p)
    raw = uncompressed(np.array(events or [(first, 0, 0, 0)]), rng.randrange(1, 40))
    return draw.finished(".aedat4", raw, 8)


def npz(rng: random.Random) -> Stream:
    """Arrays t, x, y, p."""
    draw, events = _columns(rng)
    out, kind = io.BytesIO(), rng.choice((np.int64, np.uint32))
    values = np.array(events, kind).reshape(-1, 4).T
    save = rng.choice((np.savez, np.savez_compressed))
    save(out, **dict(zip("txyp", values, strict=True)))
    return draw.finished(".npz", out.getvalue(), 8)


def hdf5(rng: random.Random) -> Stream:
    """events/t, x, y, p, or Metavision's CD/events."""
    draw, events = _columns(rng)
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        if rng.random() < 0.5:
            for name, values in zip("txyp", np.array(events).reshape(-1, 4).T, strict=True):
                file[f"events/{name}"] = values
        else:
            kind = [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")]
            held = np.array([(x, y, p, t) for t, x, y, p in events], kind)
            file.create_dataset(
                "CD/events",
                data=held,
                chunks=(64,),
                maxshape=(None,),
                compression=rng.choice((None, "gzip")),
            )
    return Stream(".h5", out.getvalue(), frozenset(draw.features))


def csv(rng: random.Random) -> Stream:
    """A line of names, or none."""
    draw, events = _columns(rng)
    order = rng.sample(range(4), 4) if rng.random() < 0.5 else [0, 1, 2, 3]
    names, end = ["t", "x", "y", "p"], rng.choice(("\n", "\r\n"))
    text = ",".join(names[k] for k in order) + end
    text += "".join(",".join(str(event[k]) for k in order) + end for event in events)
    return Stream(".csv", text.encode(), frozenset(draw.features))


def _columns(rng: random.Random) -> tuple[Draw, list[Event]]:
    draw = Draw(rng)
    width, height = draw.sensor()
    first = rng.choice((0, rng.randrange(2**31)))
    events = draw.events(rng.randrange(1, 60), width, height, first, 2**32)
    if BACK in draw.some(BACK) and len(events) > 2 and events[-2][0] > 0:
        draw.has(BACK)
        events[-1] = (events[-2][0] - 1, *events[-1][1:])
    return draw, events


def _by_dv_processing(draw: Draw) -> Stream:
    import dv_processing as dv

    first = draw.rng.choice((1, 1_700_000_000_000_000))
    events = draw.events(draw.rng.randrange(1, 80), 346, 260, first, 2**62)
    store = dv.EventStore()
    for t, x, y, p in events or [(first, 0, 0, 0)]:
        store.push_back(t, x, y, bool(p))
    compression = draw.rng.choice(
        (dv.CompressionType.NONE, dv.CompressionType.LZ4, dv.CompressionType.ZSTD)
    )
    config = dv.io.MonoCameraWriter.EventOnlyConfig("a camera", (346, 260), compression)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.aedat4")
        writer = dv.io.MonoCameraWriter(str(path), config)
        writer.writeEvents(store)
        del writer
        return Stream(".aedat4", path.read_bytes(), frozenset(draw.features))
