"""Runs pytest in forked processes: once to see which test runs which line, then for each mutant.

The parent imports torch and the other big libraries but never tempreg, so a child starts at once
and registers tempreg's operators for itself. A child that can't come back (an endless loop, a
crash in a kernel) is ended by its own limit or found dead, and nothing of it is left.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import coverage
import pytest

PRELOADED = ("torch", "torch.func", "numpy", "scipy.optimize", "scipy.stats", "safetensors.torch",
             "matplotlib.figure", "PIL.Image", "yaml", "cattrs", "lightning_fabric")  # fmt: skip
MEMORY = 16 * 2**30
# All seconds are of a processor, so that other work on the machine changes no outcome.
LIMIT = 10  # seconds a test may take, beside four times what it takes with coverage


class Outcome(NamedTuple):
    """What became of a mutant, and the test that ended it."""

    status: str
    test: str


class Seen:
    """A plugin that notes which lines each test runs, and how long it takes. Final."""

    def __init__(self, package: Path) -> None:
        self.coverage = coverage.Coverage(
            data_file=None, config_file=False, include=[f"{package}/*"]
        )
        self.seconds: dict[str, float] = {}
        self.bad: set[str] = set()
        self.coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        self.coverage.switch_context(item.nodeid)
        before = sum(os.times()[:4])
        yield
        self.seconds[item.nodeid] = sum(os.times()[:4]) - before
        self.coverage.switch_context("")

    def pytest_runtest_logreport(self, report):
        if report.outcome != "passed":
            self.bad.add(report.nodeid)

    def map(self, package: Path) -> dict:
        """{"lines": {file: {line: [test]}}, "seconds": {test: s}}, of tests that passed."""
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {}
        for name in data.measured_files():
            found = data.contexts_by_lineno(name)
            lines[str(Path(name).relative_to(package))] = {
                line: sorted(set(tests) - self.bad - {""}) for line, tests in found.items()
            }
        passed = {test: s for test, s in self.seconds.items() if test not in self.bad}
        return {"lines": lines, "seconds": passed, "left out": sorted(self.bad)}


class Chosen:
    """A plugin that runs the given tests in their order, each with a limit. Final."""

    def __init__(self, tests: Sequence[str], seconds: dict[str, float], note: Path) -> None:
        self.order = {test: place for place, test in enumerate(tests)}
        self.seconds, self.note = seconds, note

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if item.nodeid in self.order]
        items.sort(key=lambda item: self.order[item.nodeid])

    def pytest_runtest_logstart(self, nodeid):
        self.note.write_text(nodeid)
        _limited(LIMIT + 4 * self.seconds.get(nodeid, 0))


def preload() -> None:
    """The libraries that every child needs."""
    for name in PRELOADED:
        importlib.import_module(name)
    assert not any(name.split(".")[0] == "tempreg" for name in sys.modules)


def record(tree: Path, files: Sequence[str], into: Path) -> None:
    """Writes the map of the tests in `files` of the copy `tree` to `into`."""

    def child() -> int:
        seen = Seen(tree / "src" / "tempreg")
        code = int(pytest.main(_arguments(tree, files), plugins=[seen]))
        into.write_text(json.dumps(seen.map(tree / "src" / "tempreg")))
        return code

    log = into.with_suffix(".log")
    if _forked(tree, log, child) not in (10, 11):
        into.unlink(missing_ok=True)
        raise SystemExit(f"the tests could not be run: see {log}")
    shutil.copytree(_kernels(tree), tree.parent / "kernels", dirs_exist_ok=True)


def judged(tree: Path, tests: Sequence[str], seconds: dict[str, float]) -> Outcome:
    """What the given tests, in their order, make of the copy as it is."""
    if not tests:
        return Outcome("survived", "")
    note = tree.parent / "test-running"
    note.write_text("import")
    files = sorted({test.partition("::")[0] for test in tests})

    def child() -> int:
        chosen = Chosen(tests, seconds, note)
        _limited(4 * LIMIT)  # for the imports
        return int(pytest.main(["-x", *_arguments(tree, files)], plugins=[chosen]))

    code = _forked(tree, tree.parent / "last.log", child)
    if code == -signal.SIGPROF:
        return Outcome("timeout", note.read_text())
    if code == 10 + pytest.ExitCode.OK:
        return Outcome("survived", "")
    failed = (
        pytest.ExitCode.TESTS_FAILED,
        pytest.ExitCode.INTERRUPTED,
        pytest.ExitCode.USAGE_ERROR,
    )
    if code < 0 or code - 10 in failed:  # the last two where the mutant can't be imported
        return Outcome("killed", note.read_text())
    raise SystemExit(f"pytest ended with {code - 10}: see {tree.parent / 'last.log'}")


def _limited(seconds: float) -> None:
    """This process ends by SIGPROF when it has used as many more; SIGALRM is the tests' own."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _kernels(tree: Path) -> Path:
    """The cache of compiled kernels of one child: a mutant may write what it likes there."""
    return tree.parent / "kernels-used"


def _arguments(tree: Path, files: Sequence[str]) -> list[str]:
    return ["-p", "no:cacheprovider", "--rootdir", str(tree), "-c", str(tree / "pyproject.toml"),
            "--basetemp", str(tree.parent / "tmp"),
            *(str(tree / file) for file in files)]  # fmt: skip


def _forked(tree: Path, log: Path, work: Callable[[], int]) -> int:
    """The exit code of a child that does `work` among the copy's sources, its output in `log`.

    It is pytest's plus 10, or minus the signal that ended it.
    """
    built = tree.parent / "kernels"
    shutil.rmtree(_kernels(tree), ignore_errors=True)
    if built.exists():
        shutil.copytree(built, _kernels(tree))
    process = multiprocessing.get_context("fork").Process(target=_child, args=(tree, log, work))
    process.start()
    process.join()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what a test may have left
    shutil.rmtree(tree.parent / "tmp", ignore_errors=True)
    return process.exitcode


def _child(tree: Path, log: Path, work: Callable[[], int]) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.chdir(tree / "src")  # where `python -c` of a test that starts one finds the mutant, too
    sys.path.insert(0, str(tree / "src"))
    os.environ["PYTHONPATH"] = str(tree / "src")
    os.environ["TEMPREG_CACHE_DIR"] = str(_kernels(tree))
    sys.exit(10 + work())
