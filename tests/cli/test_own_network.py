"""A network, a loss and a data set of one's own through every command, and what isn't run."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import yaml

import tempreg as library
from tempreg.errors import RequestError
from tempreg.runs import load_run
from tests.cli.own_runs import Killed, in_this_process, killed_after_an_epoch
from tests.conftest import CommandLine, same_weights
from tests.spoilt import arrays

pytestmark = pytest.mark.usefixtures("without_pictures")

NET = """
import torch
from torch import nn

import tempreg


class Net(nn.Module):
    def __init__(self, num_classes, in_channels, hidden=4):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, hidden, 3, padding=1)
        self.norm = nn.BatchNorm2d(hidden)
        self.lif = tempreg.LIF()
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x):
        steps, batch = x.shape[:2]
        current = self.norm(self.conv(x.flatten(0, 1))).unflatten(0, (steps, batch))
        return self.head(self.drop(self.lif(current).mean(dim=(3, 4))))
"""
LOSS = """
import torch

import tempreg


class Loss(tempreg.Objective):
    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = gain

    def compute(self, outputs, targets):
        return {"mine": self.gain * torch.nn.functional.cross_entropy(outputs.mean(0), targets)}
"""
DATA = """
import numpy as np


class Items:
    classes = ("dark", "grey", "light")

    def __init__(self, count):
        self.labels = np.arange(count) % 3
        noise = np.random.default_rng(0).random((count, 2, 1, 8, 8))
        self.frames = (noise + self.labels[:, None, None, None, None]).astype(np.float32)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.frames[index], self.labels[index]
"""
SETTINGS = """
epochs: 3
num_steps: 2
batch_size: 8
device: cpu
data: {name: npz, path: own.npz}
model: {name: "my_net:Net", own: {hidden: 6}}
objective: {name: trt}
"""
EVIL = 'from pathlib import Path\n(Path(__file__).parent / "ran").touch()\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a network, a loss, a data set and settings, and code that must not run."""
    import numpy as np

    files = {"my_net.py": NET, "my_loss.py": LOSS, "my_data.py": DATA, "mine.yaml": SETTINGS}
    for name, content in (files | {"evil.py": EVIL}).items():
        (tmp_path / name).write_text(content)
    np.savez(tmp_path / "own.npz", **arrays())
    return tmp_path


