"""Samples and splits that can't teach anything: said in a sentence that names class and file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tempreg.data import DataError, DataOptions, DataSet, load_dataset
from tempreg.data.base import SPLITS, ArraySplit
from tempreg.data.layout.sessions import by_name
from tempreg.data.reading import Reading
from tempreg.data.sources.events import EventFolder
from tempreg.data.sources.recordings import Sample, parts
from tempreg.data.splits.drawn import held_out, usable
from tempreg.data.splits.resample import cross_validation, fewer
from tests.conftest import CommandLine, said
from tests.unit.data.formats.recordings.layouts import forty_bit

RNG = np.random.default_rng(0)


def record(path: Path, events: int = 40) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(events)
    path.write_bytes(forty_bit(np.stack([t, RNG.integers(0, 30, events), t % 30, t % 2], axis=1)))


def lay(root: Path, names: dict[str, list[str]]) -> Path:
    for label, stems in names.items():
        for stem in stems:
            record(root / label / f"{stem}.bin")
    return root


def drawn(root: Path, seed: int = 0) -> tuple[list[Sample], list[Counter[int]], tuple[str, ...]]:
    """Samples, those of each class in each part, and the remarks."""
    classes, samples, remarks = EventFolder().found(root)
    rows, _ = parts(samples, DataOptions(num_steps=1, split_seed=seed), classes)
    assert sorted(np.concatenate(rows)) == list(range(len(samples)))
    return samples, [Counter(samples[i].target for i in part) for part in rows], remarks


def test_one_name_that_ends_in_a_number_makes_no_sessions(tmp_path: Path) -> None:
    """18 recordings of 6 classes, of which one alone is called so: 6 / 6 / 6, never 1 / 6 / 11."""
    names = {label: [f"take {i}" for i in range(3)] for label in "abcdef"}
    names["a"][0] = "take_1"
    for i, same in enumerate((["take_0", "take_1", "take_2"], ["t0", "t1", "t2"])):
        variant = {label: list(same) for label in "bcdef"} | {"a": ["take_0", "take_1", "other_1"]}
        for root, laid in ((tmp_path / f"{i}", variant), (tmp_path / f"{i}x", names)):
            _, counts, _ = drawn(lay(root, laid))
            assert [sorted(part.values()) for part in counts] == [[1] * 6] * 3


def test_names_are_sessions_where_every_class_has_several(tmp_path: Path) -> None:
    days = [f"{day}_{i}" for day in ("mon", "tue", "wed", "thu") for i in range(4)]
    samples, counts, remarks = drawn(lay(tmp_path / "a", {"x": days, "y": [*days, "odd"]}))
    assert {sample.session for sample in samples} == {"mon", "tue", "wed", "thu", None}
    assert all(part.keys() == {0, 1} for part in counts)
    assert remarks == ("sessions of what was recorded in one go: 4 (mon, thu, tue, ...)",)
    odd = [f"y_{i}" for i in range(7)] + [f"y{i}" for i in "abcdefghi"]
    _, counts, remarks = drawn(lay(tmp_path / "b", {"x": days, "y": odd}))
    assert [part[1] for part in counts] == [13, 1, 2]
    assert remarks == (
        "names such as mon_<n> are not taken for sessions, for most of class y are not of that "
        "form",
    )


def test_sessions_of_each_class_for_itself_can_be_split(tmp_path: Path) -> None:
    """Three sessions of ten in each class: none is near the wanted three, and one must be taken."""
    names = {label: [f"{label}{s}/{i}" for s in range(3) for i in range(10)] for label in "xy"}
    samples, counts, _ = drawn(lay(tmp_path, names))
    assert [dict(part) for part in counts] == [{0: 10, 1: 10}] * 3
    assert len({sample.session for sample in samples}) == 6


@given(
    sizes=st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=3, max_size=12),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_any_sessions_leave_every_class_something_to_train_on(
    sizes: list[list[int]], seed: int
) -> None:
    """Either a class is named that can't be split, or training has all of them and the most."""
    samples = [
        Sample(Path(f"{s}-{c}-{i}"), c, session=str(s))
        for s, counts in enumerate(sizes) for c, count in enumerate(counts) for i in range(count)
    ]  # fmt: skip
    if not samples:
        return
    units = Counter(s.target for s in {(s.target, s.session): s for s in samples}.values())
    try:
        rows, said = parts(samples, DataOptions(num_steps=1, split_seed=seed), ("p", "q", "r"))
    except DataError:
        assert min(units.values()) < 3
        return
    held = [{(samples[i].target, samples[i].session) for i in part} for part in rows]
    whole = {(t, s) for part in held for t, s in part if units[t] > 2}
    assert all(sum(key in part for part in held) == 1 for key in whole)
    assert not held[2] & held[0] or min(units.values()) == 1
    assert bool(said) == (min(units.values()) < 3)
    assert {samples[i].target for i in rows[0]} == {s.target for s in samples}
    assert all(map(len, rows))


