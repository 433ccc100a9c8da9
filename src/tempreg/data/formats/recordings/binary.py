"""Events in words of fixed length: the 40-bit files of N-MNIST, and Prophesee's .dat."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings.headers import header_lines
from tempreg.data.formats.recordings.recording import Columns, Recording, checked

_TEXT = 20
"""Bytes of which one in a billion files of events looks like a text."""
_DAT_EVENTS = (0, 12)
"""Types in a .dat file: Event2D and EventCD, which are laid out alike."""


def read_40_bit(path: Path) -> Recording:
    """8 bits x, 8 bits y, 1 bit polarity, 23 bits microseconds, the highest byte first.

    The layout of N-MNIST and N-Caltech101 (Orchard et al. 2015). As in their authors' reader
    (github.com/gorchard/event-Python), y = 240 is no event: from there on 2^13 us are added.
    """
    raw = bytes_40_bit(path)
    words = np.frombuffer(raw, np.uint8).reshape(-1, 5)
    low = words[:, 2:].astype(np.int64)
    t = (low[:, 0] & 127) << 16 | low[:, 1] << 8 | low[:, 2]
    overflow = words[:, 1] == 240
    if not overflow.any():
        return checked(path, t, words[:, 0], words[:, 1], words[:, 2] >> 7, counter_bits=23)
    t = (t + np.cumsum(overflow) * 2**13)[~overflow]
    words = words[~overflow]
    return checked(path, t, words[:, 0], words[:, 1], words[:, 2] >> 7)


def bytes_40_bit(path: Path) -> bytes:
    """What such a file holds; DataError where it can't be one."""
    with path.open("rb", buffering=0) as file:
        raw = file.read()
    if len(raw) % 5:
        raise DataError(
            f"{path} has {len(raw)} bytes, which is no multiple of 5, the bytes of an event: it is "
            "truncated or no 40-bit recording"
        )
    # Text in 7-bit letters has no ON event, and blanks, tabs and ends of lines. A few
    # events may look like it.
    if len(raw) >= _TEXT and raw.isascii() and raw.decode("ascii").replace("\n", "").isprintable():
        raise DataError(f"{path} is a text, not a 40-bit recording")
    if not raw:
        raise DataError(f"{path} is empty")
    return raw


def decoded_40_bit(raw: bytes) -> Columns | None:
    """Events t, x, y, p of many such files, one after another, in small types; fast.

    None where a word is no event: then each file must be read by itself.
    """
    words = np.frombuffer(raw, np.uint8).reshape(-1, 5)
    y = words[:, 1].copy()
    if (y == 240).any():
        return None
    t = np.ndarray(len(words), ">u4", raw, offset=1, strides=5).astype(np.int32)
    t &= 0x7FFFFF
    return t, words[:, 0].copy(), y, words[:, 2] >> 7


def read_dat(path: Path) -> Recording:
    """Prophesee's .dat: lines with %, event type and size, then 8 bytes an event, least first.

    An event is 32 bits microseconds and 14 bits x, 14 bits y, 4 bits polarity; in version 1 9 bits
    x, 8 bits y, 4 bits polarity. A line "% T0 1000", as faery writes it, is added to all times.
    """
    raw = path.read_bytes()
    start, fields = 0, {"version": "2"}
    for line, end in header_lines(path, raw, b"%"):
        start = end
        key, _, value = line.lower().partition(" ")
        fields[key] = value.strip()
    if start == 0:
        hint = ": jAER's recordings are read as .aedat" if raw.startswith(b"#!AER-DAT") else ""
        raise DataError(f"{path} is no Prophesee .dat: it doesn't begin with %{hint}")
    version = fields["version"].removesuffix(".0")
    if version not in ("1", "2"):
        raise DataError(f"{path} is .dat version {version!r:.20}: versions 1 and 2 are read")
    if len(raw) < start + 2 or raw[start + 1] != 8:
        raise DataError(f"{path}, byte {start}: not events of 8 bytes, as .dat has them")
    if raw[start] not in _DAT_EVENTS:
        raise DataError(
            f"{path} holds events of type {raw[start]}, external triggers for instance: those of "
            "pixels, types 0 and 12, are read"
        )
    if (len(raw) - start - 2) % 8:
        raise DataError(f"{path} ends within an event of 8 bytes: it is truncated")
    events = np.frombuffer(raw, "<u4", offset=start + 2).reshape(-1, 2)
    t, word = events[:, 0].astype(np.int64), events[:, 1]
    height, width, begin = (_number(fields.get(name)) for name in ("height", "width", "t0"))
    sensor = (height, width) if height is not None and width is not None else None
    if version == "1":
        x, y, p = word & 0x1FF, word >> 9 & 0xFF, word >> 17 & 0xF
    else:
        x, y, p = word & 0x3FFF, word >> 14 & 0x3FFF, word >> 28
    return checked(path, t, x, y, p, sensor, 32, begin or 0)


def _number(text: str | None) -> int | None:
    """Of digits, as many as can be; None for anything else."""
    return int(text[:18]) if text and text.isascii() and text.isdigit() else None