def test_the_walk(place: Path, tempreg_here: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def done(*words: str) -> subprocess.CompletedProcess[str]:
        answer = tempreg_here(*words)
        assert answer.returncode == 0, answer.stderr
        return answer

    train = ["train", "mine.yaml", "--out"]
    done(*train, "whole")
    with monkeypatch.context() as patch:
        killed_after_an_epoch(patch)
        with pytest.raises(Killed):
            tempreg_here(*train, "run")
    assert not (place / "run" / "summary.json").exists()
    done("train", "--resume", "--out", "run", "--trust-code")
    assert same_weights(place / "whole", place / "run")
    note = json.loads((place / "run" / "environment.json").read_text())["code_model_name"]
    assert note.startswith("my_net:Net, my_net.py, sha256 ")
    card = (place / "run" / "README.md").read_text()
    assert "tempreg evaluate . --trust-code" in card
    assert "code that this folder names and doesn't hold" in card
    told = json.loads(done("evaluate", "run", "--trust-code", "--json").stdout)
    assert len(told["accuracy_per_step"]) == 2
    done("analyze", "run", "gradients", "spikes", "--samples", "8", "--trust", "my_net:Net")
    assert (place / "run" / "analysis" / "spikes-held-out.json").is_file()
    done("report", "run")
    rows = arrays()["x"]
    from PIL import Image

    Image.fromarray(rows[0]).save(place / "one.png")
    said = done("predict", "run", "one.png", "--json", "--trust-code").stdout
    assert json.loads(said)["classes"][-1] in ("0", "1", "2")
    pytest.importorskip("onnx")
    assert "4 of 4 samples" in done("export", "run", "--format", "onnx", "--trust-code").stdout
    done("export", "run", "--format", "torch", "--raw", "--trust-code")
    done("export", "run", "--format", "nir", "--raw", "--trust-code")

    monkeypatch.chdir(place)
    network = library.load("run", trust_code=True)
    exported = torch.export.load(place / "run" / "model.pt2").module()
    images = torch.from_numpy(rows[:4, None]).float() / 100
    torch.testing.assert_close(exported(images), network(images))
    nir = pytest.importorskip("nir", reason="needs the package nir (tempreg[nir])")
    from tests.nir_interpreter import Interpreter

    shown = images.expand(2, *images.shape)
    logits, spikes, _ = Interpreter(nir.read(place / "run" / "model.nir"), 1e-3).run(shown)
    assert list(spikes) == ["model_lif"]
    torch.testing.assert_close(logits.float(), network(shown), rtol=1e-4, atol=1e-4)


def test_a_study_of_ones_own_runs_and_its_folder_alone_does_not(
    place: Path, tempreg_here: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_this_process(monkeypatch)
    words = ["compare", "mine.yaml", "--objectives", "step,mine=my_loss:Loss@own={gain: 2}"]
    words += ["--seeds", "2", "--epochs", "1", "--analyses", "spikes", "--samples", "8"]
    answer = tempreg_here(*words, "--out", "study")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    table = (place / "study" / "results.csv").read_text()
    assert table.count("finished") == 4
    assert (place / "study" / "report.html").is_file()
    assert (place / "study" / "runs" / "mine" / "001" / "analysis").is_dir()
    shutil.rmtree(place / "study" / "runs")
    # From elsewhere: the plan names the code, and nobody said that it may run.
    refused = tempreg_here("compare", "--out", "study", "--only", "runs/step/000")
    assert refused.returncode == 1
    assert "--trust-code" in (place / "study" / "runs" / "step" / "000.failed").read_text()
    assert not (place / "study" / "runs" / "step" / "000").exists()
    jobs = tempreg_here(*words, "--out", "study", "--slurm")
    assert jobs.returncode == 0, jobs.stderr
    task = (place / "study" / "slurm" / "task.sh").read_text()
    assert "--trust my_loss:Loss --trust my_net:Net --only" in task


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("model", "evil:Net"),
        ("model", "./evil.py:Net"),
        ("objective", "evil:Loss"),
        ("data", "evil:Source"),
    ],
)
def test_a_hostile_run_runs_nothing(
    place: Path, tempreg_here: CommandLine, setting: str, name: str
) -> None:
    run = place / "run"
    assert tempreg_here("train", "mine.yaml", "--epochs", "1", "--out", "run").returncode == 0
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["model"] |= {"name": "csnn", "own": None}
    settings[setting]["name"] = name
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    unfinished = place / "unfinished"
    shutil.copytree(run, unfinished)
    (unfinished / "summary.json").unlink()
    bare = place / "bare"  # without the files by which a folder of a run is known
    bare.mkdir()
    shutil.copy(run / "config.yaml", bare)
    commands = [
        "train --resume --out bare",
        "evaluate run",
        "analyze run spikes",
        "predict run one.png",
        "export run --format onnx",
        "export run --format nir",
        "export run --format c",
        "audit run",
        "calibrate run",
        "report run",
        "train --resume --out run",
        "train --resume --out unfinished",
        "train unfinished/config.yaml --out new",
        "compare unfinished/config.yaml --out study --objectives step,tet --seeds 1",
        "compare --out run --only runs/step/000",
        "config unfinished/config.yaml",
        "data check run",
    ]
    quiet = {"report run", "config unfinished/config.yaml"}
    if setting == "objective":  # a study has objectives of its own, and would run
        commands = [command for command in commands if not command.startswith("compare unf")]
    for command in commands:
        answer = _answer(tempreg_here, command)
        assert not (place / "ran").exists(), command
        if command not in quiet:
            assert answer.returncode == 2, (command, answer.stderr)
    for command in ("evaluate run", "train --resume --out unfinished"):
        said = tempreg_here(*command.split()).stderr
        assert f"{setting}.name {name} is code" in said, said
        assert "--trust-code" in said
    assert not (place / "new").exists()


def _answer(run: CommandLine, command: str) -> subprocess.CompletedProcess[str]:
    try:
        return run(*command.split())
    except SystemExit as end:
        return subprocess.CompletedProcess(command, int(end.code or 0), "", "")


