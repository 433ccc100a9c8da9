"""Commands, each stopped in one way and run again; `make crashtest` does it a hundred times."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.attacks import ATTACKS
from tests.crash.commands import COMMANDS
from tests.crash.table import append, read, table
from tests.crash.trial import SAME, Trial, Whole, run_trial, spins_in_import, undisturbed


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crash")


@pytest.fixture(scope="module")
def wholes(base: Path) -> dict[str, Whole]:
    names = ("train", "export nir")
    return {name: undisturbed(COMMANDS[name], base, base / "wholes") for name in names}


@pytest.mark.parametrize(
    ("command", "attack", "part"),
    [
        ("export nir", "SIGKILL", 0.6),
        ("export nir", "SIGTERM", 0.6),
        ("export nir", "memory limit", 0.3),
        ("export nir", "file size limit", 0.3),
        ("export nir", "read-only", 0.3),
        ("export nir", "Ctrl-C", 0.6),
    ],
)
def test_stopped_and_run_again_it_ends_the_same(
    base: Path, wholes: dict[str, Whole], command: str, attack: str, part: float
) -> None:
    if attack == "read-only" and not ATTACKS[attack].possible(base):
        pytest.skip("root is not kept from writing here")
    whole, chance = wholes[command], random.Random(0)
    for earlier in (1, 2, 4):  # where the machine was slower when nobody disturbed it
        moment = part * whole.seconds / earlier
        trial = run_trial(COMMANDS[command], ATTACKS[attack], moment, whole, base, chance)
        assert trial.outcome == SAME, trial
        if trial.landed:
            return
    pytest.fail(f"the command was never stopped: {trial}")


def test_what_is_lost_is_seen(base: Path, wholes: dict[str, Whole]) -> None:
    """Against a result that no command can give, the same trial fails."""
    whole = wholes["export nir"]
    other = Whole(whole.seconds, whole.first, {**whole.content, "run/model.nir": "?"}, whole.said)
    kill, chance = ATTACKS["SIGKILL"], random.Random(0)
    trial = run_trial(COMMANDS["export nir"], kill, 0.1, other, base, chance)
    assert trial.landed
    assert trial.outcome == "differs: run/model.nir"


def test_where_an_endless_command_was_is_read(tmp_path: Path) -> None:
    """Python's own import is told apart from a module, ours or not, that waits."""
    waits = "import signal, os; os.kill(os.getpid(), signal.SIGABRT)\n"
    (tmp_path / "waits.py").write_text(waits)
    words = [sys.executable, "-X", "faulthandler", "-c", "import waits"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "importlib._bootstrap" in done.stderr
    assert not spins_in_import(done.stderr)
    head, _, stack = done.stderr.partition('  File "<frozen importlib')
    said = head.partition("  File")[0] + '  File "<frozen importlib' + stack
    assert spins_in_import(said)


def test_the_log_and_its_table(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    append(log, 1, Trial("train", "SIGKILL", 1.5, 0.5, landed=True, code=-9))
    append(log, 0, Trial("train", "SIGKILL", 1.5, 0.5, outcome="differs: a, b"))
    assert [(row["number"], row["outcome"]) for row in read(log)] == [
        ("0", "differs: a, b"),
        ("1", SAME),
    ]
    assert table(read(log)).splitlines()[2] == "| train | 1 of 2 | 1 | 1 of 2 |"
