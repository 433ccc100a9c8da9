"""Parts of what was recorded in one go: by time, with a gap, and said wherever the result is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tempreg.cli.main import main
from tempreg.data import DataError, DataSet, load_dataset
from tempreg.data.base import SPLITS
from tempreg.data.splits.parts import OUT, draw
from tempreg.data.splits.resample import cross_validation
from tempreg.data.splits.sessions import sessions_of

SHARES = {"test": 0.1, "validation": 0.1}


def one_go(sizes: list[int]) -> tuple[np.ndarray, list[str]]:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return labels, [f"session {label}" for label in labels]


@given(sizes=st.lists(st.integers(3, 120), min_size=2, max_size=4), seed=st.integers(0, 9))
def test_one_session_is_cut_into_stretches_with_gaps(sizes: list[int], seed: int) -> None:
    labels, names = one_go(sizes)
    time = np.concatenate([np.random.default_rng(seed).permutation(size) for size in sizes])
    drawn = draw(labels, SHARES, seed, "abcd", sessions_of(names, time.tolist(), labels))
    for label, size in enumerate(sizes):
        of = labels == label
        places = {name: np.sort(time[of & (drawn.part == name)]) for name in (*SPLITS, OUT)}
        for name in SPLITS:
            assert (np.diff(places[name]) == 1).all()
            assert len(places[name])
        far = min(abs(int(a) - int(b)) for a in places["train"] for n in SHARES for b in places[n])
        assert far > max(int(size >= 12), int(0.024 * size))
        assert abs(len(places["test"]) - 0.1 * size) <= 1
    assert drawn.cautions[0].startswith("not a test of another session: all ")
    assert "record three sessions or more of each class" in drawn.cautions[0]


def test_of_two_sessions_one_is_the_test() -> None:
    labels = np.repeat([0, 1], 40)
    names = [f"{label}{i % 2}" for i, label in enumerate(labels)]
    for seed in range(6):
        drawn = draw(labels, SHARES, seed, ("owl", "elk"), sessions_of(names, range(80), labels))
        of = {n: {names[i] for i in np.flatnonzero(drawn.part == n)} for n in SPLITS}
        assert len(of["test"]) == 2
        assert not of["test"] & (of["train"] | of["validation"])
        assert of["validation"] == of["train"]
        assert drawn.cautions[0].startswith(
            "not a validation on another session: class 'owl' (and of 1 more) has two, "
        )


def test_three_sessions_need_no_caution_and_one_class_of_one_is_named() -> None:
    labels = np.repeat([0, 1, 2], 30)
    names = [f"{label}{i % 3 if label else 0}" for i, label in enumerate(labels)]
    drawn = draw(labels, SHARES, 0, ("owl", "elk", "yak"), sessions_of(names, range(90), labels))
    (said,) = drawn.cautions
    assert said.startswith("not a test of another session: all 30 samples of class 'owl' are of")
    for name in SPLITS:
        assert len({names[i] for i in np.flatnonzero((drawn.part == name) & (labels > 0))}) == 2
    whole = labels > 0
    names = [n for n, w in zip(names, whole, strict=True) if w]
    drawn = draw(labels[whole] - 1, SHARES, 0, (), sessions_of(names, range(60), labels[whole] - 1))
    assert drawn.cautions == ()


def pictures(folder: Path, names: list[str]) -> Path:
    """Each class drifts slowly: neighbours are nearly the same picture."""
    for shift, label in enumerate(("cat", "dog")):
        rng = np.random.default_rng(shift)
        picture = rng.integers(0, 200, (8, 8)).astype(float)
        for name in names:
            picture += rng.normal(0, 3, (8, 8))
            path = folder / label / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)
    return folder


def load(folder: Path, **options: object) -> DataSet:
    return load_dataset("image-folder", num_steps=1, path=folder, **options)


def test_a_burst_of_pictures_is_no_random_split(tmp_path: Path) -> None:
    names = {
        "guess": [f"IMG_{i}" for i in range(40)],
        "bare": [str(i) for i in range(40)],
        "folder": [f"burst/IMG_{i}" for i in range(40)],
        "says nothing": [f"images/IMG_{i}" for i in range(40)],
    }
    for name, of in names.items():
        data = load(pictures(tmp_path / name, of))
        (said,) = data.cautions
        known = name == "folder"
        assert said.startswith("not a test of" if known else "perhaps not a test of other record")
        assert [len(data.split(s)) for s in SPLITS] == [60, 8, 8]
        assert data.sessions is not None
        assert len(data.sessions) == 76
        assert load(tmp_path / name, sessions="none").cautions == ()
    other = pictures(tmp_path / "other", ["a1b", "x", "y7c", "zz", "kl", "m"])
    assert load(other).cautions == ()
    assert load(other).sessions is None


def test_subjects_of_pictures_are_never_divided(tmp_path: Path) -> None:
    names = [f"{who}_{i}" for who in ("ann", "bob", "cid", "dan") for i in range(5)]
    data = load(pictures(tmp_path, names))
    assert data.cautions == ()
    assert data.sessions is not None
    parts = data.sessions.split([len(data.split(s)) for s in SPLITS])
    assert sum(len(part.unique()) for part in parts) == len(data.sessions.unique()) == 4


def test_parts_that_are_given_may_share_a_session(tmp_path: Path) -> None:
    for part in ("train", "test"):
        pictures(tmp_path / part, [f"monday/{i}" for i in range(6)])
    said = load(tmp_path).cautions
    assert said[0].startswith(
        "not a test of another session: session 'monday' of class 'cat' is in test and in train"
    )


def test_folds_deal_stretches_of_one_session(tmp_path: Path) -> None:
    data = load(pictures(tmp_path, [f"IMG_{i}" for i in range(40)]))
    folds = cross_validation(data, folds=4, fold=0, validation=0.1, seed=0)
    assert folds.cautions == data.cautions
    assert data.sessions is not None
    held = data.sessions[folds.test.ids].unique()
    rest = data.sessions[torch.cat([folds.train.ids, folds.validation.ids])].unique()
    assert not set(held.tolist()) & set(rest.tolist())
    assert 8 <= len(held) <= 12


def test_a_class_of_two_sessions_and_too_few_pieces_is_named(tmp_path: Path) -> None:
    pictures(tmp_path, ["mon/0", "tue/0"])
    with pytest.raises(DataError, match=r"class 'cat' has 2 samples .*three are needed"):
        load(tmp_path)


def test_the_caution_is_told_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = pictures(tmp_path / "data", [f"burst/IMG_{i}" for i in range(12)])
    run = tmp_path / "run"
    words = ["--data", str(data), "--out", str(run), "--epochs", "1", "--model.channels", "[4]"]
    assert main(["train", *words, "--num-steps", "1"]) == 0
    told = capsys.readouterr()
    said = "not a test of another session: all 12 samples of class 'cat' (and of 1 more) are of one"
    assert said in told.out.splitlines()[-1]
    assert said in told.out + told.err
    assert json.loads((run / "data.json").read_text())["cautions"][0].startswith(said)
    assert "**Not a test of another session" in (run / "README.md").read_text()
    assert main(["report", str(run)]) == 0
    assert "Not a test of another session" in (run / "report.html").read_text()
    capsys.readouterr()
    for words in (["evaluate"], ["evaluate", "--json"], ["analyze", "spikes", "--samples", "4"]):
        assert main([words[0], str(run), *words[1:]]) == 0
        assert said in capsys.readouterr().out, words
    assert main(["evaluate", str(run), "--split", "train"]) == 0
    assert said not in capsys.readouterr().out
