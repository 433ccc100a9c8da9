"""Events as data sets of an HDF5 file."""

from __future__ import annotations

import importlib
import importlib.util
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempreg.data.errors import DataError
from tempreg.data.formats.hdf5_heaps import damaged_heaps
from tempreg.data.formats.hdf5_links import DAMAGED, data_sets, elsewhere
from tempreg.data.formats.recordings.arrays import chosen, from_array, from_columns
from tempreg.data.formats.recordings.recording import MOST_BYTES, Recording
from tempreg.errors import to_install

_PLACES = ("events", "CD/events")
"""Of a data set or a group of them; the second is Metavision's."""
_ECF = 36559
_NAMED = 20


def read_h5(path: Path) -> Recording:
    """Data sets t, x, y, p in the group events or at the root, or one structured data set `events`.

    Metavision's CD/events is read as well. What a plugin of hdf5plugin compressed is read where
    that is installed.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise DataError(f"{path} needs h5py: {to_install('events')}") from None
    try:
        file = h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path} is no HDF5 file, or a damaged one: {error}") from None
    with file:
        try:
            if told := elsewhere(file):
                raise DataError(f"{path}: {told}")
            return _recording(path, file, h5py)
        except DAMAGED as error:
            raise DataError(f"{path} is an HDF5 file, but a damaged one: {error}") from None


def _recording(path: Path, file: Any, h5py: Any) -> Recording:
    held = next((file[place] for place in _PLACES if place in file), file)
    if isinstance(held, h5py.Dataset):
        return from_array(path, _values(path, held, h5py))
    columns = {name: each for name, each in held.items() if isinstance(each, h5py.Dataset)}
    if not columns:
        raise DataError(
            f"{path} has no data set t, x, y, p or events where they are looked for (at its root, "
            f"in events and in CD/events): it holds {_content(file)}"
        )
    names = chosen(path, columns)
    whole = sum(_bytes(columns[name]) for name in names.values())
    if whole > MOST_BYTES:
        raise DataError(f"{path}: its columns declare {whole:,} bytes, more than can be read")
    return from_columns(path, {k: _values(path, columns[name], h5py) for k, name in names.items()})


def _content(file: Any) -> str:
    """The names of some data sets."""
    found = [*islice(data_sets(file), _NAMED + 1)]
    more = ", ..." if len(found) > _NAMED else ""
    return (", ".join(found[:_NAMED]) or "no data sets") + more


def _bytes(held: Any) -> int:
    """What a data set's values take, as it declares them; one without any declares none."""
    return (held.size or 0) * int(held.dtype.itemsize)


def _values(path: Path, held: Any, h5py: Any) -> NDArray[Any]:
    if held.size is None or _bytes(held) > MOST_BYTES:
        raise DataError(f"{path}, {held.name}: declares {held.size} values, more than can be read")
    if held.dtype.hasobject and (damaged := damaged_heaps(held.file)):
        raise DataError(f"{path} is an HDF5 file, but a damaged one: {damaged}")
    try:
        return np.asarray(held[()])
    except OSError:
        if not _missing(held, h5py):
            raise
    if importlib.util.find_spec("hdf5plugin") is not None:
        importlib.import_module("hdf5plugin")  # which makes its filters known to HDF5
    if missing := _missing(held, h5py):
        code, name = missing[0]
        advice = (
            "it is Metavision's own: convert the file with metavision_file_to_csv"
            if code == _ECF
            else "pip install hdf5plugin"
        )
        raise DataError(
            f"{path}, {held.name}: is compressed by {name or 'a filter'} (HDF5's filter {code}), "
            f"which isn't installed: {advice}"
        )
    return np.asarray(held[()])


def _missing(held: Any, h5py: Any) -> list[tuple[int, str]]:
    """Number and name of the filters that a data set needs and aren't there."""
    plan = held.id.get_create_plist()
    filters = [plan.get_filter(index) for index in range(plan.get_nfilters())]
    return [
        (code, name.decode("ascii", "replace").partition(";")[0])
        for code, _, _, name in filters
        if not h5py.h5z.filter_avail(code)
    ]
