"""Frames: their cache on disk, and sets of recordings in folders."""

from __future__ import annotations

import json
import os
import pickle
import signal
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tempreg.data import DataError, DataOptions, load_dataset
from tempreg.data.base import SPLITS
from tempreg.data.formats.recordings import Recording, read_recording, write_recording
from tempreg.data.frames.cache import Chunk, FrameFile, FrameSplit, cached, opened
from tempreg.data.frames.content_key import content_key
from tempreg.data.guess import guess
from tempreg.data.layout.class_folders import class_folders
from tempreg.data.single import describe, described
from tempreg.data.sources.events import EventFolder
from tempreg.data.sources.recordings import parts
from tests.unit.data.formats.recordings.layouts import aedat3, forty_bit


def write(path: Path, seed: int, sensor: int = 34) -> None:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 90_000, 50))
    path.parent.mkdir(parents=True, exist_ok=True)
    xy = rng.integers(0, sensor, (2, 50))
    path.write_bytes(forty_bit(np.stack([t, *xy, rng.integers(0, 2, 50)], axis=1)))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of ten recordings; the cache lies beside them."""
    monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path / "cache"))
    for i in range(20):
        write(tmp_path / "data" / "ab"[i % 2] / f"{i}.bin", i)
    return tmp_path / "data"


def load(path: Path, name: str = "event-folder", **options: object) -> list[torch.Tensor]:
    data = load_dataset(name, num_steps=3, path=path, **options)
    return [data.split(n).inputs(torch.arange(len(data.split(n)))) for n in SPLITS]


def entries(own: Path) -> list[Path]:
    return sorted((own.parent / "cache" / "frames").glob("*.frames*"))


def test_cached_frames_are_the_frames(own: Path) -> None:
    plain = load(own, cache=False)
    assert [x.shape[1] for x in plain] == [16, 2, 2]
    assert sum(int(x.sum()) for x in plain) == 20 * 50
    for _ in range(2):
        assert all(torch.equal(a, b) for a, b in zip(plain, load(own), strict=True))
    assert len(entries(own)) == 1
    load(own, size=10)
    assert len(entries(own)) == 2
    write(own / "a" / "0.bin", 99)
    assert not torch.equal(load(own)[0], plain[0]) or not torch.equal(load(own)[2], plain[2])
    assert len(entries(own)) == 3
    split = load_dataset("event-folder", num_steps=3, path=own).train
    assert isinstance(split, FrameSplit)
    split.inputs(torch.arange(2))
    sent = pickle.dumps(split)
    assert len(sent) < 3000
    again = pickle.loads(sent)  # noqa: S301
    assert torch.equal(again.inputs(torch.arange(3)), split.inputs(torch.arange(3)))


@pytest.mark.parametrize("damage", ["flip", "truncate", "header", "empty"])
def test_damaged_entry_is_built_again(own: Path, damage: str) -> None:
    plain = load(own)
    (entry,) = entries(own)
    whole = bytearray(entry.read_bytes())
    harmed = bytearray(whole)
    if damage == "flip":
        harmed[len(whole) // 2] ^= 1
    elif damage == "truncate":
        del harmed[-10:]
    elif damage == "header":
        harmed[:9] = b"nonsense!"
    else:
        harmed.clear()
    entry.write_bytes(harmed)
    assert opened(entry) is None
    assert all(torch.equal(a, b) for a, b in zip(plain, load(own), strict=True))
    assert entry.read_bytes() == whole


def test_full_disk_leaves_nothing(own: Path) -> None:
    path = own.parent / "cache" / "frames" / "x.frames"

    def full():  # type: ignore[no-untyped-def]
        yield Chunk(torch.zeros(1, 2, 2, 3, 3, dtype=torch.int16), 0, 0)
        raise OSError(28, os.strerror(28))

    with pytest.raises(DataError, match=r"No space left on device.*make room"):
        cached(path, 2, lambda: ((3, 3), full()))
    assert entries(own) == []


def _store(path: Path) -> FrameFile:
    values = torch.arange(64 * 200, dtype=torch.int16).reshape(64, 2, 2, 5, 10)
    return cached(path, 64, lambda: ((5, 10), (Chunk(v[None], 1, 1) for v in values)))


def test_several_processes_at_once(own: Path) -> None:
    path = own.parent / "cache" / "frames" / "x.frames"
    with get_context("fork").Pool(2) as pool:
        found = pool.map(_store, [path] * 16)
    assert len(set(found)) == 1
    assert found[0].events == (64, 64)
    assert found[0].map().ravel().tolist() == list(range(64 * 200))
    assert entries(own) == [path]


def _stop_halfway(path: Path, halfway: Any) -> FrameFile:
    def chunks() -> Iterator[Chunk]:
        for i in range(64):
            if i == 32 and halfway is not None:
                halfway.set()
                time.sleep(600)
            yield Chunk(torch.full((1, 2, 2, 50, 100), i, dtype=torch.int16), 1, 1)

    return cached(path, 64, lambda: ((50, 100), chunks()))


def test_killed_while_writing(own: Path) -> None:
    """The kill comes when half of the frames are on disk; the next process starts anew."""
    path = own.parent / "cache" / "frames" / "x.frames"
    context = get_context("fork")
    halfway = context.Event()
    process = context.Process(target=_stop_halfway, args=(path, halfway))
    process.start()
    assert halfway.wait(120)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not path.exists()
    again = _stop_halfway(path, None).map()[:, 0, 0, 0, 0]
    assert again.tolist() == list(range(64))


def test_content_is_read_again_only_where_something_changed(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempreg.data.frames.content_key.YOUNG_SECONDS", 0.0)
    files = sorted(own.rglob("*.bin"))
    notes = own.parent / "notes"
    first = content_key(files, own, notes)
    with monkeypatch.context() as closed:
        closed.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
        assert content_key(files, own, notes) == first
    moved = own.rename(own.parent / "moved")
    files = sorted(moved.rglob("*.bin"))
    assert content_key(files, moved, notes) == first
    before = files[3].stat()
    raw = bytearray(files[3].read_bytes())
    raw[0] ^= 1
    files[3].write_bytes(raw)
    os.utime(files[3], ns=(before.st_atime_ns, before.st_mtime_ns))
    changed = content_key(files, moved, notes)
    assert changed != first
    for note in notes.iterdir():
        note.write_text("damaged")
    assert content_key(files, moved, notes) == changed
    monkeypatch.setattr("tempreg.data.frames.content_key.YOUNG_SECONDS", 3600.0)
    for note in notes.iterdir():
        note.unlink()
    assert content_key(files, moved, notes) == changed
    assert not list(notes.iterdir())


def test_what_was_guessed_and_left_out_is_said(own: Path) -> None:
    def remarks(**options: object) -> tuple[str, ...]:
        return load_dataset("event-folder", num_steps=2, path=own, **options).remarks

    guessed = "sensor size, by the recordings: 34 x 34"
    assert remarks() == (guessed,)
    events = [read_recording(path).t for path in own.rglob("*.bin")]
    kept = sum(int((t - t[0] < 40_000).sum()) for t in events)
    for cache in (True, True, False):
        first, second = remarks(frames="duration", frame_ms=20, cache=cache)
        assert first == guessed
        assert second.startswith(f"the frames hold {kept / 1000:.1%} of 1,000 events")


@pytest.mark.parametrize("cache", [False, True])
def test_a_size_that_files_state_is_no_guess(tmp_path: Path, *, cache: bool) -> None:
    """Of 20 x 32 pixels, which the smallest sensor in use would hold too."""
    few = np.arange(5)
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(4):
            one = Recording(few + i, few, few, few % 2, (20, 32))
            write_recording(tmp_path / name / f"{i}.npz", one)
    data = load_dataset("event-folder", num_steps=2, path=tmp_path, cache=cache)
    assert data.input_size == (20, 32)
    assert "sensor size, by the recordings: 32 x 20" in data.remarks
    assert guess(tmp_path).size == (20, 32)
    write_recording(tmp_path / "b" / "4.npz", Recording(few, few, few, few % 2))
    assert guess(tmp_path).size == (20, 32)
    write_recording(tmp_path / "b" / "5.npz", Recording(few, few + 30, few, few % 2))
    assert guess(tmp_path).size == (128, 128)
    again = load_dataset("event-folder", num_steps=2, path=tmp_path, cache=cache)
    assert again.input_size == (128, 128)


@pytest.mark.parametrize(
    "options",
    [{}, {"frames": "count", "size": 20}, {"frames": "duration", "frame_ms": 9.5},
     {"normalise": "percentile"}, {"size": 12, "resize": "bilinear"}, {"frames": "number"},
     {"size": 12, "frames": "published"}],
)  # fmt: skip
def test_a_single_file_is_read_as_in_training(own: Path, options: dict[str, Any]) -> None:
    asked = DataOptions(num_steps=3, path=own, **options)
    data = EventFolder().load(asked)
    _, samples = EventFolder().samples(own)
    row = parts(samples, asked)[0][2][1]
    reading = described(json.loads(json.dumps(describe(data)))).reading
    assert reading is not None
    one = reading.read(samples[row].path, asked)
    assert torch.equal(one, data.test.inputs(torch.tensor([1])))


def test_faults_name_the_file_and_leave_nothing(own: Path) -> None:
    (own / "b" / "5.bin").write_bytes(bytes([1, 1, 0, 0, 9, 1, 1, 0, 0, 8]))
    with pytest.raises(DataError, match=r"5\.bin: event 1 has t = 8"):
        load(own)
    folder = own.parent / "cache" / "frames"
    assert not folder.exists() or not list(folder.iterdir())


def test_sensor_is_guessed_or_given(own: Path, tmp_path: Path) -> None:
    assert load_dataset("event-folder", num_steps=2, path=own).input_size == (34, 34)
    write(own / "a" / "wide.bin", 1, sensor=120)
    assert load_dataset("event-folder", num_steps=2, path=own).input_size == (128, 128)
    full = tmp_path / "full"
    for i in range(60):
        write(full / ("Test" if i < 20 else "Train") / str(i % 10) / f"{i}.bin", i)
    assert [x.shape[1:] for x in load(full, "nmnist-full")] == [
        (30, 2, 34, 34), (10, 2, 34, 34), (20, 2, 34, 34)
    ]  # fmt: skip
    write(full / "Train" / "3" / "bad.bin", 1, sensor=100)
    with pytest.raises(DataError, match=r"bad\.bin: event \d+ .* outside 0 \.\.\. 33"):
        load(full, "nmnist-full")
    with pytest.raises(DataError, match=r"not complete.*Train.zip"):
        load(own, "nmnist-full")


@pytest.mark.parametrize("nested", [True, False])
def test_cuts_of_one_session_stay_together(own: Path, nested: bool) -> None:
    for session in range(6):
        for cut in range(5):
            place = f"s{session}/{cut}.bin" if nested else f"s{session}_{cut}.bin"
            for name in "cd":
                write(own.parent / "sessions" / name / place, session)
    _, samples = EventFolder().samples(own.parent / "sessions")
    for seed in range(5):
        rows, said = parts(samples, DataOptions(num_steps=1, split_seed=seed, validation=0.2))
        assert said == ()
        held = [{samples[i].session for i in part} for part in rows]
        assert all(held)
        assert sum(len(h) for h in held) == len(set.union(*held)) == 6


def test_gestures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path / "cache"))
    t = np.arange(0, 1000, 10)
    events = np.stack([t, t % 128, t % 127, t // 10 % 2], axis=1)
    for user in range(1, 5):
        (tmp_path / f"user0{user}_led.aedat").write_bytes(aedat3(events))
        (tmp_path / f"user0{user}_led_labels.csv").write_text(
            "class,startTime_usec,endTime_usec\n1,100,300\n11,500,520\n"
        )
    trials = [f"user0{user}_led.aedat\n" for user in range(1, 5)]
    (tmp_path / "trials_to_train.txt").write_text("".join(trials[:3]))
    (tmp_path / "trials_to_test.txt").write_text(trials[3])
    data = load_dataset("dvs128-gesture", num_steps=2, path=tmp_path, validation=0.34)
    assert [len(data.split(name)) for name in SPLITS] == [4, 2, 2]
    x, y = data.test.batch(torch.arange(2))
    assert (x.sum(dim=(0, 2, 3, 4)).tolist(), y.tolist()) == ([20, 2], [0, 10])
    (tmp_path / "user02_led_labels.csv").write_text("class,start,end\n12,1,2\n")
    with pytest.raises(DataError, match=r"user02_led_labels.csv, line 2"):
        load(tmp_path, "dvs128-gesture")


def test_class_folders_that_cannot_be(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / "ok" / name / "1.bin", 1)
    assert list(class_folders(tmp_path / "ok")) == ["a", "b"]
    (tmp_path / "ok" / "c").mkdir()
    with pytest.raises(DataError, match="has no file"):
        class_folders(tmp_path / "ok")
    (tmp_path / "ok" / "c").rmdir()
    (tmp_path / "ok" / "a" / "loop").symlink_to(tmp_path / "ok")
    with pytest.raises(DataError, match="loop is a link"):
        class_folders(tmp_path / "ok")
    for names in (("Cat", "cat"), ("caf\u00e9", "cafe\u0301")):
        root = tmp_path / names[0]
        for name in names:
            write(root / name / "1.bin", 1)
        with pytest.raises(DataError, match="two classes of one name"):
            class_folders(root)
    with pytest.raises(DataError, match="no class folders"):
        class_folders(tmp_path / "ok" / "b")
    with pytest.raises(DataError, match="not a folder"):
        class_folders(tmp_path / "none")
