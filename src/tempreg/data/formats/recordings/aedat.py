"""AEDAT 1, 2 and 3.1, as jAER and cAER wrote them (docs.inivation.com, AEDAT file formats)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings.aedat4 import read_aedat4
from tempreg.data.formats.recordings.headers import header_lines
from tempreg.data.formats.recordings.packets import read_packets
from tempreg.data.formats.recordings.recording import Recording, checked

_CHIPS = ("dvs128", "tmpdiff128")
"""Names that jAER has for the DVS128."""


def read_aedat(path: Path) -> Recording:
    """A .aedat file of any version that is read; without a header it is of version 1.0."""
    raw = path.read_bytes()
    start, version, chip = 0, None, ""
    for line, end in header_lines(path, raw, b"#"):
        start = end
        if line.startswith("!AER-DAT"):
            version = line[8:]
        elif line.lower().startswith("aechip:"):
            chip = line[7:].strip().rpartition(".")[2]
        elif line.lower() in ("!end-header", "end of ascii header"):
            break
    if version is None and start == 0:
        try:
            return _dvs128(path, raw, 0, ">u2")
        except DataError as error:
            raise DataError(
                f"{path} is no AEDAT file: it doesn't begin with #!AER-DAT, and as one of version "
                f"1.0, which may have no header, can't be read either: {error}"
            ) from None
    version = version or "1.0"
    if version.startswith("4."):
        return read_aedat4(path)
    if version == "3.1":
        return read_packets(path, raw, start)
    if version == "3.0":
        raise DataError(
            f"{path} is AEDAT 3.0, which counts rows from below: 1, 2, 3.1 and 4 are "
            "read, so convert it"
        )
    if version[:2] not in ("1.", "2."):
        raise DataError(f"{path} is AEDAT {version!r:.20}: versions 1, 2, 3.1 and 4 are read")
    if chip and not any(name in chip.lower() for name in _CHIPS):
        raise DataError(
            f"{path} is a recording of a {chip!r:.40}: of AEDAT 1 and 2 only the DVS128's "
            "addresses are read; convert it to .aedat4, .npz or .csv"
        )
    return _dvs128(path, raw, start, ">u2" if version.startswith("1.") else ">u4")


def _dvs128(path: Path, raw: bytes, start: int, address_type: str) -> Recording:
    """Address and 32-bit microseconds, highest byte first; the address of a DVS128.

    Bit 0 is 0 for ON, bits 1-7 count columns from the right, bits 8-14 rows from below; bit 15
    marks what is no pixel's event. So CIFAR10-DVS's own dat2mat.m reads them too, but for the rows,
    which it counts from below; `read_mat` turns them.
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
