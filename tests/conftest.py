"""Shared by all tests: the shapes of inputs, tiny runs, and the command line as a user has it."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from hypothesis import settings
from safetensors.torch import load_file

from tempreg.cli.main import main
from tempreg.config import PRESETS, RunConfig

# Found whether or not the project's scripts are on PATH.
COMMAND = [sys.executable, "-m", "tempreg"]
SHARED = Path(__file__).parents[2] / "shared"

settings.register_profile("tempreg", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("tempreg")

CommandLine = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_configure() -> None:
    """Ctrl-C works where the tests were started with it ignored, as a shell's & does."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden numbers and real data beside the project."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the folder {SHARED}, which is not here")
    return SHARED


# Where `tempreg`'s processes are forked from, so that they begin with everything imported.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tempreg.runs", "tempreg.runs.fit", "torch._dynamo"])


@pytest.fixture
def tempreg(tmp_path: Path) -> CommandLine:
    """Runs `tempreg ...` in an empty folder, in a process of its own; returns how it ended."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        said = tmp_path.with_name(tmp_path.name + ".said")
        said.mkdir(exist_ok=True)
        process = FORKS.Process(
            target=_command, args=(words, tmp_path, {**os.environ, **environment}, said)
        )
        process.start()
        process.join(300)
        code = process.exitcode
        process.kill()
        assert code is not None, f"tempreg {' '.join(words)}: not done after 300 s"
        texts = [(said / name).read_text(encoding="utf-8") for name in ("output", "errors")]
        return subprocess.CompletedProcess(words, code, *texts)

    return run


def _command(
    words: Sequence[str], folder: Path, environment: dict[str, str], said: Path
) -> NoReturn:
    """What such a process does: from here on it is what `python -m tempreg` begins."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate((Path(os.devnull), said / "output", said / "errors")):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: PTH123, SIM115
    sys.argv = ["tempreg", *words]
    sys.exit(main())


@pytest.fixture
def tempreg_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    """As `tempreg`, in this process: for tests that need no other, whose start costs seconds."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setattr(warnings, "showwarning", warnings.showwarning)  # which `main` changes
            for name, value in environment.items():
                patch.setenv(name, value)
            try:
                code = main(list(words))
            except SystemExit as end:  # of argparse
                code = end.code if isinstance(end.code, int) else 1
        return subprocess.CompletedProcess(words, code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def tiny() -> RunConfig:
    """A run of seconds: two epochs of a very small network on N-MNIST."""
    config = PRESETS["nmnist-trt"]()
    return replace(
        config, epochs=2, num_steps=2, model=replace(config.model, channels=(4, 8), dropout=0.1)
    )


def same_weights(a: Path, b: Path) -> bool:
    first, second = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def said(errors: str) -> list[str]:
    """The lines on standard error, without the notice that a machine has no C compiler."""
    notice = "tempreg: warning: backend 'compiled' cannot run here"
    return [line for line in errors.splitlines() if not line.startswith(notice)]


needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CC", "cc")) is None,
    reason="needs a C compiler (cc); without one the backend 'compiled' cannot be built",
)
