"""Names that users choose, of terms, arms, classes, folders: each works or is refused at once."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

from tempreg.cli.main import main
from tempreg.cli.parser import Parser, add_settings, with_flags
from tempreg.config import ConfigError, RunConfig, config_text
from tempreg.files import as_word
from tempreg.objectives import Objective, RateLoss
from tempreg.report.reading import read_json_lines, read_rows
from tempreg.runs import evaluate_run, train
from tempreg.runs.analyze import analyze_run
from tempreg.runs.page import write_run_report
from tempreg.study.page.report import write_study_report
from tempreg.study.plan.arms import parse_arms, swept
from tempreg.training.evaluate import OF_METRICS, named_apart
from tempreg.training.interrupt import Interrupted
from tempreg.training.run_directory import RunDirectoryError
from tests.conftest import CommandLine, said
from tests.spoilt import arrays
from tests.study_folder import make_study
from tests.unit.limits.test_whole_runs import config
from tests.unit.runs.test_resume import StopAfter

pytestmark = pytest.mark.usefixtures("without_pictures")

TERMS = ("self", *OF_METRICS, "term_loss", "penalty", "a, b\nc", "ünïcode")


class Named(Objective):
    """Cross-entropy in as many terms as there are names. Final."""

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        (whole,) = RateLoss().compute(outputs, targets).values()
        return {name: whole / len(TERMS) for name in TERMS}


def test_terms_of_an_own_objective(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **arrays())
    own = config(tmp_path, objective={"name": f"{__name__}:Named"}, tensorboard=True)
    pytest.importorskip("tensorboard")
    summary = train(own, tmp_path / "run")
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        assert tuple(name for name in OF_METRICS if name in line) == OF_METRICS
        assert {line["split"], line["epoch"]} <= {"train", "validation", 1}
        terms = {k: v for k, v in line.items() if k not in OF_METRICS}
        wanted = {"self", "penalty", "a, b\nc", "ünïcode", "term_loss", "term_term_loss"}
        assert terms.keys() == wanted | {f"term_{n}" for n in OF_METRICS if n != "loss"}
        assert sum(terms.values()) == pytest.approx(line["loss"], rel=1e-5)
    assert summary["test_loss"] == pytest.approx(
        evaluate_run(tmp_path / "run", trust_code=True).loss
    )
    analyze_run(tmp_path / "run", ["gradients"], samples=4, brief=True, trust_code=True)
    assert write_run_report(tmp_path / "run").is_file()


def test_terms_are_kept_apart_from_each_other() -> None:
    names = ("lr", "term_lr", "term_term_lr", "loss")
    made = named_apart({name: torch.tensor(float(i)) for i, name in enumerate(names)})
    assert {name: int(value) for name, value in made.items()} == {
        "term_term_term_lr": 0, "term_lr": 1, "term_term_lr": 2, "term_loss": 3,
    }  # fmt: skip


def test_a_loss_needs_terms() -> None:
    class Empty(Objective):
        def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
            return {}

    with pytest.raises(ValueError, match=r"Empty\.compute gave no terms"):
        Empty()(torch.zeros(2, 3, 4), torch.zeros(3, dtype=torch.long))


ARMS = {
    "arm": 0.0, "replicate": 0.01, "seed": 0.0, "status": 0.0, "error": 0.0, "run": 0.0,
    "accuracy_t1": 0.0, "mean_accuracy_over_steps": 0.0, "_hidden": 0.02, "..": 0.0, "a/b": 0.0,
    'q"u\'o|te & <b>': 0.0, "模型": 0.0, "$x_1$ \\frac": 0.0, "#0072B2 #010203": 0.0,
    'id="x xlink:href="#y url(#z': 0.0, "line\u2028separator\x85": 0.0, "=1+1": 0.0, "-x": 0.0,
}  # fmt: skip
"""Effects by arm."""


def test_arms_of_any_name_reach_the_page(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", effects=ARMS, replicates=2)
    write_study_report(study)
    page = (study / "report.html").read_text()
    cells = {
        html.unescape(cell)
        for cell in re.findall(r"<th role=\"rowheader\" scope=\"row\">(.*?)</th>", page)
    }
    assert cells >= ARMS.keys()
    words = {html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", page)}
    for name in ARMS:
        shown = " " * name.startswith("_") + (name if len(name) <= 28 else f"{name[:27]}…")
        assert shown in words, name


def test_rows_are_those_of_the_csv_module(tmp_path: Path) -> None:
    rows = [{"arm": name, "x": "1"} for name in (*ARMS, "two\nlines")]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["arm", "x"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (tmp_path / "a.csv").write_text(text.getvalue())
    assert read_rows(tmp_path / "a.csv", ("arm",)) == rows
    (tmp_path / "a.jsonl").write_text('{"a": "\u2028"}\n{"a": "\x85"}\n{"cut')
    assert read_json_lines(tmp_path / "a.jsonl") == [{"a": "\u2028"}, {"a": "\x85"}]


@pytest.mark.parametrize(
    ("arms", "sentence"),
    [
        ("two\nlines=step", "a name is one line"),
        ("\x1b[31m=step", "a name is one line"),
        ("trt=step", "trt is the name of another objective"),
        ("step+mse=step", "the name of another objective"),
        (f"{'a' * 256}=step", "too long for a folder"),
        ("..=step,.=rate", "two arms are called '_'"),
        ("a/b=step,a:b=rate", "two arms are called 'a_b'"),
    ],
)
def test_arms_that_are_refused(arms: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        parse_arms(arms)


def test_arms_that_a_sweep_makes_are_different() -> None:
    with pytest.raises(ConfigError, match="two arms are called 'trt@lam=1'"):
        swept(parse_arms("trt"), ["lam=1,1"])
    assert len(swept(parse_arms("trt=trt@eta=0.1"), ["lam=1,2"])) == 2


@pytest.mark.parametrize("folder", ["123", "1e3", "true", "a: b", "[x]", "#x", "x #y", "a=b", "-x"])
def test_folders_are_called_as_they_are(folder: str) -> None:
    parser = Parser(add_help=False)
    add_settings(parser)
    for words in ([f"--data={folder}"], [f"--data.path={folder}"]):
        assert with_flags(RunConfig(), parser.parse(words)).data.path == folder
    assert with_flags(RunConfig(), parser.parse(["--data=null"])).data.path is None


CLASSES = ["..", "a/b", "a, b", "two\nlines", "=1", 'q"uote`', "模型", "\udcff", "-x", "\x1b[31m"]


def test_classes_of_any_name(tmp_path: Path, tempreg_here: CommandLine) -> None:
    np.savez(tmp_path / "own.npz", **arrays(classes=np.array(CLASSES)))
    train(config(tmp_path), tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "data.json").read_text())
    assert facts["classes"] == CLASSES
    _, head, body = (tmp_path / "run" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["library_name"] == "tempreg"
    assert "“a, b”" in body
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    for words in (
        ("predict", "run", "a.png"),
        ("predict", "run", "a.png", "--json"),
        ("data", "check", "npz", "--data", "own.npz"),
        ("evaluate", "run"),
        ("report", "run"),
        ("export", "run", "--format", "nir"),
    ):
        result = tempreg_here(*words)
        assert result.returncode == 0, (words, result.stderr)
        assert not said(result.stderr)
        assert "\x1b" not in result.stdout
    named = json.loads(tempreg_here("predict", "run", "a.png", "--json").stdout)
    assert set(named["classes"]) <= set(CLASSES)


@pytest.mark.parametrize("name", ["a b=c", "-x", "..\u2028[red]", "'q\"&<b>"])
def test_folders_of_any_name(name: str, tmp_path: Path, tempreg_here: CommandLine) -> None:
    np.savez(tmp_path / "own.npz", **arrays())
    try:
        (tmp_path / name).mkdir()
    except (OSError, UnicodeError) as error:
        pytest.skip(f"this file system has no such names: {error}")
    folder = as_word(Path(name))
    settings = config_text(config(tmp_path))
    (tmp_path / name / "own.yaml").write_text(settings)
    for words in (
        ("train", f"{folder}/own.yaml", f"--out={name}/run"),
        ("train", "--resume", f"--out={name}/run"),
        ("evaluate", f"{folder}/run"),
        ("report", f"{folder}/run"),
    ):
        result = tempreg_here(*words)
        assert result.returncode == 0, (words, result.stderr)
        assert not said(result.stderr)


def test_a_folder_that_is_no_text_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", **arrays())
    with pytest.raises(RunDirectoryError, match="has a name that isn't UTF-8"):
        train(config(tmp_path), tmp_path / "\udcff" / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["own.npz"]


def test_what_is_advised_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "own.npz", **arrays())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Interrupted) as stopped:
        train(replace(config(tmp_path), epochs=2), Path("-x y"), reporter=StopAfter(2))
    words = shlex.split(str(stopped.value).partition("continue with: ")[2])
    assert words == ["tempreg", "train", "--resume", "--out", "./-x y"]
    assert main(words[1:]) == 0
