"""NIR files from strangers: nothing else is read, nothing is run, and a sentence says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

nir = pytest.importorskip("nir", reason="nir is not installed: pip install tempreg[nir]")

import h5py  # noqa: E402

from tempreg.cli.main import main  # noqa: E402
from tempreg.interop.nir_graphs import FromNIR, NIRError  # noqa: E402
from tests.linked_hdf5 import LINKINGS, Linking, show  # noqa: E402
from tests.unit.interop.test_nir_graphs import affine, graph_of, lif  # noqa: E402

NODE = "node/nodes/n0"
WEIGHT = f"{NODE}/weight"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small graph's file, in the current folder."""
    monkeypatch.chdir(tmp_path)
    nir.write(tmp_path / "net.nir", graph_of(affine(), lif()))
    return tmp_path / "net.nir"


@pytest.mark.parametrize("linking", LINKINGS.values(), ids=LINKINGS.keys())
def test_another_files_numbers_are_no_weights(file: Path, linking: Linking) -> None:
    show(file, WEIGHT, linking, other=file.parent / "secret.h5")
    assert nir.read(file).nodes["n0"].weight.shape == (2, 3), "nir itself reads the other file"
    with pytest.raises(NIRError, match=r"(in|into) another file, .*secret\.h5: only"):
        FromNIR(file)


def test_bytes_of_any_file_are_no_weights(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else they would be in what is exported of the network."""
    (file.parent / "private").write_bytes(b"secret")
    with h5py.File(file, "r+") as held:
        del held[WEIGHT]
        held.create_dataset(WEIGHT, (2, 3), "u1", external=[("private", 0, 6)])
    assert main(["import", str(file), "nmnist-trt", "--out", "mine.yaml"]) == 2
    assert "has its numbers in another file, private: only" in capsys.readouterr().err
    assert not Path("mine.yaml").exists()


def put(name: str, value: Any) -> Callable[[Any], None]:
    """Something else under a name."""

    def change(held: Any) -> None:
        if name in held:
            del held[name]
        held[name] = value

    return change


def _references(held: Any) -> None:
    held["hidden"] = np.ones((2, 3))
    both = np.array([held["hidden"].ref] * 2, dtype=h5py.ref_dtype)
    put(WEIGHT, both)(held)


def _regions(held: Any) -> None:
    held["hidden"] = np.ones((2, 3))
    del held[WEIGHT]
    held.create_dataset(WEIGHT, (1,), h5py.regionref_dtype)[0] = held["hidden"].regionref[:1]


def _deep(held: Any) -> None:
    group = held.create_group("node/metadata")
    for _ in range(1000):
        group = group.create_group("a")


def _many_times(held: Any) -> None:
    """A few kB that would be 16 GB, for each link to them is read."""
    held.create_dataset("once", (2**25,), "f8", chunks=(2**20,))
    for index in range(64):
        held[f"node/metadata/{index}"] = held["once"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_references, "n0: it can't be understood|damaged"),
        (_regions, "at least 2D"),
        (put(WEIGHT, h5py.SoftLink("/no/where")), "damaged"),
        (put(WEIGHT, h5py.SoftLink(f"/{WEIGHT}")), "damaged"),
        (put(WEIGHT, np.dtype("f8")), "damaged"),
        (put(WEIGHT, h5py.Empty("f8")), "damaged"),
        (put(WEIGHT, np.zeros((2, 3), [("a", "f8"), ("b", "i4")])), "n0: it can't be understood"),
        (put(f"{NODE}/type", "os.system"), "damaged"),
        (put(f"{NODE}/__class__", "x"), "unexpected keyword argument '__class__'"),
        (put("node/metadata/a", h5py.SoftLink("/node")), "a link in a circle"),
        (lambda held: put("node/nodes/n9", held["node"])(held), "a link in a circle"),
        (_deep, "more than 32 groups in each other"),
        (_many_times, r"declares 17,448,[\d,]+ bytes of numbers"),
    ],
)
def test_odd_contents(file: Path, change: Callable[[Any], None], said: str) -> None:
    with h5py.File(file, "r+") as held:
        change(held)
    with pytest.raises(NIRError, match=said):
        FromNIR(file)


def test_links_within_a_file_are_read(file: Path) -> None:
    with h5py.File(file, "r+") as held:
        held.move(WEIGHT, "moved")
        held[WEIGHT] = h5py.SoftLink("/moved")
    assert next(FromNIR(file).parameters()).shape == (2, 3)


def test_a_heap_that_never_ends_is_refused(file: Path) -> None:
    """Names of edges lie in it; HDF5 itself goes on for ever at an object without a size."""
    content = bytearray(file.read_bytes())
    place = content.find(b"GCOL") + 16
    content[place : place + 16] = bytes(16)
    file.write_bytes(content)
    with pytest.raises(NIRError, match="damaged: the heap at byte"):
        FromNIR(file)
