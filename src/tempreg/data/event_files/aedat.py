"""AEDAT 1, 2 and 3.1, as jAER and cAER wrote them (docs.inivation.com, AEDAT file formats)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from tempreg.data.event_files.recording import Recording, checked
from tempreg.data.source import DataError

_POLARITY, _PACKET = 1, struct.Struct("<HHIIIIII")


def read_aedat(path: Path) -> Recording:
    """A .aedat file of any of the three versions."""
    raw = path.read_bytes()
    if not raw.startswith(b"#"):
        raise DataError(f"{path} is no AEDAT file: it doesn't begin with #!AER-DAT")
    start, version = 0, "1.0"
    while raw[start : start + 1] == b"#":
        end = raw.find(b"\n", start)
        if end < 0:
            raise DataError(f"{path} ends within its header: it is truncated")
        line, start = raw[start:end].strip(), end + 1
        if line.startswith(b"#!AER-DAT"):
            version = line[9:].decode("ascii", "replace")
        if line == b"#!END-HEADER":
            break
    if version.startswith("3."):
        return _version_3(path, raw, start)
    if version[:2] in ("1.", "2."):
        return _dvs128(path, raw, start, ">u2" if version.startswith("1.") else ">u4")
    raise DataError(f"{path} is AEDAT {version!r}: versions 1, 2 and 3 are read from .aedat")


def _dvs128(path: Path, raw: bytes, start: int, address_type: str) -> Recording:
    """Address and 32-bit microseconds, highest byte first; the address of a DVS128.

    Bit 0 is 0 for ON, bits 1-7 count columns from the right, bits 8-14 rows from below; bit 15
    marks what is no pixel's event. So CIFAR10-DVS's own dat2mat.m reads them too, but for the rows,
    which it leaves upside down.
    """
    dtype = np.dtype([("address", address_type), ("t", ">u4")])
    if (len(raw) - start) % dtype.itemsize:
        raise DataError(f"{path} ends within an event of {dtype.itemsize} bytes: it is truncated")
    events = np.frombuffer(raw, dtype, offset=start)
    address = events["address"].astype(np.int64)
    if (address > 0xFFFF).any():
        event = int(np.argmax(address > 0xFFFF))
        raise DataError(
            f"{path}: event {event} has the address {address[event]:#x}, which no DVS128 has: of "
            "AEDAT 1 and 2 only recordings of that camera are read; convert it to .npz or .csv"
        )
    pixel = address < 0x8000
    address, t = address[pixel], events["t"][pixel]
    x, y = 127 - (address >> 1 & 127), 127 - (address >> 8 & 127)
    return checked(path, t, x, y, 1 - (address & 1), (128, 128), 32)


def _version_3(path: Path, raw: bytes, start: int) -> Recording:
    """Packets of a header of 28 bytes and `capacity` events; polarity events are 8 bytes."""
    words, times = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    while start < len(raw):
        if len(raw) - start < _PACKET.size:
            raise DataError(f"{path}, byte {start}: ends within a packet's header: truncated")
        kind, _, size, _, overflow, capacity, number, _ = _PACKET.unpack_from(raw, start)
        body, start = start + _PACKET.size, start + _PACKET.size + size * capacity
        if start > len(raw):
            raise DataError(
                f"{path}, byte {body}: a packet declares {capacity} events of {size} bytes, more "
                "than the file holds: it is truncated or damaged"
            )
        if kind != _POLARITY:
            continue
        if size != 8 or number > capacity:
            raise DataError(f"{path}, byte {body}: a polarity packet that is damaged")
        events = np.frombuffer(raw, "<u4", 2 * number, body).reshape(-1, 2).astype(np.int64)
        events = events[events[:, 0] & 1 == 1]
        words.append(events[:, 0])
        times.append(events[:, 1] + (overflow << 31))
    word = np.concatenate(words)
    return checked(path, np.concatenate(times), word >> 17, word >> 2 & 0x7FFF, word >> 1 & 1)
