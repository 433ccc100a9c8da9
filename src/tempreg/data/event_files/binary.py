"""Events in words of fixed length: the 40-bit files of N-MNIST, and Prophesee's .dat."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tempreg.data.event_files.recording import Columns, Recording, checked
from tempreg.data.source import DataError


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
    # Text in 7-bit letters has no ON event, and blanks, tabs and ends of lines.
    if raw and raw.isascii() and raw.decode("ascii").replace("\n", "").isprintable():
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
    """Prophesee's .dat, version 2: lines with %, event type and size, then 8 bytes an event.

    An event is 32 bits microseconds and 14 bits x, 14 bits y, 4 bits polarity, least first.
    """
    raw = path.read_bytes()
    start, size = 0, {}
    while raw[start : start + 1] == b"%":
        end = raw.find(b"\n", start)
        if end < 0:
            raise DataError(f"{path} ends within its header: it is truncated")
        words = raw[start + 1 : end].split()
        if len(words) == 2 and words[0] in (b"Height", b"Width") and words[1].isdigit():
            size[words[0]] = int(words[1][:9])
        start = end + 1
    if start == 0:
        raise DataError(f"{path} is no Prophesee .dat: it doesn't begin with %")
    if len(raw) < start + 2 or raw[start + 1] != 8:
        raise DataError(f"{path}, byte {start}: not events of 8 bytes, as version 2 has them")
    if (len(raw) - start - 2) % 8:
        raise DataError(f"{path} ends within an event of 8 bytes: it is truncated")
    events = np.frombuffer(raw, "<u4", offset=start + 2).reshape(-1, 2)
    t, word = events[:, 0], events[:, 1]
    sensor = (size[b"Height"], size[b"Width"]) if len(size) == 2 else None
    return checked(path, t, word & 0x3FFF, word >> 14 & 0x3FFF, word >> 28, sensor, 32)