def test_a_class_of_too_few_is_named_with_what_is_needed(tmp_path: Path) -> None:
    names = {"cat": [str(i) for i in range(9)], "owl": ["0", "1"]}
    with pytest.raises(DataError, match="class 'owl' has 2 samples: three are needed, one to trai"):
        drawn(lay(tmp_path / "a", names))
    for label, count in (("cat", 9), ("owl", 1), ("yak", 2)):
        for i in range(count):
            path = tmp_path / "images" / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(RNG.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    with pytest.raises(DataError, match=r"class 'owl' has 1 sample \(1 more class alike\): three"):
        load_dataset("image-folder", num_steps=1, path=tmp_path / "images")
    x = RNG.integers(0, 256, (12, 6, 6), dtype=np.uint8)
    y = np.array([0] * 10 + [1] * 2)
    path = tmp_path / "own.npz"
    np.savez(path, x=x, y=y, classes=np.array(["cat", "owl"]))
    with pytest.raises(DataError, match="class 'owl' has 2 samples: three are needed"):
        load_dataset("npz", num_steps=1, path=path)
    np.savez(path, x=x, y=y, x_test=x, y_test=y)  # now two are enough
    data = load_dataset("npz", num_steps=1, path=path)
    assert torch.bincount(data.train.targets).tolist() == [9, 1]
    np.savez(path, x=x[:11], y=y[:11], x_test=x, y_test=y)
    with pytest.raises(
        DataError, match="class '1' has 1 sample: two are needed, one to train on, "
    ):
        load_dataset("npz", num_steps=1, path=path)


def test_a_share_that_leaves_a_class_nothing(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (43, 6, 6), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", x=x, y=np.array([0] * 40 + [1] * 3))
    with pytest.raises(
        DataError, match=r"0\.9 leaves none of the 3 samples of class '1' to train on"
    ):
        load_dataset("npz", num_steps=1, path=tmp_path / "own.npz", validation=0.9)


def _evt3(*words: int) -> bytes:
    return b"% evt 3.0\n% end\n" + np.array(words, dtype="<u2").tobytes()


EMPTY = {
    "evt3 of a header alone": ("raw", _evt3()),
    "evt3 of triggers only": ("raw", _evt3(0x8005, 0x6064, 0xA001)),
    "npz of no rows": ("npz", None),
    "csv of a heading": ("csv", b"t,x,y,p\n"),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_recordings_without_events(tmp_path: Path, tempreg_here: CommandLine, kind: str) -> None:
    lay(tmp_path / "own", {label: [str(i) for i in range(6)] for label in "ab"})
    suffix, content = EMPTY[kind]
    path = tmp_path / "own" / "b" / f"nothing.{suffix}"
    if content is None:
        np.savez(path, **{name: np.zeros(0, np.int64) for name in "txyp"})
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=rf"nothing\.{suffix} holds no event: there is nothing to"):
        load_dataset("event-folder", num_steps=2, path=tmp_path / "own", cache=False)
    with pytest.raises(DataError, match="holds no event, so there is nothing to classify"):
        Reading("events", 2, (34, 34)).read(path, DataOptions(num_steps=2))
    if suffix == "npz":
        answer = tempreg_here("data", "check", "event-folder", "--data", "own")
        assert answer.returncode == 1
        assert "damaged: 1" in answer.stdout
        (line,) = said(answer.stderr)
        assert line.startswith(f"tempreg: {Path('own', 'b', 'nothing.npz')} holds no event: ")


def test_images_check_goes_on_and_names_what_is_blank(
    tmp_path: Path, tempreg_here: CommandLine
) -> None:
    for label in "ab":
        (tmp_path / "own" / label).mkdir(parents=True)
        for i in range(4):
            pixels = RNG.integers(0, 256, (8, 6 + i), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "own" / label / f"{i}.png")
    Image.new("RGB", (5, 5), (9, 0, 0)).save(tmp_path / "own" / "a" / "blank.png")
    (tmp_path / "own" / "a" / "1.png").write_text("no image")
    (tmp_path / "own" / "b" / "2.png").write_bytes(b"")
    answer = tempreg_here("data", "check", "image-folder", "--data", "own")
    assert answer.returncode == 1
    assert [line.split(" is ")[0] for line in said(answer.stderr)] == [
        f"tempreg: {Path('own', 'a', '1.png')}", f"tempreg: {Path('own', 'b', '2.png')}"
    ]  # fmt: skip
    assert f"one colour all over: 1 ({Path('own', 'a', 'blank.png')})" in answer.stdout
    assert "size: 3 x 5 ... 8 x 5 ... 9 (channels, height, width)" in answer.stdout
    assert "damaged: 2" in answer.stdout


def test_check_says_what_cannot_be_trained_on(tmp_path: Path, tempreg_here: CommandLine) -> None:
    lay(tmp_path / "one" / "train", {"a": ["1", "2", "3"]})
    lay(tmp_path / "some" / "train", {label: ["1", "2", "3"] for label in "ab"})
    lay(tmp_path / "some" / "test", {"b": ["1"]})
    answer = tempreg_here("data", "check", "event-folder", "--data", "one")
    assert answer.returncode == 1
    assert said(answer.stderr) == [
        "tempreg: event-folder has one class, 'a': it takes two to train"
    ]  # fmt: skip
    answer = tempreg_here("data", "check", "event-folder", "--data", "some")
    assert (answer.returncode, said(answer.stderr)) == (0, [])
    assert "1 of 2 classes have no test sample: a" in answer.stdout


def test_blank_images_are_said_and_equal_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    x, y = RNG.integers(0, 256, (40, 6, 6), dtype=np.uint8), np.arange(40) % 2
    x[:30] = 7
    np.savez(path, x=x, y=y)
    data = load_dataset("npz", num_steps=1, path=path)
    (remark,) = data.remarks
    blank = int((data.train.values == 7).all(dim=3).all(dim=2).sum())  # type: ignore[attr-defined]
    assert remark == f"{blank} of {len(data.train)} training images are one colour all over"
    np.savez(path, x=x[:1].repeat(40, axis=0), y=y)
    with pytest.raises(DataError, match="training images of npz are the same"):
        load_dataset("npz", num_steps=1, path=path)


def arranged(
    *labels: list[int], classes: str = "abc", sessions: list[int] | None = None
) -> DataSet:
    splits = [ArraySplit(torch.zeros(len(y), 1, 2, 2), torch.tensor(y)) for y in labels]
    told = None if sessions is None else torch.tensor(sessions)
    return DataSet("own", *splits, tuple(classes), 1, (2, 2), sessions=told)


def test_official_parts_that_hold_only_some_classes() -> None:
    data = usable(arranged([0, 1, 2], [0, 1], [2]))
    assert data.remarks == (
        "1 of 3 classes have no validation sample: c",
        "2 of 3 classes have no test sample: a, b",
    )
    with pytest.raises(DataError, match="train split of own has samples of one class only, 'b'"):
        usable(arranged([1, 1], [0, 1], [0, 1]))


def test_the_fewest_training_samples_are_one_of_each_class() -> None:
    data = arranged([0] * 100 + [1] * 2 + [2] * 30, [0, 1, 2], [0, 1, 2])
    for seed in range(5):
        assert sorted(fewer(data, 3, seed).train.targets.tolist()) == [0, 1, 2]
        assert set(fewer(data, 7, seed).train.targets.tolist()) == {0, 1, 2}


def test_folds_never_divide_a_session() -> None:
    sessions = [s for s in range(9) for _ in range(4)]
    labels = [i % 2 for i in range(36)]
    data = arranged(labels[:20], labels[20:28], labels[28:], classes="ab", sessions=sessions)
    for fold in range(3):
        split = cross_validation(data, folds=3, fold=fold, validation=0.2, seed=4)
        held = [{sessions[i] for i in split.split(name).ids.tolist()} for name in SPLITS]
        assert sum(map(len, held)) == 9
        assert len(held[2]) == 3
        assert torch.bincount(split.test.targets).tolist() == [6, 6]
    with pytest.raises(ValueError, match="10 folds need 10 recording sessions of each class, but"):
        cross_validation(data, folds=10, fold=0, validation=0.2, seed=4)


def test_folds_name_the_class_that_has_too_few() -> None:
    data = arranged([0] * 9 + [1] * 9 + [2], [2], [2])
    for folds in (2, 5):
        with pytest.raises(ValueError, match=f"{folds} folds need . samples .*class 'c' has 3"):
            cross_validation(data, folds=folds, fold=0, validation=0.2, seed=0)
    for fold in range(3):
        split = cross_validation(data, folds=3, fold=fold, validation=0.1, seed=0)
        assert set(split.train.targets.tolist()) == {0, 1, 2}


def test_held_out_leaves_what_is_needed() -> None:
    groups = np.repeat(np.arange(3), [11, 6, 1])
    mask = held_out(np.arange(18) % 6, 0.1, 0, groups, leave=2)
    assert mask.sum() in (1, 6)
    assert by_name(["a_1", "b_1", "a_2"], [0, 0, 0], ["k"])[0] == ["a", "b", "a"]
