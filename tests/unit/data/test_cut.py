"""Long recordings in pieces: every event once, sessions kept, and nothing half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tempreg.cli.main import main
from tempreg.data import DataError, DataOptions, Recording, read_recording, write_recording
from tempreg.data.cut import cut
from tempreg.data.sources.events import EventFolder
from tempreg.data.sources.recordings import parts


def recording(seed: int, seconds: float = 1.0, begin: int = 0) -> Recording:
    """About 2,000 events a second at random times, none from 0.4 to 0.6 s."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, int(seconds * 1e6), int(seconds * 2000)))
    t = t[(t < 400_000) | (t >= 600_000)]
    t[0] = 0
    x, y, p = (rng.integers(0, high, len(t)) for high in (30, 20, 2))
    return Recording(t + begin, x, y, p, (20, 30))


def filled(folder: Path, places: list[str]) -> dict[str, Recording]:
    made = {}
    for seed, place in enumerate(places):
        made[place] = recording(seed, begin=10**7 * seed)
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        write_recording(folder / place, made[place])
    return made


def test_a_file_holds_what_is_documented(tmp_path: Path) -> None:
    made = recording(0, begin=2**40)
    write_recording(tmp_path / "a.npz", made)
    write_recording(str(tmp_path / "b.npz"), made)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as held:
        kinds = {name: (held[name].dtype.name, held[name].shape) for name in held.files}
    events = (len(made.t),)
    assert kinds == {
        "t": ("int64", events), "x": ("uint16", events), "y": ("uint16", events),
        "p": ("uint8", events), "sensor_size": ("int64", (2,)),
    }  # fmt: skip
    back = read_recording(str(tmp_path / "a.npz"))
    assert back.sensor_size == (20, 30)
    assert all(np.array_equal(getattr(back, n), getattr(made, n)) for n in "txyp")
    with pytest.raises(DataError, match="written as"):
        write_recording(tmp_path / "a.csv", made)
    outside = Recording(made.t, made.x + 1, made.y, made.p, made.sensor_size)
    with pytest.raises(DataError, match=r"outside 0 \.\.\. 29"):
        write_recording(tmp_path / "c.npz", outside)
    assert not (tmp_path / "c.npz").exists()
    np.savez(tmp_path / "d.npz", t=made.t, x=made.x, y=made.y, p=made.p, sensor_size=np.ones(3))
    with pytest.raises(DataError, match="sensor_size must be two whole numbers"):
        read_recording(tmp_path / "d.npz")


def test_every_event_is_in_one_piece_and_sessions_stay(tmp_path: Path) -> None:
    places = ["a/mon/1.npz", "a/mon/2.npz", "a/tue/1.npz", "a/wed_1.npz", "b/x_1.npz", "b/y_1.npz",
              "b/x_2.npz", "b/y_2.npz", "b/test.npz"]  # fmt: skip
    made = filled(tmp_path / "in", places)
    found = cut(tmp_path / "in", tmp_path / "out", 50)
    pieces = sorted((tmp_path / "out").rglob("*.npz"))
    assert len(pieces) == sum(found.pieces.values())
    assert {str(p.parent.relative_to(tmp_path / "out")) for p in pieces} == {
        "a/mon", "a/tue", "a/wed", "b/x", "b/y", "b/session-test"
    }  # fmt: skip
    for place, whole in made.items():
        stem = Path(place).stem
        of = [p for p in pieces if p.name.startswith(f"{stem}_0") and p.parts[-3] == place[0]]
        of = [p for p in of if "/mon/" not in place or p.parent.name == "mon"]
        of = [p for p in of if "/tue/" not in place or p.parent.name == "tue"]
        read = [read_recording(p) for p in of]
        for column in "txyp":
            joined = np.concatenate([getattr(piece, column) for piece in read])
            assert np.array_equal(joined, getattr(whole, column))
        for path, piece in zip(of, read, strict=True):
            number = int(path.stem.rpartition("_")[2])
            since = piece.t - whole.t[0]
            assert number * 50_000 <= since[0] <= since[-1] < (number + 1) * 50_000
            assert piece.sensor_size == (20, 30)
    assert found.events == sum(len(whole.t) for whole in made.values())
    assert found.empty == 3 * len(places) or found.empty == 4 * len(places)
    assert len(found.empty_at) == 3
    classes, samples, _ = EventFolder().found(tmp_path / "out")
    rows, said = parts(samples, DataOptions(num_steps=1), classes)
    assert said == ()
    held = [{samples[i].session for i in part} for part in rows]
    assert sum(map(len, held)) == len(set.union(*held)) == 6


