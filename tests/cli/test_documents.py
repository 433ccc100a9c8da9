"""What the README and the pages in docs/ say works: their code runs, their commands are taken."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tempreg.cli.main import COMMANDS, main
from tempreg.cli.parser import Parser
from tempreg.config import config_from_dict
from tempreg.config.yaml import parse as read_yaml
from tests.conftest import CommandLine

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"))
)
WALKS = ["docs/quickstart.md", "docs/own-data.md", "docs/own-network.md", "docs/tools.md"]
"""Pages whose blocks are steps, run one after the other in one empty folder."""
RECIPES = "docs/extending.md"
"""A page of files and changes of them, which `tests.cli.test_extending` makes."""
FILE = re.compile(r' title="(\w+\.py)"')
"""A walk's block that makes a file."""
UNRUN = "not run"
"""In a block's title, with the reason: its commands are parsed, or its Python compiled, instead."""
SMALL = {
    "train": ["--epochs", "1", "--num-steps", "2", "--model.channels", "[4, 8]"],
    "analyze": ["--samples", "8", "--brief"],
}
"""Added to a page's commands, so that they take a second."""
OPTIONAL = ("spikingjelly", "snntorch", "norse", "sinabs", "nir", "onnx", "onnxruntime", "ray")
"""Packages that a page may import and a machine may lack; its block is then skipped, by name."""


