"""Completion as a shell asks for it: the printed function is sourced and called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tempreg.config import PRESETS
from tempreg.config.dotted import leaves
from tests.conftest import CommandLine

pytest.importorskip("argcomplete")
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

ASK = """
source <(tempreg completion bash)
complete -p tempreg >/dev/null || exit 3
while IFS= read -r line; do
  COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9 COMP_WORDBREAKS=$' \\t\\n"><=;|&(:'
  COMPREPLY=()
  _python_argcomplete tempreg
  echo "${COMPREPLY[*]}"
done
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `tempreg` to be found on PATH, and two files."""
    program = tmp_path / "bin" / "tempreg"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tempreg "$@"\n')
    program.chmod(0o755)
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "notes.txt").touch()
    return tmp_path


def ask(folder: Path, *lines: str) -> list[list[str]]:
    """What bash offers at the end of each line."""
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "-c", ASK], input="".join(f"{line}\n" for line in lines), env=environment,
        cwd=folder, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert result.stderr == ""
    return [line.split() for line in result.stdout.splitlines()]


@needs_bash
def test_commands_settings_and_values(folder: Path) -> None:
    from tempreg.cli.main import COMMANDS

    commands, sources, settings, surrogates, named, wrong = ask(
        folder,
        "tempreg ",
        "tempreg train ",
        "tempreg train nmnist-trt --",
        "tempreg train nmnist-trt --model.surrogate ",
        "tempreg compare nmnist-trt --objective.la",
        "tempreg train nmnist-trt --nothing-like",
    )
    assert set(commands) == set(COMMANDS)
    assert set(sources) == {*PRESETS, "mine.yaml", "bin/"}
    dotted = {f"--{name.replace('_', '-')}" for name, _, _ in leaves()}
    assert dotted | {"--out", "--resume", "--objective", "--data"} <= set(settings)
    assert surrogates == ["triangle", "sigmoid", "atan", "rectangle"]
    assert named == ["--objective.lam"]
    assert wrong == []


@needs_bash
def test_what_each_command_takes(folder: Path) -> None:
    quantities, below, flags = ask(
        folder, "tempreg analyze run fi", "tempreg data ", "tempreg data fetch cifar10 --"
    )
    assert quantities == ["fisher"]
    assert below == ["list", "check", "fetch", "cut", "show"]
    assert "--to" in flags
    assert "--data" not in flags


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(tempreg: CommandLine, shell: str) -> None:
    script = tempreg("completion", shell)
    assert script.returncode == 0
    assert "_ARGCOMPLETE" in script.stdout
    if shutil.which(shell):
        check = [shell, "--no-execute" if shell == "fish" else "-n"]
        subprocess.run(check, input=script.stdout, text=True, check=True, timeout=30)


def test_other_shells_are_refused(tempreg: CommandLine) -> None:
    result = tempreg("completion", "tcsh")
    assert result.returncode == 2
    assert "invalid choice: 'tcsh'" in result.stderr


def test_completion_loads_nothing_heavy(folder: Path) -> None:
    """The parser of a command is all that an answer needs."""
    script = (
        "import os, sys\n"
        "os.environ.update(_ARGCOMPLETE='1', COMP_LINE='tempreg train --s', COMP_POINT='17',\n"
        f"    _ARGCOMPLETE_STDOUT_FILENAME={str(folder / 'out')!r})\n"
        "os._exit = sys.exit\n"
        "from tempreg.cli.main import main\n"
        "try:\n"
        "    main([])\n"
        "finally:\n"
        "    print('heavy:', *[m for m in ('torch', 'numpy', 'matplotlib') if m in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout.strip() == "heavy:", result.stderr
    assert "--seed" in (folder / "out").read_text()
