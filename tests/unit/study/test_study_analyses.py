"""What a study analyses of each run, which columns come of it, and how it is asked for later."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tempreg.analysis import Fisher, Flatness, OwnGradients, fisher_information
from tempreg.analysis.fisher import centroid
from tempreg.config import PRESETS, RunConfig
from tempreg.files import write_json, write_text
from tempreg.runs import load_run, train
from tempreg.runs.analyze import analyze_run
from tempreg.runs.build import build_model
from tempreg.study.analysed import left_to_analyse, note_analysed
from tempreg.study.columns import analysis_columns
from tempreg.study.driver import Study
from tempreg.study.plan.arms import parse_arms
from tempreg.study.plan.growing import Asked, check_folder, grown, write_plan
from tempreg.study.plan.plan import (
    Plan,
    Run,
    failed_mark,
    make_plan,
    read_plan,
)
from tempreg.study.progress import StudyProgress
from tempreg.training.checkpoint import restore_weights
from tempreg.training.streams import stream

SAMPLES = 70

pytestmark = pytest.mark.usefixtures("without_pictures")


@pytest.fixture(scope="module")
def run(tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory, without_pictures: None) -> Path:
    """As a study trains and analyses it: weights after epoch 1 and at the end."""
    folder = tmp_path_factory.mktemp("study") / "run"
    objective = replace(tiny.objective, name="step+l2")
    train(replace(tiny, snapshot_every=2, objective=objective), folder)
    names = ("gradients", "fisher", "flatness")
    analyze_run(folder, names, samples=SAMPLES, draws=2, chunk=32, brief=True)
    return folder


def test_the_files_of_a_study_s_run(run: Path) -> None:
    assert {path.stem for path in (run / "analysis").glob("*.json")} == {
        "gradients-step", "gradients-own", "fisher", "fisher-epoch-0001", "fisher-batch",
        "fisher-batch-epoch-0001", "fisher-batch-sampled", "fisher-batch-sampled-epoch-0001",
        "flatness-held-out",
    }  # fmt: skip


def test_fisher_information_after_the_first_epoch_is_that_of_its_weights(run: Path) -> None:
    config, data, model, _ = load_run(run)
    order = torch.randperm(len(data.train), generator=stream(0, "analysis"))
    x, y = data.train.batch(order[:SAMPLES].sort().values)
    first = build_model(config, data)
    restore_weights(first, run / "checkpoints" / "epoch-0001.safetensors")
    for name, network in (("fisher-epoch-0001", first.eval()), ("fisher", model)):
        found = Fisher.load(run / "analysis" / f"{name}.json")
        wanted = fisher_information(network, x, y, chunk=32)
        np.testing.assert_allclose(found.per_step, wanted.per_step, rtol=1e-4)
        assert found.settings["epoch"] == (1 if network is first else 2)
    published = Fisher.load(run / "analysis" / "fisher-batch.json")
    drawn = torch.randperm(SAMPLES, generator=stream(0, "batches"))
    squares = np.zeros(config.num_steps)
    for rows in drawn.split(64):  # batches of the published size
        for t in range(config.num_steps):
            loss = F.cross_entropy(model(x[:, rows])[: t + 1].mean(dim=0), y[rows])
            grads = torch.autograd.grad(loss, list(model.parameters()))
            squares[t] += sum(float(g.double().square().sum()) for g in grads) / 2
    np.testing.assert_allclose(published.per_step, squares, rtol=1e-3)
    sampled = Fisher.load(run / "analysis" / "fisher-batch-sampled.json")
    assert (published.settings["labels"], sampled.settings["labels"]) == ("true", "sampled")
    assert (sampled.per_step != published.per_step).all()


def test_columns_are_what_the_files_say(run: Path) -> None:
    found, folder = analysis_columns(run), run / "analysis"
    flat = Flatness.load(folder / "flatness-held-out.json")
    assert flat.settings["split"] == "test"
    assert flat.settings["draws"] == 2
    drop = flat.accuracy - flat.noise_accuracy.mean()
    assert found["noise_accuracy_drop"] == pytest.approx(drop)
    assert found["noise_relative_drop"] == pytest.approx(drop / flat.accuracy)
    assert found["noise_relative_drop"] == pytest.approx(flat.noise_drop.mean())
    at = dict(zip(flat.radii.round(6).tolist(), flat.line_scaled_loss, strict=True))
    for radius in (0.5, 1.0):
        rise = (at[radius] + at[-radius]) / 2 - at[0.0]
        assert found[f"line_rise_at_{radius:g}"] == pytest.approx(rise, abs=1e-9)
    own = OwnGradients.load(folder / "gradients-own.json")
    assert own.settings["objective"] == "step+l2"
    assert own.epochs.tolist() == [1, 2]
    for name, row in (("", own.norms[1]), ("_epoch_1", own.norms[0])):
        ratio = np.exp(np.log(row[:, 0] / row[:, -1]).mean())
        assert found[f"gradient_first_last{name}"] == pytest.approx(ratio)
    for stem in ("fisher", "fisher-batch", "fisher-batch-sampled"):
        column = stem.replace("-", "_")
        for end, file in (("first", f"{stem}-epoch-0001"), ("end", stem)):
            wanted = centroid(Fisher.load(folder / f"{file}.json").per_step)
            assert found[f"{column}_centroid_{end}"] == pytest.approx(wanted)
    first, end = (Fisher.load(folder / f"{n}.json") for n in ("fisher-epoch-0001", "fisher"))
    for i in (0, 1):
        shift = end.half_centroids[i] - first.half_centroids[i]
        assert found[f"fisher_shift_half_{i + 1}"] == pytest.approx(shift)
    assert found["fisher_halves_apart"] == end.halves_apart


def test_a_first_epoch_that_was_measured_otherwise_is_not_compared(run: Path) -> None:
    file = run / "analysis" / "fisher-epoch-0001.json"
    before = file.read_bytes()
    first = Fisher.load(file)
    replace(first, settings=first.settings | {"samples": 5}).save(file)
    try:
        assert "fisher_centroid_first" not in analysis_columns(run)
    finally:
        file.write_bytes(before)


def plan(*analyses: str, **options: int) -> Plan:
    base = replace(PRESETS["nmnist-trt"](), epochs=2)
    return make_plan("nmnist-trt", base, parse_arms("rate,trt"), 1, analyses=analyses, **options)


def finished(run: Run) -> None:
    run.folder.mkdir(parents=True)
    write_json(run.folder / "summary.json", {})


def words(study: Plan, root: Path, run: Run) -> list[list[str]]:
    return [w[:1] + w[2:] for w in Study(study, root, 1, StudyProgress()).commands(run)]


def test_a_finished_run_is_given_the_analyses_it_lacks_and_no_more(tmp_path: Path) -> None:
    study = plan("spikes", "flatness", samples=100, draws=4)
    run = study.runs(tmp_path, {})[0]
    after = ["--batch-size", "32", "--brief"]
    counts = ["--samples", "100", "--draws", "4", *after]
    assert [command[0] for command in words(study, tmp_path, run)] == ["train", "analyze"]
    finished(run)
    assert words(study, tmp_path, run) == [["analyze", "spikes", "flatness", *counts]]
    note_analysed(study, run)
    assert left_to_analyse(study, run) == []
    more = replace(study, analyses=("spikes", "flatness", "early"))
    assert words(more, tmp_path, run) == [["analyze", "early", *counts]]
    drawn = ["--samples", "100", "--draws", "9", *after]
    assert words(replace(study, draws=9), tmp_path, run) == [["analyze", "flatness", *drawn]]
    assert left_to_analyse(replace(study, samples=200), run) == ["spikes", "flatness"]
    write_text(failed_mark(run), "no memory\n")
    assert words(more, tmp_path, run)[0][0] == "train"


def test_marks_of_earlier_versions_say_nothing(tmp_path: Path) -> None:
    study = plan("spikes", "flatness")
    run = study.runs(tmp_path, {})[0]
    finished(run)
    for text in ("spikes flatness\n", "[]", "{"):
        write_text(run.folder.with_name(run.folder.name + ".analysed"), text)
        assert left_to_analyse(study, run) == ["spikes", "flatness"]


def test_a_study_is_continued_with_other_analyses(tmp_path: Path) -> None:
    root = tmp_path / "study"
    begun = replace(plan("spikes", samples=64), base=replace(plan().base, snapshot_every=2))
    root.mkdir()
    write_plan(begun, root)
    by_hand = (root / "study.yaml").read_text() + "margin: 0.01\n"
    (root / "study.yaml").write_text(by_hand)
    without = Asked(base=plan().base)  # as the words have it: no snapshots are asked for
    same = grown(read_plan(root), root, without)
    assert (same.analyses, same.samples, same.draws) == (("spikes",), 64, 20)
    wanted = replace(without, analyses=("flatness",), draws=7, command="tempreg compare again")
    asked = grown(read_plan(root), root, wanted)
    check_folder(asked, root)
    write_plan(asked, root)
    kept = read_plan(root)
    assert (kept.analyses, kept.samples, kept.draws) == (("spikes", "flatness"), 64, 7)
    assert kept == replace(asked, command=begun.command)
    text = (root / "study.yaml").read_text()
    assert "margin: 0.01" in text
    assert "command: tempreg compare again\n  analyses:\n  - flatness\n  draws: 7\n" in text
    write_plan(asked, root)
    assert (root / "study.yaml").read_text() == text


def test_a_study_of_an_earlier_version_keeps_its_counts(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    write_plan(plan("flatness", samples=64), tmp_path / "study")
    file = tmp_path / "study" / "study.yaml"
    file.write_text(file.read_text().replace("draws: 20\n", ""))
    now = grown(read_plan(tmp_path / "study"), tmp_path / "study", Asked())
    assert (now.samples, now.draws) == (64, 3)
