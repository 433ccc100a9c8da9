"""A published protocol: nothing held out, the best epoch chosen on the test set, and marked."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tempreg.cautions import CHOSEN_ON_TEST
from tempreg.config import ConfigError, RunConfig, config_from_dict, config_text, config_to_dict
from tempreg.data import DataSet
from tempreg.report.figures import training_figure
from tempreg.runs import evaluate_run, load_run, train
from tempreg.runs.build import build_data, build_schedule
from tempreg.runs.launch import build_fabric
from tempreg.training.checkpoint import Position
from tempreg.training.evaluate import Evaluation
from tempreg.training.summary import note_best
from tests.conftest import CommandLine, same_weights
from tests.unit.data.sources.test_event_sets import write


@pytest.fixture
def published(tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """Forty recordings of two classes, the last of each tested on after every epoch."""
    monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path / "cache"))
    for i in range(80):
        write(tmp_path / "data" / "ab"[i % 2] / f"{i}.bin", i)
    data = replace(
        tiny.data, name="event-folder", path=str(tmp_path / "data"), validation=0.0,
        test_part="last",
    )  # fmt: skip
    return replace(tiny, epochs=3, batch_size=16, data=data, keep="best-on-test")


def mean_loss(data: DataSet, network: nn.Module) -> float:
    """Cross-entropy of the mean logits, as the scripts' evaluate()."""
    x, y = data.test.batch(torch.arange(len(data.test)))
    with torch.no_grad():
        return float(F.cross_entropy(network(x).mean(0), y))


def test_the_best_epoch_on_the_test_set_is_kept_and_marked(
    published: RunConfig, tmp_path: Path, tempreg_here: CommandLine
) -> None:
    (tmp_path / "p.yaml").write_text(config_text(published))
    made = tempreg_here("train", "p.yaml", "--out", "run")
    assert made.returncode == 0, made.stderr
    assert CHOSEN_ON_TEST in made.stdout
    assert made.stdout.count("test (chosen on!)") == 3
    assert "validation" not in made.stdout.replace(CHOSEN_ON_TEST, "")
    run = tmp_path / "run"
    summary = json.loads((run / "summary.json").read_text())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    tests = [line for line in lines if line["split"] == "test"]
    assert [line["epoch"] for line in tests] == [1, 2, 3]
    assert all(line["chosen_on_test"] is True for line in tests)
    assert not [line for line in lines if line["split"] == "validation"]
    best = max(tests, key=lambda line: (line["accuracy"], -line["mean_logits_loss"]))
    assert summary["kept_epoch"] == best["epoch"]
    assert summary["test_accuracy"] == best["accuracy"]
    assert summary["test_accuracy_at_last_epoch"] == tests[-1]["accuracy"]
    assert (summary["chosen_on_test"], summary["caution"]) == (True, CHOSEN_ON_TEST)
    assert [summary[k] for k in ("val_accuracy", "best_val_epoch")] == [None, None]
    _, data, network, _ = load_run(run)
    assert mean_loss(data, network) == pytest.approx(best["mean_logits_loss"], abs=1e-5)
    figure = training_figure({"run": lines}, {"run": summary})
    assert "run (chosen on test)" in [line.get_label() for line in figure.axes[2].lines]
    last = f"{summary['test_accuracy_at_last_epoch']:.2%}"
    card = (run / "README.md").read_text()
    assert f"**{CHOSEN_ON_TEST}**" in card
    assert last in card
    assert "of an epoch chosen on the test set" in card.split("---")[1]
    assert tempreg_here("report", "run").returncode == 0
    page = (run / "report.html").read_text()
    assert page.count(CHOSEN_ON_TEST) == 4  # the head, the result, its steps and its curves
    (run / "summary.json").rename(run / "kept.json")  # as before a run has ended
    assert tempreg_here("report", "run").returncode == 0
    assert (run / "report.html").read_text().count(CHOSEN_ON_TEST) == 3
    (run / "kept.json").rename(run / "summary.json")
    assert CHOSEN_ON_TEST in tempreg_here("evaluate", "run").stdout
    told = json.loads(tempreg_here("evaluate", "run", "--json").stdout)
    assert (told["chosen_on_test"], told["caution"]) == (True, CHOSEN_ON_TEST)
    assert CHOSEN_ON_TEST not in tempreg_here("evaluate", "run", "--split", "train").stdout
    none = tempreg_here("evaluate", "run", "--split", "validation")
    assert (none.returncode, "holds no validation data out" in none.stderr) == (2, True)
    anytime = tempreg_here("analyze", "run", "spikes", "--samples", "4")
    assert CHOSEN_ON_TEST in anytime.stdout
    again = tempreg_here("train", "p.yaml", "--out", "run", "--resume")
    assert CHOSEN_ON_TEST in again.stdout
    none = tempreg_here("analyze", "run", "spikes", "--split", "validation")
    assert (none.returncode, "holds no validation data out" in none.stderr) == (2, True)


def test_equal_accuracies_are_told_apart_by_the_loss() -> None:
    position = Position()
    scores = [(0.5, 2.0), (0.5, 1.0), (0.5, 1.5), (0.75, 3.0), (0.5, 0.1)]
    kept = []
    for epoch, (accuracy, loss) in enumerate(scores):
        position.epoch = epoch
        kept.append(note_best(position, None, Evaluation(loss, {}, [accuracy])))
    assert kept == [True, True, False, True, False]
    assert (position.best_epoch, position.best_accuracy) == (4, 0.75)
    assert not note_best(position, None, None)


