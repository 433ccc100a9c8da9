"""A run's calibration: found, kept, and used by a stream and by the exported C."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import tempreg
from tempreg.analysis.exits import NEVER
from tempreg.cli.main import main
from tempreg.config import RunConfig
from tempreg.errors import RequestError
from tempreg.runs import load_run, train
from tempreg.runs.calibrate import calibrate_run, calibration_of
from tempreg.runs.export import export_run
from tempreg.runs.page import run_page


@pytest.fixture(scope="module")
def run(tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrated") / "run"
    train(replace(tiny, epochs=1), folder)
    return folder


def test_a_stream_answers_as_calibrated(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(run), "--risk", "0.3", "--split", "test"]) == 0
    said = capsys.readouterr().out
    found = calibration_of(run)
    assert found is not None
    assert f"loses {found.lost:.2%} of {found.samples} test samples" in said
    _, data, network, _ = load_run(run)
    x, y = data.test.batch(torch.arange(len(data.test)))
    stream = tempreg.Stream(run, until="calibrated", backend="torch")
    first = torch.zeros(len(y), dtype=torch.int64)
    answer = torch.full((len(y),), -1)
    for t, frames in enumerate(x):
        now = stream.step(frames)
        ends = now.done & (answer < 0)
        answer[ends], first[ends] = now.label[ends], t + 1
    assert (answer >= 0).all()
    with torch.no_grad():
        last = network(x).mean(0).argmax(1)
    lost = ((last == y) & (answer != y)).double().mean()
    assert lost <= 0.3  # of all, half of which tested the threshold
    assert abs(first.double().mean() - found.mean_steps) < 0.3


def test_c_is_told(run: Path, tmp_path: Path) -> None:
    found = calibrate_run(run, risk=0.3, split="test")
    said = export_run(run, "c", tmp_path / "model.c")
    assert "it answers as calibrated" in said[1]
    text = (tmp_path / "model.c").read_text()
    line = text.split("static const float thresholds[] = {")[1].split("}")[0]
    values = [float.fromhex(word.rstrip("f")) for word in line.split(", ")]
    assert values == pytest.approx([found.threshold] * len(found.temperatures))
    calibrate_run(run, risk=0.3, split="test", score="gap")
    with pytest.raises(RequestError, match=r"is of the gap .* C takes the confidence"):
        export_run(run, "c", tmp_path / "other.c")
    assert not (tmp_path / "other.c").exists()


def test_the_run_page_says_when_it_answers(run: Path) -> None:
    (run / "calibration.json").unlink(missing_ok=True)
    assert not any(section.title == "Answering early" for section in run_page(run).sections)
    found = calibrate_run(run, risk=0.3, split="test")
    (section,) = [s for s in run_page(run).sections if s.title == "Answering early"]
    assert (
        f"{found.threshold:.3g}: after {found.mean_steps:.1f} of 2 timesteps"
        in (section.paragraphs[0])
    )
    assert f"Of the {found.samples} samples" in section.paragraphs[1]
    (picture,) = section.pictures
    values = json.loads((run / "calibration.json").read_text())
    timesteps, accuracy = values["curve"]["chosen"]
    assert f"{accuracy:.1%} right after {timesteps:.2f} timesteps" in picture.words
    (axes,) = picture.figure.axes
    line, mark = axes.get_lines()
    assert line.get_xdata().tolist() == values["curve"]["timesteps"]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (timesteps, 100 * accuracy)
    del values["curve"]  # as an earlier version wrote it
    (run / "calibration.json").write_text(json.dumps(values))
    (section,) = [s for s in run_page(run).sections if s.title == "Answering early"]
    assert not section.pictures
    values |= {"threshold": NEVER}
    (run / "calibration.json").write_text(json.dumps(values))
    (section,) = [s for s in run_page(run).sections if s.title == "Answering early"]
    assert section.paragraphs[0].startswith("It answers after all 2 timesteps")
    (run / "calibration.json").unlink()


@pytest.mark.parametrize(
    "curve", [[], {"timesteps": [1], "accuracy": [1]}, {"timesteps": [1], "accuracy": [1, 2],
    "chosen": [1, 1]}, {"timesteps": ["a"], "accuracy": [1], "chosen": [1, 1]}],
)  # fmt: skip
def test_a_damaged_curve_is_named(run: Path, curve: object) -> None:
    calibrate_run(run, risk=0.3, split="test")
    values = json.loads((run / "calibration.json").read_text()) | {"curve": curve}
    (run / "calibration.json").write_text(json.dumps(values))
    with pytest.raises(RequestError, match=r"calibration.json is damaged .*tempreg calibrate"):
        run_page(run)
    (run / "calibration.json").unlink()


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"risk": 1}', json.dumps({"score": "gap", "temperatures": ["1"]})],
)
def test_a_damaged_calibration_is_named(run: Path, text: str) -> None:
    (run / "calibration.json").write_text(text)
    with pytest.raises(RequestError, match=r"calibration.json"):
        tempreg.Stream(run, until="calibrated")
    (run / "calibration.json").unlink()


def test_what_can_not_serve(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="wants a run's folder with a calibration"):
        tempreg.Stream(run, until="calibrated")
    with pytest.raises(RequestError, match=r"validation samples .* allow a higher risk"):
        calibrate_run(run, risk=0.0001)
    with pytest.raises(RequestError, match="unknown score 'margin'"):
        calibrate_run(run, risk=0.1, score="margin")
    best = tmp_path / "best"
    shutil.copytree(run, best)
    text = (run / "config.yaml").read_text()
    (best / "config.yaml").write_text(text.replace("keep: last", "keep: best"))
    with pytest.raises(RequestError, match=r"chose its epoch .*take --split test"):
        calibrate_run(best, risk=0.3)
    assert not (run / "calibration.json").exists()
