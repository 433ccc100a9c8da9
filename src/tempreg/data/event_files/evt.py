"""Prophesee's .raw: EVT 2.0 and EVT 3.0, as docs.prophesee.ai describes them (encoding formats)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tempreg.data.event_files.recording import Columns, Recording, checked
from tempreg.data.source import DataError

_ENCODING = re.compile(rb"% (?:evt |format evt)([23])(?:\.0)?(?:;|$)")


def read_raw(path: Path) -> Recording:
    """EVT 2.0 (words of 32 bits) or EVT 3.0 (of 16), the lowest byte first, by the file's header.

    What comes before the first time, or in EVT 3.0 before the first row, can't be placed and is
    left out, as a camera that was running already sends it.
    """
    raw = path.read_bytes()
    if not raw.startswith(b"% "):
        raise DataError(f"{path} is no .raw recording: it must begin with b'% '")
    start, version, text = 0, None, b""
    while raw.startswith(b"% ", start):
        end = raw.find(b"\n", start)
        if end < 0:
            raise DataError(f"{path} ends within its header: it is truncated")
        line, start = raw[start:end].strip().lower(), end + 1
        text += line + b"\n"
        if match := _ENCODING.match(line):
            version = int(match[1])
        if line == b"% end":
            break
    if version is None:
        raise DataError(
            f"{path} doesn't say in its header that it is EVT 2 or EVT 3, which are read"
        )
    width = 4 if version == 2 else 2
    if (len(raw) - start) % width:
        raise DataError(f"{path} ends within a word of EVT {version}: it is truncated")
    words = np.frombuffer(raw, f"<u{width}", offset=start)
    columns, counter_bits = (_evt2(words), 34) if version == 2 else (_evt3(words), 24)
    return checked(path, *columns, _sensor_size(text), counter_bits)


def _evt2(words: NDArray[np.uint32]) -> Columns:
    """Kind in bits 28-31: 0 OFF, 1 ON, 8 the upper 28 bits of time; an event has the lower 6."""
    kind, value = words >> 28, (words & 0xFFFFFFF).astype(np.int64)
    last = _last(kind == 8)
    event = (kind <= 1) & (last >= 0)
    value, high = value[event], value[last[event]]
    return high << 6 | value >> 22, value >> 11 & 0x7FF, value & 0x7FF, kind[event]


def _evt3(words: NDArray[np.uint16]) -> Columns:
    """Kind in bits 12-15; row, column and time hold until they are sent again.

    Kinds: 0 row, 2 an event's column and polarity, 3 the same for the first of a run, 4 and 5
    which of the next 12 or 8 pixels of the run have an event, 6 and 8 time's lower and upper 12
    bits, where a new upper part starts from 0.
    """
    kind, value = words >> 12, (words & 0xFFF).astype(np.int64)
    length = np.where(kind == 4, 12, np.where(kind == 5, 8, 0))
    before = np.cumsum(length) - length
    row, base, high, low = (_last(kind == code) for code in (0, 3, 8, 6))
    single = kind == 2
    event = (single | (length > 0)) & (high >= 0) & (row >= 0) & (single | (base >= 0))
    at = np.flatnonzero(event)
    mask = np.where(single[at], 1, value[at] & ((1 << length[at]) - 1))
    index, bit = np.nonzero(mask[:, None] >> np.arange(12) & 1)
    at = at[index]
    source = np.where(single[at], at, base[at])
    x = (value[source] & 0x7FF) + np.where(single[at], 0, before[at] - before[source]) + bit
    t = value[high[at]] << 12 | np.where(low[at] > high[at], value[low[at]], 0)
    return t, x, value[row[at]] & 0x7FF, value[source] >> 11


def _last(here: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each word the index of the last one up to it that is marked, -1 where none is."""
    return np.maximum.accumulate(np.where(here, np.arange(len(here)), -1))


def _sensor_size(header: bytes) -> tuple[int, int] | None:
    """(H, W), as "geometry 640x480" or as "width=640;height=480"."""
    if match := re.search(rb"geometry (\d{1,9})\d*x(\d{1,9})", header):
        return int(match[2]), int(match[1])
    width, height = (re.search(rb"%s=(\d{1,9})" % name, header) for name in (b"width", b"height"))
    return (int(height[1]), int(width[1])) if width and height else None
