"""HDF5 files of strangers that show what stands in other files: none of those is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings.hdf5 import read_h5
from tempreg.data.formats.spoken import read_spoken

h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install tempreg[events]")

from tests.linked_hdf5 import LINKINGS, Linking, show  # noqa: E402

linkings = pytest.mark.parametrize("linking", LINKINGS.values(), ids=LINKINGS.keys())


def recording(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, values in {
            "t": [1, 2, 3],
            "x": [0, 1, 2],
            "y": [0, 0, 1],
            "p": [1, 0, 1],
        }.items():
            file[f"events/{name}"] = np.array(values)


def spoken(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["labels"] = np.array([1, 0])
        for name, kind in (("times", "f4"), ("units", "u2")):
            rows = file.create_dataset(f"spikes/{name}", (2,), h5py.vlen_dtype(kind))
            rows[0], rows[1] = [0, 1], [1]


READERS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object], str]] = {
    "a recording": (recording, read_h5, "events/x"),
    "utterances": (spoken, read_spoken, "labels"),
}
readers = pytest.mark.parametrize(("make", "read", "name"), READERS.values(), ids=READERS.keys())


@linkings
@readers
def test_another_files_numbers_are_not_read(
    tmp_path: Path,
    linking: Linking,
    make: Callable[[Path], None],
    read: Callable[[Path], object],
    name: str,
) -> None:
    file = tmp_path / "a.h5"
    make(file)
    read(file)
    show(file, name, linking, other=tmp_path / "secret.h5")
    with pytest.raises(DataError, match=r"(in|into) another file, .*secret\.h5: only"):
        read(file)


@readers
def test_links_within_a_file_are_read(
    tmp_path: Path, make: Callable[[Path], None], read: Callable[[Path], object], name: str
) -> None:
    file = tmp_path / "a.h5"
    make(file)
    with h5py.File(file, "r+") as held:
        held.move(name, "moved")
        held[name] = h5py.SoftLink("/moved")
        held["moved_too"] = held["moved"]
        held["around"] = held["/"]
        layout = h5py.VirtualLayout(held["moved"].shape, held["moved"].dtype)
        layout[...] = h5py.VirtualSource(held["moved"])
        held.create_virtual_dataset("view", layout)
    read(file)


def test_a_link_to_what_never_ends_is_not_followed(tmp_path: Path) -> None:
    """A named pipe would be waited for until somebody writes into it."""
    file = tmp_path / "a.h5"
    recording(file)
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(file, "r+") as held:
        del held["events/x"]
        held["events/x"] = h5py.ExternalLink("pipe", "x")
    with pytest.raises(DataError, match="/events/x is a link into another file, pipe"):
        read_h5(file)


def test_an_index_that_leads_in_a_circle_is_not_walked(tmp_path: Path) -> None:
    """Nodes of a group's B-tree whose next one is themselves (version 1, at byte 16 of each)."""
    file = tmp_path / "a.h5"
    recording(file)
    content = bytearray(file.read_bytes())
    places = [found.start() for found in re.finditer(b"TREE", content)]
    assert places
    for place in places:
        content[place + 16 : place + 24] = place.to_bytes(8, "little")
    file.write_bytes(content)
    assert read_h5(file).t.tolist() == [1, 2, 3]


@readers
def test_names_that_are_no_text(
    tmp_path: Path, make: Callable[[Path], None], read: Callable[[Path], object], name: str
) -> None:
    file = tmp_path / "a.h5"
    make(file)
    with h5py.File(file, "r+") as held:
        held.id.links.create_soft(b"\xf4\xff", b"/")
    with pytest.raises(DataError, match="a damaged one: 'utf-8' codec can't decode"):
        read(file)


def test_a_file_of_something_else_says_what_it_has(tmp_path: Path) -> None:
    file = tmp_path / "a.h5"
    with h5py.File(file, "w") as held:
        held["deep/down/weights"] = np.arange(3)
        held["deep/up"] = held["/"]
    with pytest.raises(DataError, match=r"it holds deep/down/weights$"):
        read_h5(file)
