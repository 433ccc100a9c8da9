"""Files from strangers, kind by kind: what they name, claim and hold is refused in a sentence."""

from __future__ import annotations

import csv
import gzip
import html
import io
import json
import os
import re
import shlex
import shutil
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from tempreg.analysis.fisher import Fisher
from tempreg.analysis.result import Result, ResultError
from tempreg.build import build_model
from tempreg.config import RunConfig, read_config
from tempreg.data import DataError, load_dataset, unpack
from tempreg.data.event_files import read_recording
from tempreg.data.event_sources import DVS128Gesture, gesture_labels
from tempreg.data.fetch import RECORD, fetch
from tempreg.data.registry import SOURCES
from tempreg.data.static.cifar import CIFAR10
from tempreg.data.static.folder import TinyImageNet
from tempreg.models import create_model, load_weights
from tempreg.models.weights import WeightsError
from tempreg.observers import observer_for
from tempreg.prediction import stored_network
from tempreg.report.reading import ReportError
from tempreg.report.single import write_run_report
from tempreg.study.arms import Arm
from tempreg.study.plan import StudyError, make_plan
from tempreg.study.report import write_study_report
from tempreg.study.slurm import write_jobs
from tempreg.training.run_directory import RunDirectory, RunDirectoryError
from tests.conftest import CommandLine
from tests.fuzz.mutations import mutated
from tests.study_folder import make_study
from tests.unit import test_event_files as layouts
from tests.unit.test_static_cifar import written

OLD_RUN = Path(__file__).parents[1] / "data" / "old_run"


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


HUGE = "9" * 400


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("summary.json", r'"epochs": \d+', f'"epochs": {HUGE}'),
        ("summary.json", r'"epochs": \d+', f'"epochs": {"9" * 5000}'),
        ("metrics.jsonl", r'"loss": [\d.]+', f'"loss": {HUGE}'),
        ("metrics.jsonl", r'"loss": [\d.]+', '"loss": 1e999'),
        ("analysis/fisher.json", r'"per_step": \[[\d.]+', '"per_step": [-1e308'),
        ("analysis/fisher.json", r'"centroid": 2.5', f'"centroid": -{HUGE}'),
        ("analysis/fisher.json", r'"per_step": \[[\d.]+', f'"per_step": [{HUGE}'),
        ("analysis/fisher_over_training.jsonl", r'"epoch": 1', f'"epoch": {HUGE}'),
        ("analysis/fisher_over_training.jsonl", r'"epoch": 1', '"epoch": Infinity'),
        ("analysis/fisher_over_training.jsonl", r'"epoch": 1', '"epoch": ' + "[" * 10_000),
    ],
)
def test_numbers_in_a_report_that_are_none(tmp_path: Path, name: str, old: str, new: str) -> None:
    run = make_study(tmp_path / "study", replicates=3) / "runs/0/000"
    before = (run / name).read_text()
    assert re.search(old, before)
    (run / name).write_text(re.sub(old, new, before, count=1))
    with pytest.raises(ReportError, match=rf"{Path(name).name}.* is damaged"):
        write_run_report(run)
    assert not (run / "report.html").exists()


def test_a_result_with_numbers_no_array_can_hold(tmp_path: Path) -> None:
    names = dict.fromkeys(Fisher.__dataclass_fields__, 1)
    content = {**names, "quantity": Fisher.quantity, "version": 1}
    content[next(iter(Fisher.axes))] = [int(HUGE)]
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert issubclass(Fisher, Result)
    with pytest.raises(ResultError, match="is damaged"):
        Fisher.load(tmp_path / "a.json")


