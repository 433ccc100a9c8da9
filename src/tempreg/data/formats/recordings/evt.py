"""Prophesee's .raw: EVT 2.0, 2.1 and 3.0 (docs.prophesee.ai, encoding formats)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings.headers import header_lines
from tempreg.data.formats.recordings.recording import Columns, Recording, checked, refuse

_VERSIONS = {
    **dict.fromkeys(("2", "2.0", "evt2", "evt2.0"), ("2.0", "<u4")),
    **dict.fromkeys(("2.1", "evt21", "evt2.1"), ("2.1", "<u8")),
    **dict.fromkeys(("3", "3.0", "evt3", "evt3.0"), ("3.0", "<u2")),
}
"""The version and the type of a word, by what stands in a header."""
_KINDS = (0, 1, 8, 10, 14, 15)
"""Of words of EVT 2.1."""
_LARGEST = 2048
"""Rows and columns that 11 bits can name."""


def read_raw(path: Path) -> Recording:
    """EVT 2.0 (words of 32 bits), 2.1 (64) or 3.0 (16), lowest byte first, by the file's header.

    A line "% t0 1000", as faery writes it, is added to all times. What comes before the first time,
    or in EVT 3.0 before the first row, can't be placed and is left out, as a camera that was
    running already sends it.
    """
    raw = path.read_bytes()
    if not raw.startswith(b"% "):
        raise DataError(f"{path} is no .raw recording: it must begin with b'% '")
    start, fields = 0, {}
    for line, end in header_lines(path, raw, b"% "):
        start = end
        key, _, value = line.lower().partition(" ")
        if key == "end":
            break
        fields[key] = value.strip()
    name, *options = fields.get("format", fields.get("evt", "")).split(";")
    if not name:
        raise DataError(
            f"{path}: its header doesn't name an encoding, as '% evt 3.0' or '% format EVT3' would"
        )
    if name not in _VERSIONS:
        raise DataError(f"{path} is encoded as {name!r:.40}: EVT 2.0, 2.1 and 3.0 are read")
    for option in options:
        key, _, value = option.partition("=")
        fields[key.strip()] = value.strip()
    version, word = _VERSIONS[name]
    if (order := fields.get("endianness")) not in (None, "little", "legacy"):
        raise DataError(f"{path} has {order!r:.20} words: ones with the lowest byte first are read")
    if (len(raw) - start) % np.dtype(word).itemsize:
        raise DataError(f"{path} ends within a word of EVT {version}: it is truncated")
    words = np.frombuffer(raw, word, offset=start)
    if version == "2.1":
        words = _upper_half_first(path, words, order)
    t, x, y, p = _DECODERS[version](words)
    refuse(path, x >= _LARGEST, "x", x, f"outside 0 ... {_LARGEST - 1}")
    begin = int(fields["t0"]) if re.fullmatch(r"[0-9]{1,18}", fields.get("t0", "")) else 0
    return checked(path, t, x, y, p, _sensor_size(fields), begin=begin)


def _evt2(words: NDArray[Any]) -> Columns:
    """Kind in bits 28-31: 0 OFF, 1 ON, 8 the upper 28 bits of time; an event has the lower 6."""
    kind, value = words >> 28, (words & 0xFFFFFFF).astype(np.int64)
    high = _unwrapped(value, kind == 8, 28)
    event = (kind <= 1) & (high >= 0)
    value = value[event]
    return high[event] << 6 | value >> 22, value >> 11 & 0x7FF, value & 0x7FF, kind[event]


def _evt21(words: NDArray[Any]) -> Columns:
    """As EVT 2.0 in the upper half, and in the lower which of 32 pixels from x on have an event."""
    upper, mask = words >> 32, (words & 0xFFFFFFFF).astype(np.int64)
    kind = upper >> 28
    event = (kind <= 1) & (np.cumsum(kind == 8) > 0)
    t, x, y, p = _evt2(upper)
    index, bit = np.nonzero(mask[event][:, None] >> np.arange(32) & 1)
    return t[index], x[index] + bit, y[index], p[index]


def _upper_half_first(path: Path, words: NDArray[Any], order: str | None) -> NDArray[Any]:
    """Words of EVT 2.1 as numbers; an IMX636 sends their upper half first ("legacy").

    Headers of old cameras don't say so. Then it is the order in which all words are of known kinds.
    """
    halves = words << 32 | words >> 32
    if order is None:
        fits = [np.isin(each >> 60, _KINDS).all() for each in (words, halves)]
        if fits[0] == fits[1] and (words != halves).any():
            raise DataError(
                f"{path}: its header doesn't say which half of a word of EVT 2.1 comes first, and "
                "the words don't show it: add '% endianness little' or '% endianness legacy'"
            )
        order = "little" if fits[0] else "legacy"
    return halves if order == "legacy" else words


def _evt3(words: NDArray[Any]) -> Columns:
    """Kind in bits 12-15; row, column and time hold until they are sent again.

    Kinds: 0 row, 2 an event's column and polarity, 3 the same for the first of a run, 4 and 5
    which of the next 12 or 8 pixels of the run have an event, 6 and 8 time's lower and upper 12
    bits, where another upper part starts from 0. Rows of kind 1 are those of a sensor's exposure
    measurement, as in the decoder of Prophesee (github.com/prophesee-ai/openeb).
    """
    kind, value = words >> 12, (words & 0xFFF).astype(np.int64)
    length = np.where(kind == 4, 12, np.where(kind == 5, 8, 0))
    before = np.cumsum(length) - length
    row, base, low = _last(kind <= 1), _last(kind == 3), _last(kind == 6)
    high = _unwrapped(value, kind == 8, 12)
    new = _last(np.diff(high, prepend=-1) != 0)
    single = kind == 2
    event = (single | (length > 0)) & (high >= 0) & (row >= 0) & (single | (base >= 0))
    event &= kind[row] == 0
    at = np.flatnonzero(event)
    mask = np.where(single[at], 1, value[at] & ((1 << length[at]) - 1))
    index, bit = np.nonzero(mask[:, None] >> np.arange(12) & 1)
    at = at[index]
    source = np.where(single[at], at, base[at])
    x = (value[source] & 0x7FF) + np.where(single[at], 0, before[at] - before[source]) + bit
    t = high[at] << 12 | np.where(low[at] > new[at], value[low[at]], 0)
    return t, x, value[row[at]] & 0x7FF, value[source] >> 11


def _unwrapped(value: NDArray[np.int64], sent: NDArray[np.bool_], bits: int) -> NDArray[np.int64]:
    """For each word the upper part of time, -1 before the first.

    A step back by at least half its range from one word of kind 8 to the next is a wrap. A camera
    sends them whether it has events or not, so that a wrap shows where no event lies nearby.
    """
    values = value[sent]
    loops = np.cumsum(np.diff(values, prepend=values[:1]) <= -(1 << bits - 1))
    known = np.concatenate([[-1], values + (loops << bits)])
    return known[np.cumsum(sent)]


def _last(here: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each word the index of the last one up to it that is marked, -1 where none is."""
    return np.maximum.accumulate(np.where(here, np.arange(len(here)), -1))


def _sensor_size(fields: dict[str, str]) -> tuple[int, int] | None:
    """(H, W), from "geometry 640x480" or "width=640;height=480"."""
    if match := re.fullmatch(r"(\d{1,9})\d*x(\d{1,9})\d*", fields.get("geometry", "")):
        return int(match[2]), int(match[1])
    width, height = (re.match(r"\d{1,9}", fields.get(name, "")) for name in ("width", "height"))
    return (int(height[0]), int(width[0])) if width and height else None


_DECODERS = {"2.0": _evt2, "2.1": _evt21, "3.0": _evt3}
