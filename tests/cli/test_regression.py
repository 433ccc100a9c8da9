"""A regression from data of one's own to every command: numbers as targets, R^2 as the score."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tempreg
from tempreg.cli.main import main
from tempreg.data import DataError
from tempreg.data.sources.mapped import mapped_data_set
from tempreg.objectives import Regularised, SquaredLoss, regression_scores
from tempreg.objectives.named import Making, named_objective
from tempreg.options import DataOptions, ObjectiveOptions, parse_objective
from tempreg.runs import load_run
from tempreg.training.evaluate import Totals
from tests.cli.own_runs import Killed, in_this_process, killed_after_an_epoch

Tempreg = Callable[..., subprocess.CompletedProcess[str]]
STEPS = 3
CODE = '''
import torch


class Halves:
    """How many pixels of either half are on."""

    classes = ("left", "right")

    def __init__(self, count=60, seed=0):
        g = torch.Generator().manual_seed(seed)
        share = torch.rand(count, 1, 1, 1, 1, generator=g)
        self.x = (torch.rand(count, 3, 1, 4, 4, generator=g) < share).float()
        halves = [self.x[..., :2], self.x[..., 2:]]
        self.y = torch.stack([half.mean(dim=(1, 2, 3, 4)) for half in halves], dim=1)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]
'''
SMALL = [
    *("nmnist-rsnn", "--data.name", "halves.py:Halves", "--num-steps", "3", "--batch-size", "16"),
    *("--model.channels", "[12]", "--augment.shift", "0", "--optimizer.lr", "5e-3"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of numbers, and the code of its data beside it."""
    place = tmp_path_factory.mktemp("regression")
    (place / "halves.py").write_text(CODE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main(["train", *SMALL, "--objective", "trt", "--epochs", "3", "--out", "run"]) == 0
    return place


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Tempreg:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            try:
                code = main(list(words))
            except SystemExit as end:
                code = int(end.code or 0)
        return subprocess.CompletedProcess(words, code, *capsys.readouterr())

    return run


def test_a_summary_is_what_the_equations_give(folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    summary = json.loads((folder / "run" / "summary.json").read_text())
    _, data, network, objective = load_run(folder / "run", trust_code=True)
    assert isinstance(objective, Regularised)
    assert (data.numbers, data.classes) == (2, ("left", "right"))
    x, y = data.test.batch(torch.arange(len(data.test)))
    with torch.no_grad():
        outputs = network(x)
    scores = regression_scores(outputs, y)
    np.testing.assert_allclose(summary["mse_per_step"], scores.running**2, rtol=1e-6)
    np.testing.assert_allclose(summary["mse_of_each_step"], scores.step**2, rtol=1e-6)
    np.testing.assert_allclose(summary["r2_per_step"], scores.r2, rtol=1e-6, atol=1e-9)
    assert summary["test_r2"] == summary["r2_per_step"][-1]
    assert summary["mean_r2_over_steps"] == pytest.approx(np.mean(summary["r2_per_step"]))
    assert not any("accuracy" in key for key in summary)
    lines = [json.loads(x) for x in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"mse", "penalty", "r2", "r2_per_step", "mean_squared_error"} <= lines[-1].keys()
    train = [line["loss"] for line in lines if line["split"] == "train"]
    assert train[-1] < train[0]
    assert not (folder / "run" / "test_items.npz").exists()


def test_commands_speak_of_numbers(here: Tempreg, folder: Path) -> None:
    done = here("evaluate", "run", "--trust-code")
    assert "test R^2" in done.stdout
    assert "MSE of the mean so far" in done.stdout
    told = json.loads(here("evaluate", "run", "--json", "--trust-code").stdout)
    assert told["r2"] == told["r2_per_step"][-1]
    done = here("analyze", "run", "all", "--samples", "4", "--trust-code")
    assert done.returncode == 0, done.stderr
    assert "answers with numbers: fisher, flatness" in done.stderr
    made = {file.stem for file in (folder / "run" / "analysis").glob("*.json")}
    wanted = {f"gradients-{name}" for name in ("rate", "step", "anytime", "own")}
    assert made == {*wanted, "spikes-held-out"}
    assert here("report", "run").returncode == 0
    page = (folder / "run" / "report.html").read_text()
    assert "R² is the share of the targets" in page
    assert "Errors by timestep" in page
    assert "accuracy" not in page.lower().partition("settings")[0]
    card = (folder / "run" / "README.md").read_text()
    assert "estimates 2 numbers: left, right" in card
    assert "ccuracy" not in card.partition("## Training")[0]
    done = here("export", "run", "--format", "torch", "--trust-code")
    assert "output: numbers; the answer is their mean over the timesteps" in done.stdout
    assert "numbers: 0 left, 1 right" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["calibrate", "run", "--risk", "0.1"], "answers with numbers, and what is calibrated"),
        (["analyze", "run", "fisher"], "fisher is of classes: choose of gradients, spikes"),
        (["export", "run", "--format", "c"], "--format c answers with a class, and the run in run"),
        (["train", *SMALL, "--objective", "tet", "--out", "x"], "objective tet is of classes"),
        (["train", *SMALL, "--objective", "step+mse", "--out", "x"], "is the whole loss already"),
        (["train", *SMALL, "--balance", "true", "--out", "x"], "balance is of classes, and the"),
        (["train", *SMALL, "--augment.mixup", "1", "--out", "x"], "augment.mixup is of classes"),
        (["train", *SMALL, "--objective.weigh-classes", "true", "--out", "x"], "are of classes"),
    ],
)
def test_what_is_of_classes_is_refused(
    words: list[str], said: str, here: Tempreg, folder: Path
) -> None:
    trust = [] if words[0] == "train" else ["--trust-code"]
    done = here(*words, *trust)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert not (folder / "x").exists()


