"""Damage in MATLAB files that SciPy would not survive."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tempreg.data import DataError
from tempreg.data.formats.mat import numeric_arrays
from tempreg.data.formats.recordings import read_recording

ARRAYS = {
    "X": np.zeros((4, 4, 3, 5), np.uint8), "long_name": np.ones((5, 1)), "z": np.ones(3) * 1j,
    "text": "words", "cell": np.array([1, "a"], dtype=object), "held": {"a": 1},
}  # fmt: skip


def content(arrays: dict, **options: object) -> bytes:
    file = io.BytesIO()
    savemat(file, arrays, **options)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [True, False])
def test_arrays_of_real_numbers_are_named(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(content(ARRAYS, do_compression=compressed))
    assert numeric_arrays(path) == ["X", "long_name"]
    path.write_bytes(content({"x": np.ones(3)}, format="4"))
    assert numeric_arrays(path) is None


def test_numbers_of_every_width_are_read(tmp_path: Path) -> None:
    kinds = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    kinds += ["float32", "float64"]
    held = {f"a_{kind}": np.arange(-3 if kind[0] != "u" else 0, 5).astype(kind) for kind in kinds}
    path = tmp_path / "a.mat"
    path.write_bytes(content(held))
    assert sorted(numeric_arrays(path) or []) == sorted(held)


@pytest.mark.parametrize("end", [1, 3, 4, 100, 125, 130, 150, 200])
def test_cut_short(tmp_path: Path, end: int) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(content({"out": np.ones((50, 4))})[:end])
    with pytest.raises(DataError, match=r"a\.mat is no MATLAB file, or a damaged one"):
        read_recording(path)


def test_any_damaged_byte_is_survived(tmp_path: Path) -> None:
    """In a process of its own: without the check, SciPy ends it by signal 11 for some of them."""
    whole = content({"X": ARRAYS["X"], "y": np.ones((5, 1), np.uint8)})
    (tmp_path / "whole.mat").write_bytes(whole)
    script = """
import sys
from pathlib import Path
from tempreg.data.errors import DataError
from tempreg.data.sources.svhn import read_svhn
whole, path, refused = Path("whole.mat").read_bytes(), Path("a.mat"), 0
for place in [*range(124, 192), *range(432, len(whole))]:
    for value in (0, 1, 7, 127, 128, 255):
        path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        try:
            read_svhn(path)
        except DataError as error:
            assert "a.mat" in str(error)
            refused += 1
print(refused)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert int(done.stdout) > 300


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", [0, 8, 10, 11, 14, 127, 0xFFFF])
def test_unknown_types_of_values(tmp_path: Path, kind: int, compressed: bool) -> None:
    whole = bytearray(content({"out": np.ones((50, 4))}))
    place = 128 + 8 + 16 + 16 + 8  # after the tag, the flags, the shape and a short name
    assert whole[place] == 9
    whole[place : place + 4] = kind.to_bytes(4, "little")
    if compressed:
        packed = zlib.compress(whole[128:])
        whole[128:] = b"\x0f\0\0\0" + len(packed).to_bytes(4, "little") + packed
    path = tmp_path / "a.mat"
    path.write_bytes(whole)
    with pytest.raises(DataError, match=rf"a\.mat.* values of the type {kind}, which there isn't"):
        read_recording(path)
