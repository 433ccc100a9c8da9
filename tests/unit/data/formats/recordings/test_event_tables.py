"""Tables and arrays of events as the field's programs store them."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings import hdf5, read_recording
from tests.unit.data.formats.recordings.layouts import same

EVENTS = np.array([[5, 30, 2, 1], [7, 3, 1, 0], [9, 20, 0, 1]])
ROWS = [[str(value) for value in row] for row in EVENTS.tolist()]


def lines(order: str = "txyp", separator: str = ",") -> str:
    places = ["txyp".index(name) for name in order]
    return "".join(separator.join(row[k] for k in places) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("\ufefft,x,y,p\n" + lines(), None),
        ('"t","x","y","p"\n' + lines(), None),
        ('"t","x","y","p"\n' + "".join('"' + '","'.join(row) + '"\n' for row in ROWS), None),
        ("%geometry:64,48\n%columns:x,y,p,t\n" + lines("xypt"), (48, 64)),
        ("% geometry 64x48\n% columns x y p t\n" + lines("xypt"), (48, 64)),
        ("%geometry:64,48\n" + lines("xypt"), (48, 64)),
        (lines("xypt"), None),
        (lines(), None),
        ("t,x@64,y@48,on\r\n" + lines().replace("\n", "\r\n"), (48, 64)),
        ("# t,x,y,p\n" + lines(), None),
        ("# made by a program, in 2024\n# timestamp x y polarity\n" + lines(separator=" "), None),
        (",t,x,y,on\n0,5,30,2,True\n1,7,3,1,False\n2,9,20,0,True\n", None),
        ("timestamp, x, y, polarity\n" + lines(separator=", "), None),
        ("t;x;y;p\n" + lines(separator=";"), None),
        ("t\tx\ty\tp\n" + lines(separator="\t"), None),
        ("label,t,x,y,p\n" + "".join(f"hand,{','.join(row)}\n" for row in ROWS), None),
        ("\n\nt,x,y,p\n\n" + lines() + "\n", None),
    ],
)
def test_lines_of_text(tmp_path: Path, text: str, size: tuple[int, int] | None) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    found = read_recording(path)
    assert same(found, EVENTS)
    assert found.sensor_size == size


def test_columns_without_names(tmp_path: Path) -> None:
    """x, y, p, t only where nothing else can be; else the order that is documented."""
    path = tmp_path / "a.csv"
    path.write_text("1,1,1,5\n2,1,1,2\n")
    with pytest.raises(DataError, match=r"event 0 has p = 5.*taken for t, x, y, p: name them"):
        read_recording(path)


def test_times_that_float64_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,x,y,p\n1700000000000000001,1,2,1\n1700000000000000003,1,2,0\n")
    assert read_recording(path).t.tolist() == [1700000000000000001, 1700000000000000003]
    path.write_text("t,x,y,p\n0.001,1,2,1\n")
    with pytest.raises(DataError, match="not a whole number: times are microseconds"):
        read_recording(path)


@pytest.mark.parametrize(
    "kind",
    [
        [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")],  # faery, aedat
        [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("is_increase", "?")],  # Event Stream
        [("timestamp", "<i8"), ("x", "<i2"), ("y", "<i2"), ("polarity", "i1")],  # dv-processing
        [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")],  # tonic
        [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")],  # Metavision
    ],
)
def test_structured_arrays(tmp_path: Path, kind: list[tuple[object, str]]) -> None:
    dtype = np.dtype(kind)
    held = np.empty(len(EVENTS), dtype)
    for name in dtype.names or ():
        column = {"t": 0, "timestamp": 0, "x": 1, "y": 2}.get(name, 3)
        held[name] = EVENTS[:, column]
    np.save(tmp_path / "a.npy", held)
    assert same(read_recording(tmp_path / "a.npy"), EVENTS)
    np.savez(tmp_path / "a.npz", held)
    assert same(read_recording(tmp_path / "a.npz"), EVENTS)


def test_metavision_and_other_names_in_hdf5(tmp_path: Path) -> None:
    kind = [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")]
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["CD/events"] = np.array([(x, y, p, t) for t, x, y, p in EVENTS.tolist()], kind)
        file["CD/indexes"] = np.arange(3)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for name, values in zip(("ts", "xs", "ys", "ps"), EVENTS.T, strict=True):
            file[f"events/{name}"] = values
    for path in tmp_path.iterdir():
        assert same(read_recording(path), EVENTS)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["davis/left/events"] = EVENTS
    with pytest.raises(DataError, match=r"in CD/events\): it holds davis/left/events$"):
        read_recording(tmp_path / "c.h5")


def compressed(path: Path, code: int) -> None:
    """A data set that claims to be compressed by a filter which isn't there."""
    with h5py.File(path, "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((3, 4))
        plan.set_filter(code, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((3, 4))
        held = h5py.h5d.create(file.id, b"events", h5py.h5t.NATIVE_INT64, space, plan)
        held.write_direct_chunk((0, 0), EVENTS.astype("<i8").tobytes(), 0)


@pytest.mark.parametrize(
    ("code", "advice"),
    [(32001, "pip install hdf5plugin"), (32015, "hdf5plugin"), (36559, "metavision_file_to_csv")],
)
def test_a_filter_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str
) -> None:
    compressed(tmp_path / "a.h5", code)
    monkeypatch.setattr(hdf5.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=rf"compressed by .* filter {code}\).* {advice}") as caught:
        read_recording(tmp_path / "a.h5")
    assert "no HDF5" not in str(caught.value)


def test_hdf5plugin_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hdf5plugin.py").write_text("asked = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "hdf5plugin", raising=False)
    compressed(tmp_path / "a.h5", 32001)
    with pytest.raises(DataError, match="filter 32001"):
        read_recording(tmp_path / "a.h5")
    assert sys.modules.pop("hdf5plugin").asked


def test_matlab_structures_are_named(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"TD": {"x": EVENTS[:, 1], "ts": EVENTS[:, 0]}})
    with pytest.raises(DataError, match=r"holds TD \(struct\), but events are read from arrays"):
        read_recording(tmp_path / "a.mat")
