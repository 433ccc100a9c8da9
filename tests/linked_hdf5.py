"""HDF5 files in which a data set shows what stands in another file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Linking = Callable[[Any, str, Path], None]


def _link(file: Any, name: str, other: Path) -> None:
    file[name] = h5py.ExternalLink(str(other), "values")


def _link_further_up(file: Any, name: str, other: Path) -> None:
    file["up"] = h5py.ExternalLink(str(other), "/")
    file[name] = h5py.SoftLink("/up/values")


def _raw(file: Any, name: str, other: Path) -> None:
    with h5py.File(other) as read:
        values = read["values"]
        shape, kind, place = values.shape, values.dtype, values.id.get_offset()
        size = values.id.get_storage_size()
    file.create_dataset(name, shape, kind, external=[(str(other), place, size)])


def _view(file: Any, name: str, other: Path) -> None:
    with h5py.File(other) as read:
        shape, kind = read["values"].shape, read["values"].dtype
    layout = h5py.VirtualLayout(shape, kind)
    layout[...] = h5py.VirtualSource(str(other), "values", shape=shape)
    file.create_virtual_dataset(name, layout)


LINKINGS: dict[str, Linking] = {
    "a link": _link,
    "a link further up": _link_further_up,
    "raw bytes": _raw,
    "a view": _view,
}
"""Ways to put the data set `values` of another file into a file, under a name."""


def show(path: Path, name: str, linking: Linking, *, other: Path) -> None:
    """Move a data set into the file `other`, and show it in `path` as if it were there still."""
    with h5py.File(path, "r+") as file:
        values = np.asarray(file[name][()])
        del file[name]
        with h5py.File(other, "w") as written:
            written["values"] = values
        linking(file, name, other)
        assert np.array_equal(file[name][()], values), "HDF5 itself reads the other file"