def test_nothing_held_out_and_nothing_chosen(published: RunConfig, tmp_path: Path) -> None:
    summary = train(replace(published, keep="last"), tmp_path / "run")
    assert summary["val_accuracy"] is None
    assert summary["kept_epoch"] == 3
    assert "chosen_on_test" not in summary
    card = (tmp_path / "run" / "README.md").read_text()
    assert "nothing was chosen by it" in card
    assert "no validation data was held out" in card
    assert not (tmp_path / "run" / "checkpoints" / "best.safetensors").exists()


def test_a_run_that_goes_on_chooses_as_if_it_had_not_stopped(
    published: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(published, tmp_path / "whole")

    class Stopped(Exception):
        pass

    def observe(epoch: int, network: nn.Module) -> None:
        if epoch == 2:
            raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr("tempreg.runs.fit.observer_for", lambda *_: observe)
        with pytest.raises(Stopped):
            train(published, tmp_path / "cut")
    again = train(published, tmp_path / "cut", resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "cut")
    different = {k for k in whole if whole[k] != again[k]}
    assert different <= {"seconds", "peak_memory_mb"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"keep": "best-on-test"}, "keep best-on-test is for protocols that hold no validation"),
        ({"keep": "best", "data": {"validation": 0}}, "leaves no data to choose the best epoch by"),
        ({"precision": "64-true", "eval_precision": "32-true"}, "is for mixed precision"),
        ({"data": {"validation": 1}}, r"data\.validation must be in \[0, 1\)"),
        ({"data": {"std": [0.1, 0]}}, r"data\.std must be one or more numbers > 0"),
        ({"data": {"size": 224, "shorter_side": 200}}, r"must be at least data\.size"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config_from_dict(settings, "here")


def test_data_with_a_validation_part_of_its_own(tiny: RunConfig) -> None:
    config = replace(tiny, keep="best-on-test", data=replace(tiny.data, validation=0.0))
    with pytest.raises(ConfigError, match="nmnist has one: keep best, which chooses on it"):
        build_data(config)


def test_folds_leave_nothing_out_either(published: RunConfig) -> None:
    data = build_data(replace(published, data=replace(published.data, folds=4)))
    assert [len(data.split(n)) for n in ("train", "validation", "test")] == [60, 0, 20]


def test_no_study_chooses_on_its_test_set(
    published: RunConfig, tmp_path: Path, tempreg_here: CommandLine
) -> None:
    for keep in ("best-on-test", "last"):
        (tmp_path / "p.yaml").write_text(config_text(replace(published, keep=keep)))
        made = tempreg_here("compare", "p.yaml", "--seeds", "1", "--out", "study")
        assert made.returncode == 2
        assert "no arm may choose on the test set: set data.validation above 0" in made.stderr
        assert not (tmp_path / "study").exists()


def test_the_cosine_by_epoch_is_pytorchs(tiny: RunConfig) -> None:
    config = replace(tiny, epochs=7, batch_size=8)
    config = replace(config, optimizer=replace(config.optimizer, cosine="epoch", warmup_epochs=0))
    schedule = build_schedule(config, 20)  # three steps an epoch
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=config.optimizer.lr)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=7, eta_min=0)
    for epoch in range(7):
        for batch in range(3):
            lr = optimizer.param_groups[0]["lr"]
            assert schedule(3 * epoch + batch) == pytest.approx(lr, rel=1e-9)
        optimizer.step()
        theirs.step()
    warm = build_schedule(replace(config, optimizer=replace(config.optimizer, warmup_epochs=1)), 20)
    assert warm(2) == warm(3) == warm(5) == config.optimizer.lr
    assert warm(6) == pytest.approx(config.optimizer.lr * (1 + math.cos(math.pi / 6)) / 2)


def test_evaluation_in_float32(tiny: RunConfig, tmp_path: Path) -> None:
    few = replace(tiny.data, train_size=64)
    mixed = replace(tiny, epochs=1, precision="bf16-mixed", data=few)
    summaries = {}
    for how in ("same", "32-true"):
        run = tmp_path / how
        summaries[how] = train(replace(mixed, eval_precision=how), run)
        result = evaluate_run(run)
        assert result.loss == pytest.approx(summaries[how]["test_loss"], rel=1e-6)
    assert same_weights(tmp_path / "same", tmp_path / "32-true")
    config, data, network, objective = load_run(tmp_path / "same")
    x, y = data.test.batch(torch.arange(len(data.test)))
    with torch.no_grad():
        loss = float(objective(network(x), y))
    assert summaries["32-true"]["test_loss"] == pytest.approx(loss, rel=1e-5)
    assert summaries["same"]["test_loss"] != pytest.approx(loss, rel=1e-5)
    assert build_fabric(config)._precision.precision == "bf16-mixed"
    as_told = evaluate_run(tmp_path / "32-true", precision="bf16-mixed")
    assert as_told.loss == pytest.approx(summaries["same"]["test_loss"], rel=1e-6)


def test_old_settings_mean_what_they_meant() -> None:
    default = config_to_dict(RunConfig())
    assert default["eval_precision"] == "same"
    assert default["optimizer"]["cosine"] == "step"
    assert default["augment"]["cutout_fill"] == "mean"
    assert default["data"]["test_part"] == "drawn"
