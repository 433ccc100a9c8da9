"""What must hold in a MATLAB 5 file before SciPy reads it.

SciPy takes the type of an element's values as the index of a table; where a damaged file names one
that isn't there, the process dies. The layout: MathWorks, "MAT-File Format", "Level 5". An element
is its type and its length, each of 32 bits, then its content; one of up to 4 bytes may have both in
the first 32 bits, the length in the upper half, and its content in the other 32.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

HEADER_BYTES = 128
_START_BYTES = 1024
"""Of an array: its description and the type of its values stand in them."""
_INT8, _INT32, _UINT32, _ARRAY, _COMPRESSED, _UTF8 = 1, 5, 6, 14, 15, 16
_VALUES = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 12, 13})
"""Types of numbers: whole ones of 8 to 64 bits, floating-point ones of 32 and 64."""
_NUMBERS = range(6, 16)
"""Classes of arrays that hold numbers; others are text, cells, structures, objects, code."""
_OPAQUE = 17
_COMPLEX = 0x800


def numeric_arrays(path: Path) -> list[str] | None:
    """The names of a file's arrays of real numbers, which are safe to read; others are not.

    None for a file of MATLAB 4, which SciPy reads in Python.

    Raises:
        ValueError: no MATLAB file, or one that is damaged or cut short.
        NotImplementedError: a file of MATLAB 7.3.
        zlib.error: damage in what is compressed.
        OSError: it can't be read.
    """
    from scipy.io.matlab import MatReadError, matfile_version

    try:
        version = matfile_version(str(path), appendmat=False)[0]
    except (MatReadError, IndexError):
        raise ValueError("its header is cut short") from None
    if version == 0:
        return None
    if version != 1:
        raise NotImplementedError("MATLAB 7.3")
    names: list[str] = []
    with path.open("rb") as file:
        order = "<" if file.read(HEADER_BYTES)[-2:] == b"IM" else ">"
        while head := file.read(8):
            try:
                kind, length = struct.unpack(f"{order}II", head)
                here = file.tell()
                start = file.read(min(length, _START_BYTES))
                if kind == _COMPRESSED:
                    start = zlib.decompressobj().decompress(start, _START_BYTES)
                    (kind, _), start = struct.unpack(f"{order}II", start[:8]), start[8:]
                name = _numeric(kind, start, order)
            except struct.error:
                raise ValueError(f"it is cut short at byte {file.tell()}") from None
            if name in names:
                raise ValueError(f"it has the array {name} twice")
            if name is not None:
                names.append(name)
            file.seek(here + length)
    return names


def _numeric(kind: int, start: bytes, order: str) -> str | None:
    """The name of an array that holds real numbers, whose content begins with `start`."""
    if kind != _ARRAY:
        raise ValueError(f"it has an element of type {kind} where an array is due")
    flags_kind, flags_length, flags, _ = struct.unpack(f"{order}IIII", start[:16])
    if flags & 0xFF == _OPAQUE:
        return None
    shape_kind, _, place = _element(start, 16, order)
    name_kind, text, place = _element(start, place, order)
    if (
        (flags_kind, flags_length) != (_UINT32, 8)
        or shape_kind not in (_INT32, _UINT32)
        or name_kind not in (_INT8, _UTF8)
    ):
        raise ValueError("the description of an array in it is damaged")
    if flags & 0xFF not in _NUMBERS or flags & _COMPLEX:
        return None
    (first,) = struct.unpack(f"{order}I", start[place : place + 4])
    values = first & 0xFFFF if first >> 16 else first
    if values not in _VALUES:
        raise ValueError(f"an array in it has values of the type {values}, which there isn't")
    return text.decode("latin1")


def _element(start: bytes, place: int, order: str) -> tuple[int, bytes, int]:
    """The type and content of the element at `place`, and where the next one begins."""
    (first,) = struct.unpack(f"{order}I", start[place : place + 4])
    if first >> 16:
        return first & 0xFFFF, start[place + 4 : place + 4 + (first >> 16)], place + 8
    (length,) = struct.unpack(f"{order}I", start[place + 4 : place + 8])
    return first, start[place + 8 : place + 8 + length], place + 8 + -(-length // 8) * 8
