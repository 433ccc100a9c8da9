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
from numpy.typing import NDArray

from tempreg.data.embedded import nmnist_recordings
from tempreg.data.event_files import READERS, Recording, read_recording
from tempreg.data.source import DataError

Events = NDArray[np.int64]


@pytest.fixture
def events() -> Events:
    """Columns t, x, y, p of 200 events on 34 x 34."""
    rng = np.random.default_rng(3)
    t = np.sort(rng.integers(0, 300_000, 200))
    return np.stack([t, *rng.integers(0, 34, (2, 200)), rng.integers(0, 2, 200)], axis=1)


def forty_bit(events: Events) -> bytes:
    return b"".join(
        bytes([x, y]) + (p << 23 | t).to_bytes(3, "big") for t, x, y, p in events.tolist()
    )


def dvs128(events: Events, version: int = 2) -> bytes:
    head = f"#!AER-DAT{version}.0\r\n# made by a test\r\n".encode()
    form = ">II" if version == 2 else ">HI"
    return head + b"".join(
        struct.pack(form, (127 - y) << 8 | (127 - x) << 1 | (1 - p), t % 2**32)
        for t, x, y, p in events.tolist()
    )


def aedat3(events: Events, at_once: int = 60) -> bytes:
    raw = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"
    raw += struct.pack("<HHIIIIII", 0, 1, 12, 4, 0, 1, 1, 1) + bytes(12)  # a special event
    for k in range(0, len(events), at_once):
        part = events[k : k + at_once].tolist()
        raw += struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, len(part), len(part), len(part))
        raw += b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t) for t, x, y, p in part)
    return raw


def dat(events: Events) -> bytes:
    head = b"% Data file\n% Version 2\n% Height 240\n% Width 304\n" + bytes([0, 8])
    return head + b"".join(
        struct.pack("<II", t, x | y << 14 | p << 28) for t, x, y, p in events.tolist()
    )


def evt2(events: Events) -> bytes:
    raw, high = b"% evt 2.0\n% geometry 640x480\n% end\n", -1
    for t, x, y, p in events.tolist():
        if t >> 6 != high:
            high = t >> 6
            raw += struct.pack("<I", 8 << 28 | high)
        raw += struct.pack("<I", p << 28 | (t & 63) << 22 | x << 11 | y)
    return raw


def same(found: Recording, events: Events) -> bool:
    return np.array_equal(np.stack([found.t, found.x, found.y, found.p], axis=1), events)


@pytest.mark.parametrize(
    ("suffix", "layout"),
    [(".bin", forty_bit), (".aedat", dvs128), (".aedat", lambda e: dvs128(e, 1)),
     (".aedat", aedat3), (".dat", dat), (".raw", evt2)],
)  # fmt: skip
def test_original_layouts(tmp_path: Path, events: Events, suffix: str, layout) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(layout(events))
    assert same(read_recording(path), events)
    for cut in (1, 3):
        path.write_bytes(layout(events)[:-cut])
        if suffix == ".raw":
            continue  # its library reads what is whole
        with pytest.raises(DataError, match=r"a\.(bin|aedat|dat).*truncated"):
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
        file.create_dataset("events/t", shape=(10**13,), dtype="i8", chunks=(1024,))
    for suffix in (".npy", ".npz", ".h5"):
        with pytest.raises(DataError, match="declares"):
            read_recording(tmp_path / f"a{suffix}")
    np.save(tmp_path / "b.npy", np.array([{"never": "read"}], dtype=object))
    with pytest.raises(DataError, match="Python objects"):
        read_recording(tmp_path / "b.npy")