@dataclass(frozen=True)
class Block:
    """Fenced code of a page: its language, what follows on the fence's line, and its text."""

    kind: str
    info: str
    text: str


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text()
    assert text.count("\n```") % 2 == 0, f"{page}: a fence is not closed"
    found = re.findall(r"^```(\w*)([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(*parts) for parts in found]


def commands(text: str) -> list[list[str]]:
    """The words of each `tempreg` command in a block; brackets of optional flags are left out."""
    lines = [re.sub(r"\[(--[^\]]*)\]", r"\1", line) for line in text.splitlines()]
    found = [re.search(r"(?:^|\(|\$ )tempreg ([^|>)]*)", line.strip()) for line in lines]
    return [shlex.split(match[1], comments=True) for match in found if match]


class Parsed(Exception):
    """Raised in place of running a command whose words were understood."""


def parse(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails unless the command exists and takes these words."""
    read = Parser.parse

    def stop(self: Parser, words: Sequence[str]) -> argparse.Namespace:
        read(self, words)
        raise Parsed

    with monkeypatch.context() as patch:
        patch.setattr(Parser, "parse", stop)
        with pytest.raises(Parsed):
            main(words)


def run(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One command of a page, made small, in the current folder."""
    typed, _, target = line.partition(" > ")
    words = shlex.split(typed, comments=True)[1:]
    capsys.readouterr()
    assert main([*words, *SMALL.get(words[0], [])]) == 0, line
    if target:
        Path(target.strip()).write_text(capsys.readouterr().out)


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """`main` changes how warnings are shown."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_kind_that_is_checked(page: str) -> None:
    for block in blocks(page):
        if page == RECIPES:
            assert re.fullmatch(r' title="src/tempreg/[\w/.]+"', block.info), block
            assert block.kind in ("python", "diff"), block
            continue
        assert block.kind in ("python", "bash", "yaml", "text", "c"), f"{page}: ```{block.kind}"
        named = UNRUN in block.info or (page in WALKS and FILE.fullmatch(block.info))
        assert not block.info.strip() or named, f"{page}: ```{block.kind}{block.info}"


@pytest.mark.parametrize("page", [p for p in PAGES if p not in (*WALKS, RECIPES)])
def test_python_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block alone, with a loader of two samples at hand."""
    monkeypatch.chdir(tmp_path)
    loader = [(torch.rand(4, 2, 2, 34, 34), torch.tensor([3, 5]))]
    for block in blocks(page):
        if block.kind != "python":
            continue
        code = compile(block.text, page, "exec")
        if UNRUN in block.info:
            continue
        for package in OPTIONAL:
            if re.search(rf"^\s*(import|from) {package}\b", block.text, re.MULTILINE):
                pytest.importorskip(package)
        exec(code, {"loader": loader})  # noqa: S102 - our own documents


@pytest.mark.parametrize("page", WALKS)
def test_a_walk_can_be_walked(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every block of the page, in order, in one empty folder, with small numbers added."""
    if page == "docs/tools.md":
        pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, object] = {}
    walked = 0
    for block in blocks(page):
        if UNRUN in block.info:
            continue
        if file := FILE.fullmatch(block.info):
            Path(file[1]).write_text(block.text)
            continue
        if block.kind == "python":
            exec(compile(block.text, page, "exec"), names)  # noqa: S102 - our own documents
            walked += 1
        for line in block.text.splitlines() if block.kind == "bash" else []:
            if line.startswith("python -m pip install "):
                continue  # `make test-dist` does
            assert line.startswith("tempreg "), line
            run(line, capsys)
            walked += 1
    assert walked >= 2


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse(page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every command in a block, indented or fenced, run or not, exists and takes its flags."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text()
    lines = text.replace("\\\n", " ")
    indented = "\n".join(re.findall(r"^    (tempreg .*)$", lines, re.MULTILINE))
    fenced = "\n".join(b.text for b in blocks(page) if b.kind == "bash").replace("\\\n", " ")
    found = commands(indented) + commands(fenced)
    if page in ("README.md", *WALKS, "docs/data.md", "docs/analysis.md", "docs/studies.md"):
        assert found
    for words in found:
        parse(words, monkeypatch)
    for name in re.findall(r"`tempreg ([a-z]+)[ `]", text):
        assert name in COMMANDS, f"{page}: tempreg {name}"


@pytest.mark.parametrize("page", PAGES)
def test_settings_in_pages_are_settings(page: str) -> None:
    for block in blocks(page):
        if block.kind == "yaml":
            config_from_dict(read_yaml(block.text, page), page)


def test_the_example_is_as_short_as_it_says() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(block.strip().splitlines()) <= 12


def test_commands_in_the_readme_parse(
    tempreg: CommandLine, tempreg_here: CommandLine, tmp_path: Path
) -> None:
    def told(*words: str) -> tuple[int, str]:
        """Exit code, and what was said on standard error."""
        run = tempreg if "--devices" in words else tempreg_here
        result = run(*words)
        return result.returncode, result.stderr

    lines = re.findall(r"^    tempreg ([^#>\n]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(lines) >= 6
    (tmp_path / "mine.yaml").write_text(tempreg_here("config", "nmnist-trt").stdout)
    for line in lines:
        command, *words = line.split()
        if "my-folder" in words:
            assert "my-folder" in told(command, *words)[1]
        elif command == "train":  # with a setting that stops it after everything is parsed
            wanted = "no configuration file" if "--resume" in words else "no reader for the data"
            assert wanted in told("train", *words, "--data.name", "nowhere")[1], line
        elif command in ("evaluate", "analyze", "predict", "export"):
            assert "holds no run" in told(command, *words)[1]
        elif command == "import":
            assert "there is no file" in told(command, *words)[1]
        elif command == "report":
            assert "holds neither a study" in told(command, *words)[1]
        elif command == "compare":
            _, errors = told(command, *words, "--data.name", "nowhere", "--analyses", "none")
            assert "no reader for the data" in errors
        elif command != "bench":  # which takes a minute, and is parsed below
            assert told(command, *words)[0] == 0, line


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for name in PAGES:
        for target in re.findall(r"^    make ([a-z-]+)", (ROOT / name).read_text(), re.MULTILINE):
            assert f"\n{target}:" in makefile


def test_plain_loop_example() -> None:
    script = [sys.executable, str(ROOT / "examples" / "plain_loop.py"), "1"]
    result = subprocess.run(script, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("epoch 1  cross_entropy ")


def test_links_lead_somewhere() -> None:
    for name in PAGES:
        for target in re.findall(r"\]\(((?!http)[^)#]+)\)", (ROOT / name).read_text()):
            assert (ROOT / name).parent.joinpath(target).exists(), (name, target)