def test_a_hostile_study_runs_nothing(
    place: Path, tempreg_here: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_this_process(monkeypatch)
    words = ["compare", "mine.yaml", "--objectives", "step,tet", "--seeds", "1", "--epochs", "1"]
    words += ["--analyses", "none", "--out", "study"]
    assert tempreg_here(*words, "--slurm").returncode == 0  # begins the study, and runs nothing
    base = place / "study" / "base.yaml"
    base.write_text(base.read_text().replace("my_net:Net", "evil:Net"))
    # The person's own command trusts what it names, and not what the folder has in its place.
    assert tempreg_here(*words).returncode == 1
    told = (place / "study" / "runs" / "step" / "000.failed").read_text()
    assert "evil:Net is code" in told
    plan = place / "study" / "study.yaml"
    plan.write_text(plan.read_text().replace("my_net:Net", "evil:Net"))
    for command in (
        "compare --out study --only runs/tet/000",
        "compare --out study --only report",
        "report study",
        "train study/base.yaml --out new",
        "train study/base.yaml --out new --trust my_net:Net",
        "compare study/base.yaml --objectives step,tet --seeds 1 --out other",
    ):
        _answer(tempreg_here, command)
        assert not (place / "ran").exists(), command
        assert not (place / "new").exists()
        assert not (place / "other").exists()


def test_a_hostile_checkpoint_runs_nothing(
    place: Path, tempreg_here: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        killed_after_an_epoch(patch)
        with pytest.raises(Killed):
            tempreg_here("train", "mine.yaml", "--out", "run")
    checkpoint = place / "run" / "checkpoints" / "last.pt"
    torch.save({"model": _Evil(place / "ran")}, checkpoint)
    answer = tempreg_here("train", "mine.yaml", "--resume", "--out", "run")
    assert answer.returncode == 2
    assert "may run code" in answer.stderr
    assert not (place / "ran").exists()


class _Evil:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


def test_a_changed_file_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    library.train(
        model="my_net.py:Net",
        data="npz",
        objective="my_loss.py:Loss",
        out="run",
        epochs=1,
        num_steps=2,
        settings={"data.path": "own.npz", "objective.own": {"gain": 3.0}},
    )
    _, _, network, objective = load_run(Path("run"), trust_code=True)
    assert objective.gain == 3.0  # type: ignore[attr-defined]
    (place / "my_net.py").write_text(NET.replace("0.1", "0.2"))
    with pytest.warns(UserWarning, match=r"my_net.py:Net in my_net.py has changed since the run"):
        changed = library.load("run", trust_code=True)
    assert changed.model.drop.p == 0.2
    assert network.model.drop.p == 0.1
    with pytest.raises(RequestError, match="trust_code=True"):
        library.load("run")


def test_objects_from_python_make_the_same_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))
    import my_data  # type: ignore[import-not-found]
    import my_net  # type: ignore[import-not-found]

    def network() -> torch.nn.Module:
        torch.manual_seed(0)
        return my_net.Net(3, 1)  # type: ignore[no-any-return]

    net = network()
    how = {"epochs": 2, "num_steps": 2, "batch_size": 8}
    summary = library.train(
        model=net,
        data=(my_data.Items(60), my_data.Items(30)),
        objective=library.TRTLoss(net),
        out="given",
        **how,  # type: ignore[arg-type]
    )
    assert len(summary["accuracy_per_step"]) == 2
    names = {p.name for p in (place / "given").iterdir()}
    assert {"config.yaml", "model.safetensors", "summary.json", "README.md"} <= names
    again = library.load("given", model=network())
    x = torch.rand(2, 4, 1, 8, 8)
    assert torch.equal(again(x), net.eval()(x))
    with pytest.raises(RequestError, match=r"tempreg.load\(run, model="):
        library.load("given", trust_code=True)
    # By their names, the same numbers: only the weights' first values are drawn otherwise.
    library.train(
        model="my_net:Net",
        data="my_data:Items",
        objective="trt",
        out="named",
        settings={"data.own": {"count": 60}, "data.folds": 5},
        **how,  # type: ignore[arg-type]
    )
    _, data, _, _ = load_run(Path("named"), trust_code=True)
    assert data.classes == ("dark", "grey", "light")
    assert len(data.test) == 12
    assert len(data.train) + len(data.validation) == 48
