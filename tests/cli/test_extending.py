"""Follows docs/extending.md to the letter, in a copy of the sources, and uses what that adds."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import needs_compiler

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extending.md"
KINDS = (
    "an objective", "a surrogate", "a neuron", "a network", "a data set", "a file format",
    "an augmentation", "an analysis", "an export format", "a backend",
)  # fmt: skip
MOST_LINES = 30
NEW = ("--model.surrogate", "fast", "--model.neuron", "soft", "--augment.noise", "0.1",
       "--backend", "wide", "--model.name", "shallow", "--data.name", "letters",
       "--objective", "focal+mse", "--objective.gamma", "1.5")  # fmt: skip


@dataclass(frozen=True)
class Block:
    """Code of a recipe: the recipe, the file it is for, and whether it is a change of it."""

    recipe: str
    file: str
    change: bool
    text: str

    @property
    def added(self) -> list[str]:
        lines = self.text.splitlines()
        return [line[1:] for line in lines if line[0] == "+"] if self.change else lines


def blocks() -> list[Block]:
    found = []
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        fences = re.findall(
            r'^```(\w+) title="([^"]+)"\n(.*?)^```$', text, re.DOTALL | re.MULTILINE
        )
        found += [Block(title.lower(), file, kind == "diff", code) for kind, file, code in fences]
    return found


def apply(block: Block, root: Path) -> None:
    """Make the file, or change it where the lines around the change stand, which is once."""
    path = root / block.file
    if not block.change:
        assert not path.exists(), f"{block.file} is there already"
        path.write_text(block.text)
        return
    lines = block.text.splitlines(keepends=True)
    assert all(line[0] in " +-\n" for line in lines), block
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] or "\n" for line in lines if line[0] in " +")
    text = path.read_text()
    assert text.count(before) == 1, f"{block.file} has {text.count(before)} times\n{before}"
    path.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, with all recipes followed, and a data set of the recipes' own."""
    root = tmp_path_factory.mktemp("extended")
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "tempreg", root / "src" / "tempreg", ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", root)
    for block in blocks():
        apply(block, root)
    for place, letter in enumerate("ab"):
        (root / "letters" / letter).mkdir(parents=True)
        for index in range(6):
            events = [(1000 * t, (t + index) % 16, 3 + 8 * place, t % 2) for t in range(40)]
            packed = b"".join(struct.pack("<IHBB", *event) for event in events)
            (root / "letters" / letter / f"{index}.evp").write_bytes(packed)
    return root


def environment(root: Path) -> dict[str, str]:
    """Python finds the copy, and keeps to the folder."""
    own = {"PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1", "MPLCONFIGDIR": str(root)}
    return {**os.environ, **own, "TEMPREG_CACHE_DIR": str(root / "cache")}


COMMANDS: dict[str, tuple[str, ...]] = {
    "help": ("train", "--help", "all"),
    "help of analyze": ("analyze", "--help"),
    "help of export": ("export", "--help"),
    "config": ("config", "nmnist-trt", *NEW),
    "list": ("data", "list"),
    "check": ("data", "check", "letters", "--data", "letters"),
    "train": ("train", "nmnist-trt", *NEW, "--data", "letters", "--data.cache", "false",
              "--model.channels", "null", "--model.dropout", "0", "--epochs", "1",
              "--num-steps", "2", "--out", "run"),
    "analyze": ("analyze", "run", "entropy"),
    "report": ("report", "run"),
    "export": ("export", "run", "--format", "npz"),
    "predict": ("predict", "run", "letters/a/0.evp"),
    "compare": ("compare", "run/config.yaml", "--objectives", "step,focal@gamma=1", "--seeds", "1",
                "--analyses", "entropy", "--jobs", "1", "--out", "study"),
}  # fmt: skip


