"""Recordings in the byte layouts of their formats, and files that are none."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings import READERS, read_recording, read_recordings
from tempreg.data.sources.embedded import nmnist_recordings
from tests.unit.data.formats.recordings.layouts import (
    Events,
    aedat3,
    aedat4,
    dat,
    dvs128,
    evt2,
    evt3,
    forty_bit,
    same,
)


@pytest.fixture
def events() -> Events:
    """Columns t, x, y, p of 200 events on 34 x 34."""
    rng = np.random.default_rng(3)
    t = np.sort(rng.integers(0, 300_000, 200))
    return np.stack([t, *rng.integers(0, 34, (2, 200)), rng.integers(0, 2, 200)], axis=1)


@pytest.mark.parametrize(
    ("suffix", "layout"),
    [(".bin", forty_bit), (".aedat", dvs128), (".aedat", lambda e: dvs128(e, 1)),
     (".aedat", aedat3), (".dat", dat), (".raw", evt2), (".raw", evt3), (".aedat4", aedat4)],
)  # fmt: skip
def test_original_layouts(tmp_path: Path, events: Events, suffix: str, layout) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(layout(events))
    assert same(read_recording(path), events)
    for cut in (1, 3):
        path.write_bytes(layout(events)[:-cut])
        with pytest.raises(
            DataError, match=r"a\.(bin|aedat|dat|raw).*(truncated|can't be decoded)"
        ):
            read_recording(path)


def test_array_formats(tmp_path: Path, events: Events) -> None:
    columns = dict(zip("txyp", events.T, strict=True))
    signed = {**columns, "p": columns["p"] * 2 - 1}
    fields = np.rec.fromarrays(list(columns.values()), names="t,x,y,p")
    np.savez(tmp_path / "a.npz", **signed)
    np.savez_compressed(tmp_path / "b.npz", fields)
    np.save(tmp_path / "a.npy", fields)
    np.save(tmp_path / "b.npy", events.astype(np.float32))
    scipy.io.savemat(tmp_path / "a.mat", {"out1": events.astype(float)})
    scipy.io.savemat(tmp_path / "b.mat", {"ts": events[:, 0], **{k: signed[k] for k in "xyp"}})
    np.savetxt(tmp_path / "a.csv", events, fmt="%d", delimiter=",")
    np.savetxt(
        tmp_path / "b.csv", events[:, [1, 2, 3, 0]], "%d", ",", header="x, y, p, t", comments=""
    )
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in columns.items():
            file[f"events/{name}"] = values
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["events"] = fields
    for path in sorted(tmp_path.iterdir()):
        assert same(read_recording(path), events), path.name
        raw = path.read_bytes()
        path.write_bytes(raw[: len(raw) // 2 + 1])
        if path.suffix != ".csv":
            with pytest.raises(DataError, match=path.name):
                read_recording(path)


def test_real_recordings(shared: Path, tmp_path: Path) -> None:
    ours = nmnist_recordings()[0]
    whole = np.stack([ours.t, ours.x, ours.y, ours.p], axis=1).astype(np.int64)
    embedded = {
        whole[a:b].tobytes() for a, b in zip(ours.offsets[:-1], ours.offsets[1:], strict=True)
    }
    assert len(embedded) == 1100
    seen = set()
    path = tmp_path / "one.bs2"
    with tarfile.open(shared / "data" / "NMNISTsmall.tar.xz") as archive:
        for member in archive:
            if member.name.endswith(".bs2"):
                source = archive.extractfile(member)
                assert source is not None
                path.write_bytes(source.read())
                r = read_recording(path)
                seen.add(np.stack([r.t, r.x, r.y, r.p], axis=1).tobytes())
    assert seen == embedded


def test_counters_that_wrap(tmp_path: Path, events: Events) -> None:
    late = events.copy()
    late[:, 0] += 2**32 - 100_000
    (tmp_path / "a.aedat").write_bytes(dvs128(late))
    found = read_recording(tmp_path / "a.aedat")
    assert np.array_equal(np.diff(found.t), np.diff(events[:, 0]))
    raw = forty_bit(np.array([[5, 1, 2, 1], [7, 0, 240, 0], [3, 3, 4, 0]]))
    (tmp_path / "a.bin").write_bytes(raw)
    found = read_recording(tmp_path / "a.bin")
    assert same(found, np.array([[5, 1, 2, 1], [8195, 3, 4, 0]]))


def test_evt3_runs_of_pixels_and_what_comes_before_the_first_time(tmp_path: Path) -> None:
    words = [
        2 << 12 | 9,  # no time yet
        8 << 12 | 0xFFF, 6 << 12 | 100, 2 << 12 | 3,  # no row yet
        0 << 12 | 7, 2 << 12 | 1 << 11 | 3,
        3 << 12 | 1 << 11 | 20, 4 << 12 | 0b100000000001, 5 << 12 | 0b10000010, 5 << 12 | 1,
        8 << 12 | 0, 2 << 12 | 5,  # the 24 bits of time are full; the lower ones are 0 again
        6 << 12 | 4, 2 << 12 | 6,
    ]  # fmt: skip
    path = tmp_path / "a.raw"
    path.write_bytes(b"% evt 3.0\n% geometry 64x8\n% end\n" + struct.pack("<14H", *words))
    found, first = read_recording(path), 0xFFF << 12 | 100
    expected = [[first, x, 7, 1] for x in (3, 20, 31, 33, 39, 40)]
    assert same(found, np.array([*expected, [2**24, 5, 7, 0], [2**24 + 4, 6, 7, 0]]))
    assert found.sensor_size == (8, 64)


def test_size_by_the_file_and_events_outside_of_it(tmp_path: Path, events: Events) -> None:
    path = tmp_path / "a.aedat4"
    path.write_bytes(aedat4(events))
    assert read_recording(path).sensor_size == (36, 40)
    events[5, 2] = 36
    path.write_bytes(aedat4(events))
    with pytest.raises(DataError, match=r"a\.aedat4: event 5 has y = 36, outside 0 \.\.\. 35"):
        read_recording(path)


def test_counter_of_23_bits_that_wraps_and_slight_disorder(tmp_path: Path, events: Events) -> None:
    events[:, 0] += 2**23 - 100_000
    wrapped = events.copy()
    wrapped[:, 0] %= 2**23
    assert (np.diff(wrapped[:, 0]) < 0).any()
    good, bad = tmp_path / "good.bin", tmp_path / "bad.bin"
    good.write_bytes(forty_bit(wrapped))
    assert same(read_recording(good), events)
    both = read_recordings([good, good], (34, 34))
    assert np.array_equal(both.t, np.tile(events[:, 0], 2))
    events[:, 0] -= 2**23 - 100_000
    events[7, 0] = events[6, 0] - 1
    bad.write_bytes(forty_bit(events))
    for read in (read_recording, lambda path: read_recordings([good, path], (34, 34))):
        with pytest.raises(DataError, match=r"bad\.bin: event 7 has t = \d+, before the event"):
            read(bad)


def test_many_at_once_are_as_one_by_one(tmp_path: Path, events: Events) -> None:
    paths = [tmp_path / f"{i}.bin" for i in range(5)]
    for i, path in enumerate(paths):
        path.write_bytes(forty_bit(events[i * 30 :]))
    overflow = np.concatenate([events[:3], [[events[3, 0], 0, 240, 0]], events[4:]])
    for last in (events[:1], overflow):
        paths[-1].write_bytes(forty_bit(last))
        whole, place = read_recordings(paths, (34, 34)), 0
        for path in paths:
            one = read_recording(path)
            part = slice(place, place := place + len(one.t))
            for name in "txyp":
                assert np.array_equal(getattr(whole, name)[part], getattr(one, name))
        assert place == whole.offsets[-1]
        assert read_recordings(paths, None).sensor_size == (
            max(events[:, 2]) + 1, max(events[:, 1]) + 1
        )  # fmt: skip


def test_mat_of_six_columns_and_one_that_is_too_large(tmp_path: Path, events: Events) -> None:
    t, x, y, p = events.T.astype(float)
    six = np.stack([t, 0 * t, 0 * t - 1, x, 127 - y, 2 * p - 1], axis=1)  # rows from below
    scipy.io.savemat(tmp_path / "a.mat", {"out1": six}, do_compression=True)
    assert same(read_recording(tmp_path / "a.mat"), events)
    scipy.io.savemat(tmp_path / "b.mat", {"out1": six})
    raw = (tmp_path / "b.mat").read_bytes()
    shape = struct.pack("<II", 200, 6)
    (tmp_path / "b.mat").write_bytes(raw.replace(shape, struct.pack("<II", 2**30, 6), 1))
    with pytest.raises(DataError, match=r"b\.mat declares \(1073741824, 6\) numbers in out1"):
        read_recording(tmp_path / "b.mat")


@pytest.mark.parametrize(
    ("suffix", "raw", "words"),
    [
        (".bin", b"hello, I am text\nall", "is a text"),
        (".bin", bytes([1, 1, 0, 0, 9, 1, 1, 0, 0, 8]), "event 1 has t = 8, before"),
        (".aedat", b"PK whatever", "no AEDAT"),
        (".aedat", b"#!AER-DAT7.0\r\n12345678", "AEDAT '7.0'"),
        (".aedat", b"#!AER-DAT2.0\r\n" + struct.pack(">II", 1 << 20, 0), "no DVS128 has"),
        (".aedat", b"#!AER-DAT3.1\r\n#!END-HEADER\r\n"
         + struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, 2**31, 2**31, 1), "declares 2147483648 events"),
        (".aedat4", b"#!AER-DAT3.1\r\n", "must begin with"),
        (".aedat4", b"#!AER-DAT4.0\r\n" + bytes(200), "can't be decoded"),
        (".aedat4", b"#!AER-DAT4.0\r\n\xff\xff\xff\x7f", "can't be decoded"),
        (".raw", b"no header", "must begin with"),
        (".raw", b"% evt 4.0\n% end\n12345678", "is encoded as '4.0': EVT 2.0, 2.1 and"),
        (".raw", b"% date 1\n% end\n12345678", "header doesn't name an encoding"),
        (".dat", b"\0" * 16, "doesn't begin with %"),
        (".dat", b"% Height 3\n% Width 3\n\0\x08" + struct.pack("<II", 0, 9), "x = 9, outside"),
        (".npy", b"text, not an array", "no NumPy array"),
        (".npz", b"PK\3\4 broken", "no .npz"),
        (".h5", b"text", "no HDF5"),
        (".mat", b"text where binary is due" * 20, "no MATLAB file"),
        (".csv", b"\xff\xfe\0", "byte 0: not a text"),
        (".csv", b"t,x,y,p\n1,2,3,word\n", "a.csv"),
        (".csv", b"1,2,3\n", "3 columns"),
        (".csv", b"t,x,y,p\n1,1,1,1\n2,1,1,2\n", "event 1 has p = 2"),
        (".csv", b"t,x,y,p\n1,1,1,1\n2,1.5,1,1\n", "event 1 has x = 1.5, not a whole"),
        (".csv", b"t,x,y,p\n1,nan,1,1\n", "event 0 has x = nan"),
        (".csv", b"t,x,y\n1,1,1\n", "no column p"),
        (".zzz", b"1", "no reader"),
    ],
)  # fmt: skip
def test_hostile_files(tmp_path: Path, suffix: str, raw: bytes, words: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(raw)
    with pytest.raises(DataError, match="a" + suffix) as caught:
        read_recording(path)
    assert words in str(caught.value)


@pytest.mark.parametrize("suffix", READERS)
def test_empty_and_no_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with pytest.raises(DataError, match="can't be read"):
        read_recording(path)
    path.touch()
    with pytest.raises(DataError, match="is empty"):
        read_recording(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=f"a{suffix}"):
        read_recording(path)


def test_absurd_arrays_and_pickles(tmp_path: Path) -> None:
    held = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        held, {"descr": "<i8", "fortran_order": False, "shape": (10**15, 4)}
    )
    (tmp_path / "a.npy").write_bytes(held.getvalue())
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("t.npy", held.getvalue())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", shape=(10**13,), dtype="i8", chunks=(1024,))
    for suffix in (".npy", ".npz", ".h5"):
        with pytest.raises(DataError, match="declare"):
            read_recording(tmp_path / f"a{suffix}")
    with h5py.File(tmp_path / "b.h5", "w") as file:  # each below the limit, all four above
        for name in "txyp":
            file.create_dataset(name, shape=(2**28,), dtype="i8", chunks=(1024,))
    with pytest.raises(DataError, match="its columns declare 8,589,934,592 bytes"):
        read_recording(tmp_path / "b.h5")
    np.save(tmp_path / "b.npy", np.array([{"never": "read"}], dtype=object))
    with pytest.raises(DataError, match="Python objects"):
        read_recording(tmp_path / "b.npy")
