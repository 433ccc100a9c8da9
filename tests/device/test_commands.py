"""Commands on a device that isn't there say what they say on a CPU; see `tests.pretend_device`.

It runs in a process of its own: pytest again on this file, collecting other function names.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tempreg
from tempreg.audit.check import AuditError
from tempreg.cli.main import COMMANDS, main
from tempreg.config import RunConfig, config_text
from tempreg.data.sources.embedded import nmnist_recordings
from tempreg.errors import RequestError
from tempreg.runs.stream import Answer
from tests.pretend_device import PretendDevice, counted, of_kind, pretend_device
from tests.pretend_runs import computing_there, studies_inside


def test_on_a_device_that_is_not_there() -> None:
    words = ["-m", "pytest", "-p", "no:cacheprovider", "-o", "python_functions=there_*", __file__]
    child = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stdout + child.stderr


@pytest.fixture(scope="module")
def device() -> Iterator[PretendDevice]:
    with pretend_device() as made:
        yield made


@pytest.fixture(scope="module")
def place(device: PretendDevice, tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that was trained there, its settings, a recording, and a NIR graph."""
    folder = tmp_path_factory.mktemp("commands")
    few = replace(tiny.data, train_size=60)
    settings = replace(tiny, epochs=1, backend="eager", data=few, snapshot_every=1)
    (folder / "few.yaml").write_text(config_text(settings))
    one = nmnist_recordings()[0][0:1]
    np.save(folder / "one.npy", np.stack([one.t, one.x, one.y, one.p], axis=1))
    with pytest.MonkeyPatch.context() as patch, counted(device) as seen:
        computing_there(device, patch)
        assert main(["train", str(folder / "few.yaml"), "--out", str(folder / "run")]) == 0
    assert sum(of_kind(seen, "operation").values()) > 100
    return folder


COVERED = {
    "evaluate": ["evaluate", "run"],
    "analyze": ["analyze", "run", "spikes", "--samples", "4", "--brief"],
    "predict": ["predict", "run", "one.npy", "--json"],
    "predict --window": ["predict", "run", "one.npy", "--window", "100"],
    "predict --until": ["predict", "run", "one.npy", "--until", "0.2"],
    "predict --stream": ["predict", "run", "--stream", "one.npy", "--speed", "1000"],
    "calibrate": ["calibrate", "run", "--risk", "0.3", "--split", "test"],
    "export": ["export", "run", "--format", "c", "--out", "net.c"],
    "export --format nir": ["export", "run", "--format", "nir", "--out", "net.nir"],
    "import": ["import", "net.nir", "few.yaml", "--out", "mine.yaml"],
    "audit": ["audit", "run", "--allow", "stepwise"],
}
"""In this order, for `import` takes what `export` has written."""
ON_THE_CPU = {
    "audit": "looks for what a network does wrong, on the CPU whatever the device",
    "export": "writes the weights down",
    "export --format nir": "writes the weights down",
    "predict --stream": "one sample a call, which a CPU answers sooner",
    "predict --until": "one sample a call, which a CPU answers sooner",
}
"""Why these compute nothing on the device."""
APART = {
    "train": "the fixture `place`",
    "compare": "there_compare",
    "report": "reads files, with which there_compare ends",
    "data": "no network",
    "presets": "no network",
    "config": "no network",
    "bench": "measures the CPU; `make gpu-check` measures a GPU, see test_gpu_check.py",
    "completion": "no network",
}
"""Where else they are tried, or why there is nothing to try."""


def there_no_command_is_left_out() -> None:
    assert {name.split()[0] for name in COVERED} | APART.keys() == COMMANDS.keys()
    assert ON_THE_CPU.keys() <= COVERED.keys()


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(words) == 0, capsys.readouterr().err
    return capsys.readouterr().out


@pytest.mark.filterwarnings("default:backend 'compiled' cannot run on 'pretend'")
@pytest.mark.parametrize("name", COVERED)
def there_a_command_says_what_it_says_here(
    name: str,
    device: PretendDevice,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "nir" in " ".join(COVERED[name]):
        pytest.importorskip("nir")
    monkeypatch.chdir(place)
    here = said(COVERED[name], capsys)
    computing_there(device, monkeypatch)
    with counted(device) as seen:
        there = said(COVERED[name], capsys)
    assert there == here
    assert bool(of_kind(seen, "operation")) == (name not in ON_THE_CPU)


def there_compare(
    device: PretendDevice,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Runs, analyses and the report, each run commands of this process."""
    computing_there(device, monkeypatch)
    studies_inside(monkeypatch)
    words = ["compare", str(place / "few.yaml"), "--objectives", "rate,trt", "--seeds", "1"]
    words += ["--analyses", "spikes", "--samples", "4", "--jobs", "1", "--out"]
    words.append(str(tmp_path / "study"))
    with counted(device) as seen:
        said(words, capsys)
    with (tmp_path / "study" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["finished"] * 2, rows
    assert (tmp_path / "study" / "report.html").is_file()
    assert sum(of_kind(seen, "operation").values()) > 1000


def there_a_run_that_is_calibrated_answers_in_a_stream(device: PretendDevice, place: Path) -> None:
    """The run's network on the device, frame by frame, as on the CPU: bit for bit."""
    frames = torch.rand(2, 3, 2, 34, 34, generator=torch.Generator().manual_seed(0))
    answers: dict[str, list[Answer]] = {}
    for where, network in (("cpu", tempreg.load(place / "run")),
                           ("there", tempreg.load(place / "run").to(device.place))):  # fmt: skip
        x = frames if where == "cpu" else frames.to(device.place)
        stream = tempreg.Stream(network, until=0.2, backend="torch", steps=2)
        found = [stream.step(x[0])]
        stream.reset([1])
        found.append(stream.step(x[1]))
        stream.keep(~stream.step(x[0]).done | torch.tensor([True, False, True]).to(x.device))
        found.append(stream.step(x[1][: len(stream._shown)]))
        answers[where] = found
        x = x[:, : len(found[-1].label)]
        with pytest.raises(RequestError, match=r"frames are on .*, but the stream's network on"):
            stream.step(x[0].cpu() if where == "there" else x[0].to(device.place))
    for one, other in zip(answers["cpu"], answers["there"], strict=True):
        assert all(value.device == device.place for value in other)
        for mine, theirs in zip(one, other, strict=True):
            assert torch.equal(mine, theirs.cpu())


def there_an_audit_says_where_it_runs(device: PretendDevice, place: Path) -> None:
    network, x = tempreg.load(place / "run"), torch.rand(2, 2, 2, 34, 34)
    here = tempreg.audit(network, x)
    there = tempreg.audit(network, x.to(device.place), targets=torch.zeros(2).long())
    assert there.settings == here.settings
    with pytest.raises(AuditError, match=r"the model is on pretend: .* pass model.cpu\(\)"):
        tempreg.audit(network.to(device.place), x)


def there_a_run_goes_on(
    device: PretendDevice, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its last state, on the device, and then on the CPU."""
    shutil.copytree(place / "run", tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        computing_there(device, patch)
        assert main(["train", "--resume", "--out", str(tmp_path / "run")]) == 0
    assert main(["train", "--resume", "--out", str(tmp_path / "run")]) == 0