@pytest.fixture(scope="module")
def followed(copy: Path) -> dict[str, Any]:
    """What the commands say, by name; all of them in one process."""
    script = [sys.executable, str(Path(__file__).with_name("following.py"))]
    result = subprocess.run(
        script, input=json.dumps([*COMMANDS.values()]), cwd=copy, env=environment(copy),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["file"].startswith(str(copy)), "another tempreg than the copy"
    answers = dict(zip(COMMANDS, found["said"], strict=True))
    for name, (code, out, errors) in answers.items():
        assert code == 0, f"{name}: {out}\n{errors}"
    return found | {name: out for name, (_, out, _) in answers.items()}


def test_there_is_a_recipe_for_each_kind_and_none_is_long() -> None:
    by_recipe: dict[str, list[str]] = {}
    for block in blocks():
        by_recipe.setdefault(block.recipe, []).extend(block.added)
    assert tuple(by_recipe) == KINDS
    for recipe, lines in by_recipe.items():
        assert sum(bool(line.strip()) for line in lines) <= MOST_LINES, recipe
    files = {block.file for block in blocks() if block.recipe == "an objective"}
    assert len(files) <= 4, files


def test_the_examples_pass_the_checks_of_the_sources(copy: Path) -> None:
    pytest.importorskip("ruff")
    files = sorted({block.file for block in blocks() if block.file.endswith(".py")})
    for command in (["check"], ["format", "--check"]):
        words = [sys.executable, "-m", "ruff", *command, "--no-cache", *files]
        result = subprocess.run(words, cwd=copy, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def test_help(followed: dict[str, Any]) -> None:
    shown = re.sub(r"\s+", " ", followed["help"])
    assert "anytime, focal, " in shown
    assert "--objective.gamma NUMBER focal: how little sure answers count, >= 0" in shown
    assert "--augment.noise NUMBER standard deviation of Gaussian noise" in shown
    assert " triangle|sigmoid|atan|rectangle|fast" in shown
    assert " lif|plif|if|soft|alif|cuba|threshold" in shown
    assert " auto|reference|eager|wide|compiled" in shown
    assert "entropy" in followed["help of analyze"]
    assert "npz" in followed["help of export"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("train x --objective fo", "focal"),
        ("train x --objective.ga", "--objective.gamma"),
        ("train x --model.surrogate fa", "fast"),
        ("train x --model.neuron so", "soft"),
        ("train x --augment.no", "--augment.noise"),
        ("train x --backend w", "wide"),
        ("analyze run en", "entropy"),
        ("export run --format np", "npz"),
    ],
)
def test_completion(copy: Path, typed: str, offered: str) -> None:
    pytest.importorskip("argcomplete")
    line, answer = f"tempreg {typed}", copy / "offered"
    asked = {
        "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_IFS": "\n",
    }  # fmt: skip
    words = [sys.executable, "-m", "tempreg"]
    subprocess.run(words, env=environment(copy) | asked, cwd=copy, check=False)
    assert [word.strip() for word in answer.read_text().split("\n")] == [offered]


def test_settings(followed: dict[str, Any]) -> None:
    for line in (
        "surrogate: fast", "neuron: soft", "noise: 0.1", "backend: wide", "name: shallow",
        "name: letters", "name: focal+mse", "gamma: 1.5",
    ):  # fmt: skip
        assert re.search(rf"^ *{re.escape(line)}$", followed["config"], re.MULTILINE), line


def test_data(followed: dict[str, Any]) -> None:
    assert "Letters, signed" in followed["list"]
    assert re.search(r"^all +\d+ +\d+ +\d+$", followed["check"], re.MULTILINE)


def test_training(followed: dict[str, Any], copy: Path) -> None:
    lines = (copy / "run" / "metrics.jsonl").read_text().splitlines()
    train = next(line for line in map(json.loads, lines) if line["split"] == "train")
    assert train["focal"] > 0
    assert train["mse"] > 0
    assert followed["predict"].splitlines()[0]


def test_analysis_export_and_report(followed: dict[str, Any], copy: Path) -> None:
    import numpy as np

    result = json.loads((copy / "run" / "analysis" / "entropy-held-out.json").read_text())
    assert len(result["entropy"]) == 2
    assert all(0 < value <= np.log(2) + 1e-9 for value in result["entropy"])
    page = (copy / "run" / "report.html").read_text()
    for word in ("Entropy", "focal", "shallow", "letters", "fast", "soft", "wide"):
        assert word in page, word
    with np.load(copy / "run" / "model.npz") as arrays:
        assert arrays["head.weight"].shape == (2, 32)
        assert "stem_neuron.w" in arrays


def test_compare(followed: dict[str, Any], copy: Path) -> None:
    page = (copy / "study" / "report.html").read_text()
    assert "focal@gamma=1" in page
    assert "ntropy" in page
    rows = (copy / "study" / "results.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == ["step", "focal@gamma=1"]
    assert all("finished" in row for row in rows[1:])


@needs_compiler
def test_values(followed: dict[str, Any]) -> None:
    """The kernels have the surrogate, and its integral is 1; noise is as strong as it says."""
    assert abs(followed["integral"]) < 1e-2
    assert abs(followed["noise"]) < 0.02
    for backend in ("eager", "wide", "compiled"):
        assert followed[backend] < 1e-5, backend
