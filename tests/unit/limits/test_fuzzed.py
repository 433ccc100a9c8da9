"""What fuzzing found, and a short round of it over every reader (see tests/fuzz)."""

from __future__ import annotations

import io
import re
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tempreg.data.errors import DataError
from tempreg.data.formats.images import decoded
from tempreg.data.formats.npy import Header
from tempreg.data.formats.pickle import read_pickle
from tempreg.data.formats.recordings import read_recording
from tempreg.errors import MOST_CHARACTERS, one_line
from tests.conftest import CommandLine
from tests.fuzz.steps import Corpus
from tests.fuzz.targets import targets
from tests.fuzz.trial import tried

QUICK = [name for name in targets() if not re.search(r"json of a run|of a study|aedat4", name)]


@pytest.mark.parametrize("name", QUICK)
def test_every_reader_reads_or_refuses(name: str, tmp_path: Path) -> None:
    found = tried(targets()[name], tmp_path / "work", 10**9, 30, tmp_path / "crashes")
    assert found.crashes == []
    assert found.tried == 30
    assert found.refused > 0


def test_inputs_that_take_new_steps_are_gone_on_from(tmp_path: Path) -> None:
    corpus, target = Corpus(tmp_path / "corpus"), targets()["recording .dat"]
    first = tried(target, tmp_path / "work", 0, 60, tmp_path / "crashes", corpus)
    steps = len(corpus.seen)
    assert 0 < first.kept == len(corpus.inputs())
    again = tried(target, tmp_path / "work", 60, 60, tmp_path / "crashes", corpus)
    assert first.kept + again.kept == len(corpus.inputs())
    assert again.kept < first.kept
    assert len(corpus.seen) >= steps > 50


def npy(header: bytes) -> io.BytesIO:
    return io.BytesIO(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,", b"(" * 3000, b"{'\\g': 1}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", b"",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        b"{'descr': 3, 'fortran_order': False, 'shape': (1,)}",
    ],
)  # fmt: skip
def test_headers_of_arrays(header: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Header(npy(header))


def test_a_header_as_python_2_wrote_it() -> None:
    file = npy(b"{'descr': '<i2', 'fortran_order': False, 'shape': (2L,)}")
    header = Header(file)
    assert header.bytes == 4
    file = io.BytesIO(file.getvalue() + b"\x01\x00\x02\x00")
    assert Header(file).array(file).tolist() == [1, 2]
    with pytest.raises(ValueError, match="declares 4 bytes but has 1"):
        header.array(io.BytesIO(b"\x01"))


def test_an_image_that_claims_a_chunk_of_gigabytes(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("L", (4, 4)).save(out, "PNG")
    raw = out.getvalue()
    (tmp_path / "a.png").write_bytes(raw[:33] + struct.pack(">I", 2**31 - 1) + b"tEXt" + raw[33:])
    with pytest.raises(DataError, match=r"a\.png can't be read as an image"):
        decoded(tmp_path / "a.png", 1)


def test_a_warning_about_an_image_names_it(tmp_path: Path) -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 6)).save(out, "JPEG", exif=exif)
    raw = out.getvalue()
    at = raw.index(b"\x01\x12")  # the orientation: its type and count follow
    (tmp_path / "a.jpg").write_bytes(raw[: at + 4] + b"\x00\x0f\xff\xff" + raw[at + 8 :])
    with pytest.warns(UserWarning, match=r"a\.jpg: ") as said:
        decoded(tmp_path / "a.jpg", 3)
    assert len(said) == 1


def test_a_warning_about_a_recording_names_it(tmp_path: Path) -> None:
    cray = struct.pack("<5i", 4000, 1, 4, 0, 2) + b"t\0" + struct.pack("<4d", 1, 2, 3, 1)
    (tmp_path / "a.mat").write_bytes(cray)
    with pytest.warns(UserWarning, match=r"a\.mat: .*Cray"):
        assert len(read_recording(tmp_path / "a.mat").t) == 1


def test_a_sparse_array_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(struct.pack("<5i", 2, 0, 4, 0, 2) + b"t\0")
    with pytest.raises(DataError, match=r"a\.mat is no MATLAB file, or a damaged one: index -1"):
        read_recording(tmp_path / "a.mat")


def test_an_archive_of_arrays_whose_names_are_no_text(tmp_path: Path) -> None:
    out = io.BytesIO()
    np.savez(out, **{"\u00e4\u00e4": np.arange(3)})
    assert out.getvalue().count("\u00e4\u00e4.npy".encode()) == 2
    (tmp_path / "a.npz").write_bytes(out.getvalue().replace("\u00e4".encode(), b"\xff\xfe"))
    with pytest.raises(DataError, match=r"a\.npz is no \.npz archive, or a damaged one: 'utf-8'"):
        read_recording(tmp_path / "a.npz")


def test_escapes_in_a_pickle_that_mean_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_pickle(rb"S'\g'" + b"\n.", "a file") == rb"\g"


def test_messages_are_one_line_that_can_be_shown() -> None:
    assert one_line("a\n\tb \x1b[31mred\u202e") == "a b \\x1b[31mred\\u202e"
    long = one_line("x" * 10_000)
    assert len(long) < MOST_CHARACTERS + 10
    assert " ... " in long
    assert one_line("straße 東京") == "straße 東京"


def test_what_a_file_holds_cannot_steer_the_terminal(tempreg: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('"\\e[2J\\nepochs": 3\n')
    done = tempreg("train", "a.yaml", "--out", "run")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


def test_arrays_in_npz_are_whole_and_can_be_written_to(tmp_path: Path) -> None:
    from tempreg.data.sources.npz import read_npz

    values = np.arange(6.0).reshape(2, 3)
    np.savez(tmp_path / "a.npz", c=values, f=np.asfortranarray(values), none=np.zeros((0, 3)))
    held = read_npz(tmp_path / "a.npz")
    for name in "cf":
        np.testing.assert_array_equal(held[name], values)
        held[name][0, 0] = 7
    assert held["none"].shape == (0, 3)


def test_a_tiff_whose_pixels_lie_at_a_fraction() -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "TIFF")
    where, rational = struct.pack("<HH", 273, 4), struct.pack("<HH", 273, 5)
    assert out.getvalue().count(where) == 1
    with pytest.raises(DataError, match=r"^a\.tif can't be read as an image: .*integer"):
        decoded(out.getvalue().replace(where, rational), 3, name="a.tif")
