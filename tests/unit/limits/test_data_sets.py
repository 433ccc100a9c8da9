"""Data from strangers: what it names, claims and holds is refused in a sentence."""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from tempreg.data import DataError, load_dataset
from tempreg.data.fetch import unpack
from tempreg.data.fetch.fetch import RECORD, fetch
from tempreg.data.formats.recordings import read_recording
from tempreg.data.registry import SOURCES
from tempreg.data.sources.cifar import CIFAR10
from tempreg.data.sources.events import DVS128Gesture, gesture_labels
from tempreg.data.sources.imagenet import TinyImageNet
from tests.conftest import CommandLine
from tests.unit.data.formats.recordings import layouts
from tests.unit.data.sources.test_static_cifar import written


@pytest.mark.parametrize(
    "trial",
    [
        "../../user01_led.aedat",
        "/user01_led.aedat",
        "a/user01_led.aedat",
        "..",
        "x\0.aedat",
        "\udcff",
    ],
)
def test_a_list_of_trials_names_nothing_elsewhere(tmp_path: Path, trial: str) -> None:
    for part in ("train", "test"):
        (tmp_path / f"trials_to_{part}.txt").write_bytes(os.fsencode(trial))
    for read in (DVS128Gesture().missing, DVS128Gesture().samples):
        with pytest.raises(DataError, match=r"trials_to_train\.txt(:| is not text)"):
            read(tmp_path)


@pytest.mark.parametrize(
    "text",
    [b"\xff\xfe", b"class\n" + b"1" * 200_000, b"c,s,e\n1,-5,9\n", b"c,s,e\n1,2,9" + b"9" * 30,
     b"c,s,e\n1,2,9" + b"9" * 5000, b"c,s,e\n1,2\n", b'c,s,e\n"1,2,3'],
)  # fmt: skip
def test_labels_of_gestures(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(text)
    with pytest.raises(DataError, match=r"labels\.csv, line \d: must be class"):
        gesture_labels(path)


def test_an_archive_of_images_whose_header_unpacks_to_gigabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "SMALL", 2**20)
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", 2**24
    head = info.tobuf(tarfile.USTAR_FORMAT)
    with gzip.open(tmp_path / CIFAR10().archives[0], "wb") as packed:
        packed.write(head + bytes(2**24))
    with pytest.raises(DataError, match="unpacks to too much for an archive of its size"):
        load_dataset("cifar10", num_steps=2, path=tmp_path)


@pytest.mark.parametrize(
    "claim",
    [
        {"GNU.sparse.map": "1,x"},
        {"GNU.sparse.size": "x"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"},
    ],
)
def test_archives_whose_headers_hold_no_numbers(tmp_path: Path, claim: dict[str, str]) -> None:
    info = tarfile.TarInfo("a")
    info.pax_headers = claim
    path = tmp_path / CIFAR10().archives[0]
    with gzip.open(path, "wb") as packed:
        packed.write(info.tobuf(tarfile.PAX_FORMAT) + bytes(1024))
    (tmp_path / "into").mkdir()
    with pytest.raises(DataError, match="is damaged, or no archive"):
        unpack.unpack(path, tmp_path / "into")
    with pytest.raises(DataError, match=r"can't be read as \.tar\.gz"):
        load_dataset("cifar10", num_steps=2, path=tmp_path)


@pytest.mark.parametrize("digits", ["0", "40000", "9" * 20, "9" * 5000])
@pytest.mark.parametrize("kind", [".dat", ".raw"])
def test_a_sensor_that_cannot_be(tmp_path: Path, kind: str, digits: str) -> None:
    raw = (layouts.dat if kind == ".dat" else layouts.evt3)(np.array([[5, 1, 2, 1]]))
    if kind == ".dat":
        raw = raw.replace(b"Height 240", f"Height {digits}".encode())
    else:
        raw = raw.replace(b"height=480", f"height={digits}".encode())
    (tmp_path / f"a{kind}").write_bytes(raw)
    with pytest.raises(DataError, match=r"claims a sensor of \d+ x \d+ pixels: 1 \.\.\. 32768"):
        read_recording(tmp_path / f"a{kind}")


@pytest.mark.parametrize("binary", [False, True])
def test_class_names_that_are_no_text(tmp_path: Path, binary: bool) -> None:
    folder, _ = written(tmp_path, "cifar10", binary)
    names = folder / CIFAR10().names[0 if binary else 1]
    names.write_bytes(names.read_bytes().replace(b"class3", b"\xff\xfess3"))
    with pytest.raises(DataError, match=r"batches\.meta\S* (is not text|can't be read)"):
        load_dataset("cifar10", num_steps=2, path=tmp_path)


@pytest.mark.parametrize("file", ["../../x.JPEG", "/x.JPEG", "x\0.JPEG", "a/x.JPEG"])
def test_labels_of_tiny_imagenet_name_nothing_elsewhere(tmp_path: Path, file: str) -> None:
    (tmp_path / "train" / "n01").mkdir(parents=True)
    (tmp_path / "train" / "n01" / "0.JPEG").touch()
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "val_annotations.txt").write_text(f"{file}\tn01\t0\n")
    with pytest.raises(DataError, match="line 1: no file and known class"):
        TinyImageNet().parts(tmp_path)


@pytest.mark.parametrize("text", [b"\xff", b"[" * 10_000, b"[]", b'{"a": 3}'])
def test_a_damaged_record_of_what_was_fetched(tmp_path: Path, text: bytes) -> None:
    source = next(s for s in SOURCES.values() if s.downloads and s.downloads[0].unpack)
    (tmp_path / RECORD).write_bytes(text)
    with pytest.raises(DataError, match="is damaged: remove it, then fetch again"):
        fetch(source, tmp_path, lambda *_: None)


def test_names_of_classes_cannot_steer_the_terminal(
    tempreg_here: CommandLine, tmp_path: Path
) -> None:
    for label in ("a\x1b[2J\nb", "c"):
        (tmp_path / "own" / label).mkdir(parents=True)
        for i in range(12):
            t = np.arange(9)
            np.savez(tmp_path / "own" / label / f"{i}.npz", t=t, x=t, y=t, p=t % 2)
    (tmp_path / "own" / "c" / "x\x1b[2J.npz").write_bytes(b"no")
    done = tempreg_here("data", "check", "event-folder", "--data", "own")
    assert done.returncode == 1
    assert "\\x1b[2J b" in done.stdout
    assert "x\\x1b[2J.npz" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
