"""A network, a loss and a data set of one's own through every command."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import tempreg as library
from tempreg.errors import RequestError
from tempreg.runs import load_run
from tests.cli.own_runs import NET, Killed, in_this_process, killed_after_an_epoch, own_place
from tests.conftest import CommandLine, same_weights
from tests.spoilt import arrays

pytestmark = pytest.mark.usefixtures("without_pictures")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a network, a loss, a data set and settings, and code that must not run."""
    return own_place(tmp_path)


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