def test_a_command_to_be_pasted_has_no_other_in_it(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", replicates=3)
    odd = "runs/0/a'; touch pwned; '"
    (study / "runs/0/000").rename(study / odd)
    rows = list(csv.DictReader((study / "results.csv").read_text().splitlines()))
    rows[0]["run"] = odd
    with (study / "results.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    write_study_report(study)
    page = html.unescape((study / "report.html").read_text())
    (command,) = re.findall(r"tempreg train .*config\.yaml.* --out again", page)
    assert shlex.split(command) == ["tempreg", "train", f"{odd}/config.yaml", "--out", "again"]


@pytest.mark.parametrize("old", ['"in_channels": 1', '"input_size": [\n    8'])
@pytest.mark.parametrize("claim", ["-1", "0", "1000000000000000000", "1e400"])
def test_a_run_of_samples_that_cannot_be(tmp_path: Path, old: str, claim: str) -> None:
    run = shutil.copytree(OLD_RUN / "run", tmp_path / "run")
    before = (run / "data.json").read_text()
    assert old in before
    (run / "data.json").write_text(before.replace(old, old[:-1] + claim, 1))
    with pytest.raises(RunDirectoryError, match=r"data\.json is damaged \(.*\): restore it"):
        stored_network(run)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("executed", "w")


def test_weights_with_code_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": Trap()}, "w.pt")
    network = create_model("csnn", num_classes=3, num_steps=1, in_channels=1, input_size=8)
    with pytest.raises(WeightsError, match="holds objects that may run code") as error:
        load_weights(network, "w.pt")
    assert "weights_only" not in str(error.value), "no advice to load it all the same"
    assert not Path("executed").exists()


@pytest.mark.parametrize("text", [b"\xff\n", b"[" * 10_000 + b"\n", b"3\n", b'{"epoch": "x"}\n'])
def test_damaged_measurements_while_training(tmp_path: Path, text: bytes) -> None:
    config = replace(read_config(OLD_RUN / "run" / "config.yaml"), fisher_every=1)
    data = load_dataset("npz", num_steps=config.num_steps, path=OLD_RUN / "own.npz")
    (tmp_path / "analysis").mkdir()
    (tmp_path / "analysis" / "fisher_over_training.jsonl").write_bytes(text)
    observe = observer_for(config, data, RunDirectory(tmp_path))
    with pytest.raises(RunDirectoryError, match="delete it to go on"):
        observe(1, build_model(config, data))


@pytest.mark.parametrize("text", [b"\xff", b"[" * 10_000, b"[]", b'{"a": 3}'])
def test_a_damaged_record_of_what_was_fetched(tmp_path: Path, text: bytes) -> None:
    source = next(s for s in SOURCES.values() if s.downloads and s.downloads[0].unpack)
    (tmp_path / RECORD).write_bytes(text)
    with pytest.raises(DataError, match="is damaged: remove it, then fetch again"):
        fetch(source, tmp_path, lambda *_: None)


@pytest.mark.parametrize("name", ["a\ntouch pwned", 'a"; touch pwned; "'])
def test_job_files_hold_no_lines_from_a_folders_name(tmp_path: Path, name: str) -> None:
    arms = [Arm("rate", {"objective.name": "rate"})]
    plan = make_plan("x", RunConfig(), arms, 2, trials=0, analyses=(), samples=4)
    with pytest.raises(StudyError, match="can't name"):
        write_jobs(plan, tmp_path / name, options=(), jobs=None)
    assert not list(tmp_path.iterdir())


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


@pytest.mark.parametrize("kind", ["tar", "png"])
def test_mutations_give_whole_files_too(kind: str) -> None:
    out = io.BytesIO()
    if kind == "tar":
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
            archive.addfile(tarfile.TarInfo("b"), io.BytesIO())
    else:
        Image.new("L", (4, 4)).save(out, "PNG")
    read, hostile = 0, 0
    for number in range(60):
        changed = mutated([out.getvalue()], Random(number))
        if (known := _whole(kind)(changed)) is not None:
            read += 1
            hostile += known
    assert read > 5
    assert hostile > 0


def _whole(kind: str) -> Callable[[bytes], bool | None]:
    def tar(raw: bytes) -> bool | None:
        try:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(raw))) as archive:
                return any(not m.isreg() or m.name not in "ab" for m in archive.getmembers())
        except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error):
            return None

    def png(raw: bytes) -> bool | None:
        return b"tEXt" in raw or b"iCCP" in raw or b"zTXt" in raw

    return tar if kind == "tar" else png
