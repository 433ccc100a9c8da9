"""Heaps of an HDF5 file: where text and rows of any length lie.

HDF5 (seen with 2.0.0) goes from one object of a heap to the next by their sizes, and where a
damaged one has none it stays there for ever, in a call that nothing ends. The layout is that of
section III.E, Global Heap, of the HDF5 File Format Specification.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_HEAP: Final = b"GCOL\1\0\0\0"
_HEADER, _OBJECT = struct.Struct("<8xQ"), struct.Struct("<H6xQ")
"""The size of a heap; an object's index, 0 of what is free, and its size."""


def damaged_heaps(file: Any) -> str | None:
    """What is wrong with an open `h5py.File`'s heaps, as a sentence; None where they are whole."""
    if file.id.get_create_plist().get_sizes()[1] != 8:  # bytes of a size; nobody writes others
        return None
    with Path(file.filename).open("rb") as opened:
        content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    with content:
        bad = next((place for place in _heaps(content) if not _ends(content, place)), None)
    return (
        None
        if bad is None
        else (f"the heap at byte {bad:,} is cut short, or has an object of no possible size")
    )


def _heaps(content: mmap.mmap) -> Iterator[int]:
    place = content.find(_HEAP)
    while place >= 0:
        yield place
        place = content.find(_HEAP, place + 1)


def _ends(content: mmap.mmap, place: int) -> bool:
    """Whether the objects of a heap come to its end."""
    if place + _HEADER.size > len(content):
        return False
    (size,) = _HEADER.unpack_from(content, place)
    end, at = place + size, place + _HEADER.size
    if end > len(content):
        return False
    while at + _OBJECT.size <= end:
        index, length = _OBJECT.unpack_from(content, at)
        step = length if index == 0 else _OBJECT.size + -(-length // 8) * 8
        if step == 0 or at + step > end:
            return False
        at += step
    return True