def test_a_run_goes_on_to_the_same_weights(
    here: Tempreg, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", *SMALL, "--objective", "trt", "--epochs", "3", "--out", "killed"]
    with monkeypatch.context() as patch:
        killed_after_an_epoch(patch)
        with pytest.raises(Killed):
            here(*words)
    assert here(*words, "--resume").returncode == 0
    weights = [(folder / name / "model.safetensors").read_bytes() for name in ("run", "killed")]
    assert weights[0] == weights[1]


def test_a_study_is_decided_by_r2(
    here: Tempreg, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_this_process(monkeypatch)
    objectives = ["--objectives", "rate,step,trt", "--epochs", "1", "--analyses", "none"]
    done = here("compare", *SMALL, *objectives, "--seeds", "2", "--jobs", "1", "--out", "study")
    assert done.returncode == 0, done.stderr
    assert "Test R² (the share of the targets' variance that is explained)" in done.stdout
    head = (folder / "study" / "results.csv").read_text().splitlines()[0].split(",")
    assert {"test_r2", "r2_t1", "mse_t3", "mean_r2_over_steps"} <= {*head}
    page = (folder / "study" / "report.html").read_text()
    assert "R² by timestep" in page
    assert "accuracy averaged" not in page


def test_predictions_are_numbers_by_timestep(folder: Path, capsys: Any, monkeypatch: Any) -> None:
    """Of a run whose data can read single files: images of one's own, with brightness as target."""
    from PIL import Image

    (folder / "bright.py").write_text(
        "import torch\n"
        "from tempreg.data import ArraySplit, DataSet, Source\n"
        "from tempreg.data.reading import Reading\n\n\n"
        "class Bright(Source):\n"
        "    def missing(self, folder):\n        return []\n\n"
        "    def load(self, options):\n"
        "        x = torch.rand(40, 1, 1, 1).mul(255).expand(40, 1, 4, 4).to(torch.uint8)\n"
        "        y = x.float().mean(dim=(1, 2, 3))[:, None] / 255\n"
        "        parts = [ArraySplit(x[i], y[i], scale=1 / 255) for i in\n"
        "                 (slice(20), slice(20, 30), slice(30, 40))]\n"
        "        reading = Reading('images', 1, (4, 4), 1 / 255)\n"
        "        return DataSet('bright', *parts, ('level',), 1, (4, 4), reading)\n"
    )
    monkeypatch.chdir(folder)
    words = [word.replace("halves.py:Halves", "bright.py:Bright") for word in SMALL]
    assert main(["train", *words, "--epochs", "1", "--objective", "rate", "--out", "bright"]) == 0
    Image.fromarray(np.full((4, 4), 128, np.uint8)).save(folder / "grey.png")
    capsys.readouterr()
    assert main(["predict", "bright", "grey.png", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["names"] == ["level"]
    network = tempreg.load("bright")
    with torch.no_grad():
        outputs = network(torch.full((1, 1, 4, 4), 128 / 255))
    means = outputs.cumsum(0) / torch.arange(1, STEPS + 1)[:, None, None]
    np.testing.assert_allclose(told["values"], means[:, 0], rtol=1e-5)
    assert main(["predict", "bright", "grey.png"]) == 0
    assert "  timestep   3  level " in capsys.readouterr().out
    for extra in (["--top", "2"], ["--until", "0.9"]):
        try:
            code = main(["predict", "bright", "grey.png", *extra])
        except SystemExit as end:
            code = int(end.code or 0)
        assert code == 2
        assert "answers with numbers" in capsys.readouterr().err


def test_totals_add_up_as_one_batch() -> None:
    g = torch.Generator().manual_seed(0)
    outputs, y = torch.randn(4, 9, 3, generator=g), torch.randn(9, 3, generator=g) * 5 + 100
    loss = SquaredLoss(supervise="mean")
    totals = Totals(3)
    for rows in (slice(0, 2), slice(2, 9)):
        value = loss(outputs[:, rows], y[rows])
        totals.add(outputs[:, rows], y[rows], value, loss)
    found = Totals.from_state(json.loads(json.dumps(totals.state()))).evaluation()
    scores = regression_scores(outputs, y)
    np.testing.assert_allclose(found.score_per_step, scores.r2, rtol=1e-6)
    assert found.loss == pytest.approx(float(loss(outputs, y)))
    assert totals.emptied().state() == {**totals.state(), "samples": 0,
        "terms": dict.fromkeys(("loss", "mse"), 0.0), "squares": [0.0] * 14}  # fmt: skip


def test_objectives_by_name() -> None:
    model = torch.nn.Linear(2, 2)
    making = Making(ObjectiveOptions(lam=0.3), model, 3, numbers=True)
    x, y = torch.randn(3, 5, 2), torch.randn(5, 2)
    for name, supervise in (("rate", "mean"), ("step", "step"), ("anytime", "anytime")):
        found = named_objective(parse_objective(name), making)
        assert isinstance(found, SquaredLoss)
        assert found.supervise == supervise
    trt = tempreg.objectives.trt_regression(model, lam=0.3)
    assert torch.equal(named_objective(parse_objective("trt"), making)(x, y), trt(x, y))


class Items(list):  # type: ignore[type-arg]
    pass


def test_labels_that_are_numbers() -> None:
    x = np.zeros((1, 2, 2), np.float32)
    options = DataOptions(num_steps=1, validation=0.2)
    data = mapped_data_set("mine", {"train": Items([(x, float(i)) for i in range(20)])}, options)
    assert data.numbers == 1
    assert data.train.targets.dtype == torch.float32
    assert sorted(torch.cat([data.split(n).targets for n in ("train", "validation", "test")])
                  .flatten().tolist()) == [float(i) for i in range(20)]  # fmt: skip
    assert "20 samples of 1 numbers" not in repr(data)
    assert "1 numbers (0)" in repr(data)
    for labels, said in (
        ([0.5, 1], "item 1 .* is a whole number, and that of item 0 1 numbers"),
        ([np.zeros(2), np.zeros(3)], "is 3 numbers, and that of item 0 2 numbers"),
        ([float("nan")], "a finite number or vector of a floating-point type"),
        ([np.zeros((2, 2))], "a finite number or vector of a floating-point type"),
        (["cat"], "must be a whole number from 0"),
        ([-1], "must be a whole number from 0"),
    ):
        with pytest.raises(DataError, match=said):
            mapped_data_set("mine", {"train": Items([(x, label) for label in labels])}, options)
    named = Items([(x, np.zeros(2)) for _ in range(9)])
    named.classes = ("a",)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="names 1 classes, and its labels are 2 numbers"):
        mapped_data_set("mine", {"train": named}, options)
