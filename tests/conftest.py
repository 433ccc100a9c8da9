"""Shared by all tests: the shapes of inputs, tiny runs, and the command line as a user has it."""

from __future__ import annotations

import functools
import os
import shlex
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from safetensors.torch import load_file

from tempreg.cli.main import main
from tempreg.config import PRESETS, RunConfig
from tempreg.data.sources import embedded, timed
from tests.processes import draw_nothing, end_all, finished

# Found whether or not the project's scripts are on PATH.
COMMAND = [sys.executable, "-m", "tempreg"]
SHARED = Path(__file__).parents[2] / "shared"

LONGEST_TEST = 900
"""Seconds; the longest test needs one, of a machine with nothing else to do."""

settings.register_profile("tempreg", deadline=None, max_examples=40, derandomize=True)
settings.register_profile("other-seeds", deadline=None, max_examples=100)
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


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    """A test that waits for what never comes fails, and the rest go on."""

    def told(number: int, frame: object) -> None:
        raise TimeoutError(f"not done after {LONGEST_TEST} s")

    before = signal.signal(signal.SIGALRM, told)
    signal.alarm(LONGEST_TEST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _own_code_is_forgotten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A module of a test's folder is gone after it: the next test may write another of its name."""
    yield
    base = str(tmp_path_factory.getbasetemp())
    sys.path[:] = [place for place in sys.path if not place.startswith(base)]
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(base):
            del sys.modules[name]


def pytest_unconfigure() -> None:
    """A test that failed may have left a command running."""
    end_all()


@pytest.fixture
def tempreg(tmp_path: Path) -> CommandLine:
    """Runs `tempreg ...` in an empty folder, in a process of its own; returns how it ended."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return finished(words, tmp_path, **environment)

    return run


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


@pytest.fixture(scope="module")
def without_pictures() -> Iterator[None]:
    """For modules that don't look at the pictures of analyses, which take most of their time."""
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def _recordings_are_read_once() -> Iterator[None]:
    """The N-MNIST recordings that ship with the package, which most small runs train on."""
    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(embedded.nmnist_recordings)
        for module in (embedded, timed):
            patch.setattr(module, "nmnist_recordings", once)
        yield


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
    shutil.which(shlex.split(os.environ.get("CC", "cc"))[0]) is None,
    reason="needs a C compiler (cc); without one the backend 'compiled' cannot be built",
)
