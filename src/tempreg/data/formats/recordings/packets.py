"""The packets of AEDAT 3.1, as cAER wrote them (docs.inivation.com, AEDAT file formats)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings.recording import Recording, checked

_POLARITY, _COMPRESSED, _HEADER = 1, 0x8000, struct.Struct("<HHIIIIII")


def read_packets(path: Path, raw: bytes, start: int) -> Recording:
    """Packets from `start` on: a header of 28 bytes, and events; those of polarity have 8 bytes.

    A packet that is compressed says in place of its room for events how many bytes follow.
    """
    held, times, sources = [np.empty(0, np.int64)], [np.empty(0, np.int64)], set()
    while start < len(raw):
        if len(raw) - start < _HEADER.size:
            raise DataError(f"{path}, byte {start}: ends within a packet's header: truncated")
        kind, source, size, _, overflow, room, number, _ = _HEADER.unpack_from(raw, start)
        packed, kind = kind & _COMPRESSED != 0, kind & ~_COMPRESSED
        body = start + _HEADER.size
        start = body + room * (1 if packed else size)
        if start > len(raw):
            content = f"{room} bytes" if packed else f"{room} events of {size} bytes"
            raise DataError(
                f"{path}, byte {body}: a packet declares {content}, more than the file holds: it "
                "is truncated or damaged"
            )
        if kind != _POLARITY:
            continue
        sources.add(source)
        if size != 8 or (not packed and number != room):
            raise DataError(
                f"{path}, byte {body}: a polarity packet of {number} events of {size} bytes with "
                f"room for {room}, where 8 bytes and equal numbers are due: it is damaged"
            )
        words = np.frombuffer(raw, "<u4", (start - body) // 4, body)
        events = _unpacked(words) if packed else words.reshape(-1, 2)
        if events is None or len(events) != number or (start - body) % 4:
            raise DataError(
                f"{path}, byte {body}: a packet doesn't hold the {number} events that it declares: "
                "it is damaged"
            )
        events = events[events[:, 0] & 1 == 1].astype(np.int64)
        held.append(events[:, 0])
        times.append(events[:, 1] + (overflow << 31))
    if len(sources) > 1:
        raise DataError(f"{path} holds events of {len(sources)} cameras: store each by itself")
    word = np.concatenate(held)
    return checked(path, np.concatenate(times), word >> 17, word >> 2 & 0x7FFF, word >> 1 & 1)


def _unpacked(words: NDArray[np.uint32]) -> NDArray[np.uint32] | None:
    """[N, 2], data and time, of the format SerializedTS; None where a run's end isn't there.

    A time with its highest bit set begins a run of events of that time: the second has in place of
    its time the number of those after it, which have no time.
    """
    parts, place = [np.empty((0, 2), np.uint32)], 0
    while place + 1 < len(words):
        data, time = words[place : place + 2].tolist()
        if time < 1 << 31:
            parts.append(words[place : place + 2].reshape(1, 2))
            place += 2
            continue
        if place + 4 > len(words):
            return None
        more = int(words[place + 3])
        run = np.concatenate([[data, words[place + 2]], words[place + 4 : place + 4 + more]])
        if len(run) != 2 + more:
            return None
        parts.append(np.stack([run, np.full(len(run), time - (1 << 31))], axis=1).astype(np.uint32))
        place += 4 + more
    return np.concatenate(parts) if place == len(words) else None
