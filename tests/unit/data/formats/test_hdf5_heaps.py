"""HDF5's heaps: damaged ones are refused before HDF5 walks them, for it would never come back."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from tempreg.data.errors import DataError
from tempreg.data.formats.hdf5_heaps import damaged_heaps
from tempreg.data.formats.recordings import read_recording
from tempreg.data.formats.spoken import read_spoken

h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install tempreg[events]")

from tests.unit.data.formats.test_hdf5_links import spoken  # noqa: E402


def objects(content: bytes) -> list[int]:
    """Where objects of the file's heaps begin, the free space at their ends among them."""
    found, heap = [], content.find(b"GCOL")
    while heap >= 0:
        at, end = heap + 16, heap + struct.unpack_from("<Q", content, heap + 8)[0]
        while at + 16 <= end:
            found.append(at)
            index, length = struct.unpack_from("<H6xQ", content, at)
            at += length if index == 0 else 16 + (length + 7) // 8 * 8
        heap = content.find(b"GCOL", heap + 1)
    return found


@pytest.mark.parametrize("size", [0, 2**64 - 16, 2**64 - 32, 10**6])
def test_objects_of_no_possible_size(tmp_path: Path, size: int) -> None:
    file = tmp_path / "a.h5"
    spoken(file)
    read_spoken(file)
    content = file.read_bytes()
    places = objects(content)
    assert len(places) > 2
    for place in (places[0], places[-1]):
        damaged = bytearray(content)
        damaged[place : place + 2] = b"\0\0" if size == 0 else damaged[place : place + 2]
        damaged[place + 8 : place + 16] = size.to_bytes(8, "little")
        file.write_bytes(damaged)
        with pytest.raises(DataError, match="is cut short, or has an object of no possible size"):
            read_spoken(file)


def test_a_recording_whose_columns_lie_in_a_heap(tmp_path: Path) -> None:
    file = tmp_path / "a.h5"
    with h5py.File(file, "w") as held:
        for name in "txyp":
            held.create_dataset(f"events/{name}", (3,), h5py.vlen_dtype("u1"))[0] = [1]
    with pytest.raises(DataError, match=r"a\.h5"):
        read_recording(file)
    content = bytearray(file.read_bytes())
    place = objects(content)[0]
    content[place : place + 16] = bytes(16)
    file.write_bytes(content)
    with pytest.raises(DataError, match="is cut short, or has an object of no possible size"):
        read_recording(file)


def test_many_heaps_of_any_content_are_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        rows = file.create_dataset("rows", (300,), h5py.vlen_dtype("u1"))
        for i, length in enumerate(rng.integers(0, 500, 300)):
            rows[i] = rng.integers(0, 256, length)
        rows[7] = rows[8]  # which leaves room free
        file["text"] = ["GCOL", "", "\N{SNOWMAN}" * 5000]
    with h5py.File(tmp_path / "a.h5") as file:
        assert damaged_heaps(file) is None
    assert len(objects((tmp_path / "a.h5").read_bytes())) > 300


def test_a_named_type_is_no_data_set(tmp_path: Path) -> None:
    file = tmp_path / "a.h5"
    spoken(file)
    with h5py.File(file, "r+") as held:
        del held["labels"]
        held["labels"] = np.dtype("i8")
    with pytest.raises(DataError, match="has no whole numbers labels"):
        read_spoken(file)
