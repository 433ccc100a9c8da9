"""SHD and SSC from files in their layout, held to counting spike by spike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tempreg.data import DataSet, load_dataset
from tempreg.data.errors import DataError
from tempreg.data.fetch.catalogue import DOWNLOADS

h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install tempreg[events]")
STEPS, MS = 5, 100.0
Utterances = tuple[list[NDArray[np.float32]], list[NDArray[np.uint16]]]


def utterances(count: int, seed: int) -> Utterances:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 40, count)
    times = [np.sort(rng.uniform(0, 0.45, n)).astype(np.float32) for n in sizes]
    return times, [rng.integers(0, 700, n).astype(np.uint16) for n in sizes]


def write(path: Path, held: Utterances, speakers: list[int], keys: bool = True) -> None:
    """As published: arrays of any length in spikes, and what is known of each beside them."""
    times, units = held
    with h5py.File(path, "w") as file:
        spikes = file.create_group("spikes")
        for name, rows, kind in (("times", times, np.float32), ("units", units, np.uint16)):
            data = spikes.create_dataset(name, (len(rows),), dtype=h5py.vlen_dtype(kind))
            for index, row in enumerate(rows):
                data[index] = row
        labels = np.arange(len(times), dtype=np.uint8) % 4
        file.create_dataset("labels", data=labels)
        extra = file.create_group("extra")
        extra.create_dataset("speaker", data=np.array(speakers, dtype=np.uint8))
        if keys:
            extra.create_dataset("keys", data=np.array([b"zero", b"one", b"null", b"eins"]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path / "cache"))
    write(tmp_path / "shd_train.h5", utterances(24, 0), [n % 3 for n in range(24)])
    write(tmp_path / "shd_test.h5", utterances(8, 1), [7, 8] * 4)
    return tmp_path


def loaded(folder: Path, name: str = "shd", **options: object) -> DataSet:
    asked = {"frames": "duration", "frame_ms": MS, **options}
    return load_dataset(name, num_steps=STEPS, path=folder, **asked)


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("size", [None, 70])
def test_frames_are_counts_of_spikes(folder: Path, cache: bool, size: int | None) -> None:
    data = loaded(folder, cache=cache, size=size)
    channels = size or 700
    assert (data.in_channels, data.input_size) == (1, (1, channels))
    assert data.classes == ("zero", "one", "null", "eins")
    times, units = utterances(8, 1)
    expected = np.zeros((STEPS, 8, 1, 1, channels), dtype=np.float32)
    for index, (t, u) in enumerate(zip(times, units, strict=True)):
        micros = np.round(t.astype(np.float64) * 1e6).astype(int)
        for when, unit in zip(micros - micros[0], u.astype(int), strict=True):
            expected[when // int(MS * 1000), index, 0, 0, unit * channels // 700] += 1
    x, y = data.test.batch(torch.arange(8))
    assert torch.equal(x, torch.from_numpy(expected))
    assert y.tolist() == [0, 1, 2, 3] * 2


def test_whole_speakers_are_held_out(folder: Path) -> None:
    data = loaded(folder)
    assert (len(data.train), len(data.validation), len(data.test)) == (16, 8, 8)
    assert data.sessions is not None
    train, validation, test = data.sessions.split([16, 8, 8])
    assert len(set(validation.tolist())) == 1
    assert not set(train.tolist()) & set(validation.tolist())
    assert set(test.tolist()) == {7, 8}
    (remark,) = data.remarks
    assert remark == f"validation: all of the speakers {validation[0]}"
    others = {tuple(loaded(folder, split_seed=seed).sessions[16:24].tolist()) for seed in range(8)}
    assert len(others) > 1
    drawn = loaded(folder, sessions="none", validation=0.25)
    assert torch.bincount(drawn.validation.targets, minlength=4).min() >= 1
    assert len(loaded(folder, validation=0.0).train) == 24


def test_official_parts_of_ssc(folder: Path) -> None:
    for seed, part in enumerate(("train", "valid", "test")):
        write(folder / f"ssc_{part}.h5", utterances(4 + seed, seed), [0] * (4 + seed), keys=False)
    data = loaded(folder, "ssc")
    assert [len(data.train), len(data.validation), len(data.test)] == [4, 5, 6]
    assert data.classes == ("0", "1", "2", "3")


def test_downloads_are_named_as_the_files_are_looked_for() -> None:
    assert [d.name for d in DOWNLOADS["shd"]] == ["shd_train.h5.zip", "shd_test.h5.zip"]
    assert [d.name for d in DOWNLOADS["ssc"]] == [
        f"ssc_{p}.h5.zip" for p in ("train", "valid", "test")
    ]


def test_resize_is_of_frames_with_height(folder: Path) -> None:
    data = loaded(folder, size=70, resize="bilinear", cache=False)
    assert "shd doesn't read data.resize, so that changes nothing" in data.remarks
    plain = loaded(folder, size=70, cache=False)
    assert torch.equal(data.test.inputs(torch.arange(8)), plain.test.inputs(torch.arange(8)))


def test_what_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="must divide them, as 70 or 140, got 71"):
        loaded(folder, size=71)
    with pytest.raises(ValueError, match="published is for event cameras"):
        loaded(folder, frames="published")
    times, units = utterances(4, 3)
    cases = {
        "times must be finite seconds": ([times[0][::-1], *times[1:]], units),
        "units must be whole numbers in 0": (times, [units[0] + 700, *units[1:]]),
        "3 times but 2 units": ([t[:3] for t in times], [u[:2] for u in units]),
    }
    for words, held in cases.items():
        write(folder / "shd_test.h5", held, [7] * 4)
        with pytest.raises(DataError, match=f"shd_test.h5, utterance 0: {words}"):
            loaded(folder)
    (folder / "shd_test.h5").write_bytes(b"noise")
    with pytest.raises(DataError, match="is no HDF5 file"):
        loaded(folder)
    with h5py.File(folder / "shd_test.h5", "w") as file:
        file["labels"] = np.arange(3, dtype=np.uint8)
    with pytest.raises(DataError, match="has no spikes/times of its 3 labels"):
        loaded(folder)
    (folder / "shd_test.h5").unlink()
    with pytest.raises(DataError, match=r"shd_test\.h5 is not there\. Unpack shd_train"):
        loaded(folder)
    write(folder / "shd_test.h5", utterances(4, 1), [7] * 4)
    write(folder / "shd_train.h5", utterances(8, 0), [1] * 8)
    with pytest.raises(DataError, match="has one speaker"):
        loaded(folder)


def test_other_layouts_are_told(folder: Path) -> None:
    """Groups for arrays, rows that are none, labels that name classes nobody has."""
    many, text = np.arange(24), [b"a"] * 24
    cases: dict[str, tuple[str, object]] = {
        "no whole numbers labels": ("labels", None),
        "label 1099511627776, and 32 utterances": ("labels", np.where(many == 3, 2**40, 0)),
        "no whole numbers extra/speaker": ("extra/speaker", None),
        "extra/speaker must be numbers in 0": ("extra/speaker", np.where(many == 3, 2**63 - 1, 0)),
        "has no spikes/times of its 24 labels, a row": ("spikes/times", np.ones(24)),
        "has no spikes/units of its 24 labels, a row": ("spikes/units", text),
        "extra/keys must be a list of text": ("extra/keys", 3),
        "has 'a' twice in extra/keys": ("extra/keys", np.array([b"a", b"b", b"a", b"c"])),
    }
    for words, (name, values) in cases.items():
        keys = name == "extra/keys"
        write(folder / "shd_train.h5", utterances(24, 0), [1, 2] * 12, keys)
        write(folder / "shd_test.h5", utterances(8, 1), [7] * 8, keys)
        with h5py.File(folder / "shd_train.h5", "a") as file:
            if name in file:
                del file[name]
            if values is None:
                file.create_group(name)
            else:
                file[name] = values
        with pytest.raises(DataError, match=words):
            loaded(folder, cache=False)


def test_rows_that_are_only_claimed(folder: Path) -> None:
    """A file of a few kB that says it has 2^45 utterances, or class names."""
    file = folder / "shd_train.h5"
    for name in ("labels", "extra/keys"):
        write(file, utterances(24, 0), [1, 2] * 12, keys=name != "extra/keys")
        with h5py.File(file, "a") as held:
            kind = {"labels": "u1", "extra/keys": "S4"}[name]
            if name in held:
                del held[name]
            held.create_dataset(name, (2**45,), dtype=kind, chunks=(1024,))
            for part in ("times", "units") if name == "labels" else ():
                row = held[f"spikes/{part}"].dtype
                del held[f"spikes/{part}"]
                held.create_dataset(f"spikes/{part}", (2**45,), dtype=row, chunks=(1024,))
        with pytest.raises(
            DataError, match=rf"{name}: declares 35,184,372,088,832 values of . bytes"
        ):
            loaded(folder)