def test_parts_stay_parts(tmp_path: Path) -> None:
    filled(tmp_path / "in", [f"{part}/{c}/1.npz" for part in ("Train", "Test") for c in "ab"])
    cut(tmp_path / "in", tmp_path / "out", 500)
    _, samples, _ = EventFolder().found(tmp_path / "out")
    assert {sample.part for sample in samples} == {"train", "test"}


def test_what_cannot_be_cut_leaves_nothing(tmp_path: Path) -> None:
    filled(tmp_path / "in", ["a/1.npz", "b/1.npz"])
    (tmp_path / "in" / "b" / "2.csv").write_text("t,x,y,p\n0,1,1,1\n5,1,1,7\n")
    (tmp_path / "in" / "b" / "2.csv").unlink()
    write_recording(tmp_path / "in" / "a" / "1.NPZ", recording(3))
    with pytest.raises(DataError, match="would be cut into files of the same names"):
        cut(tmp_path / "in", tmp_path / "out", 10)
    (tmp_path / "in" / "a" / "1.NPZ").unlink()
    for out, ms, words in (
        ("in/c", 10, "taken for a class"),
        ("in", 10, "is there already"),
        ("no/where", 10, "there is no folder"),
        ("out", 0, "--ms must be >= 0.001"),
        ("out", float("nan"), "--ms must be >= 0.001"),
    ):
        with pytest.raises(DataError, match=words):
            cut(tmp_path / "in", tmp_path / out, ms)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_damaged_recordings_are_named_and_the_others_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(tmp_path / "in", ["a/1.npz", "b/1.npz"])
    bad = ("t,x,y,p\n0,1,1,1\n5,1,1,7\n", "t,x\n")
    for name, text in zip(("a/0.csv", "b/2.csv"), bad, strict=True):
        (tmp_path / "in" / name).write_text(text)
    words = ["data", "cut", str(tmp_path / "in"), "--to", str(tmp_path / "out"), "--ms", "100"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert "a/0.csv: event 1 has p = 7" in said.err.splitlines()[0]
    assert "b/2.csv" in said.err.splitlines()[1]
    assert said.out.startswith("2 recordings cut into 16 pieces of 100 ms")
    assert "damaged, so not cut: 2\n" in said.out
    assert {p.parent.name for p in (tmp_path / "out").rglob("*.npz")} == {"1"}
    for name in ("a/1.npz", "b/1.npz"):
        (tmp_path / "in" / name).unlink()
    with pytest.raises(DataError, match=r"nothing to cut; .*p = 7.* \(and 1 more\)"):
        cut(tmp_path / "in", tmp_path / "again", 100)
    assert not (tmp_path / "again").exists()


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(tmp_path / "in", ["a/1.npz", "a/2.npz", "b/1.npz"])
    (tmp_path / "in" / "b" / "still.csv").write_text("t,x,y,p\n")
    words = ["data", "cut", str(tmp_path / "in"), "--to", str(tmp_path / "out"), "--ms"]
    assert main([*words, "0"]) == 2
    assert main([*words, "100"]) == 0
    said = capsys.readouterr()
    assert "--ms must be >= 0.001" in said.err
    lines = said.out.splitlines()
    assert lines[0].startswith("4 recordings cut into 24 pieces of 100 ms in ")
    assert "class a: 16 pieces of 2 sessions (1, 2)" in lines
    assert any(line.startswith("empty, so not written: 6 pieces (") for line in lines)
    assert any(line.startswith("recordings without any event: 1 (") for line in lines)
    assert any("class 'a' (and 1 more) has fewer than three sessions" in line for line in lines)
    assert main([*words, "100"]) == 2
    assert "is there already" in capsys.readouterr().err
