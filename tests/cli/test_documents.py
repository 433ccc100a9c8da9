"""What the README and the guide say works: their code runs, their commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import CommandLine

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", "docs/guide.md", "docs/analysis.md"]
LINKED = [
    *DOCUMENTS,
    "docs/data.md",
    "docs/studies.md",
    "docs/theory.md",
    "docs/frameworks.md",
    "docs/devices.md",
    "CONTRIBUTING.md",
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_code_blocks_run(name: str) -> None:
    loader = [(torch.rand(4, 2, 2, 34, 34), torch.tensor([3, 5]))]
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, name, "exec"), {"loader": loader})  # noqa: S102 - our own documents


def test_the_example_is_as_short_as_it_says() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(block.strip().splitlines()) <= 12


def test_commands_in_the_readme_parse(tempreg: CommandLine, tmp_path: Path) -> None:
    lines = re.findall(r"^    tempreg ([^#>\n]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(lines) >= 6
    (tmp_path / "mine.yaml").write_text(tempreg("config", "nmnist-trt").stdout)
    for line in lines:
        command, *words = line.split()
        if "my-folder" in words:
            assert "my-folder" in tempreg(command, *words).stderr
        elif command == "train":  # with a setting that stops it after everything is parsed
            result = tempreg("train", *words, "--data.name", "nowhere")
            wanted = "no configuration file" if "--resume" in words else "no reader for the data"
            assert wanted in result.stderr, line
        elif command in ("evaluate", "analyze", "predict"):
            assert "holds no run" in tempreg(command, *words).stderr
        elif command == "report":
            assert "holds neither a study" in tempreg(command, *words).stderr
        elif command == "compare":
            result = tempreg(command, *words, "--data.name", "nowhere", "--analyses", "none")
            assert "no reader for the data" in result.stderr
        else:
            assert tempreg(command, *words).returncode == 0, line


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for name in [*DOCUMENTS, "CONTRIBUTING.md"]:
        for target in re.findall(r"^    make ([a-z-]+)", (ROOT / name).read_text(), re.MULTILINE):
            assert f"\n{target}:" in makefile


def test_plain_loop_example() -> None:
    script = [sys.executable, str(ROOT / "examples" / "plain_loop.py"), "1"]
    result = subprocess.run(script, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("epoch 1  cross_entropy ")


def test_links_lead_somewhere() -> None:
    for name in LINKED:
        for target in re.findall(r"\]\(((?!http)[^)#]+)\)", (ROOT / name).read_text()):
            assert (ROOT / name).parent.joinpath(target).exists(), (name, target)
