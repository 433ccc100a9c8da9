"""One attack on one command, and what became of it."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.attacks import WITH_PROJECT, Attack, DiskFull
from tests.crash.commands import Command, line_of, prepare
from tests.crash.content import contents, halves, leftovers

LONGEST = 300.0
"""Seconds for a command that nobody disturbs."""
ENDLESS = 120.0
"""Seconds after which an attacked command, of which the longest needs a tenth, will never end."""
SAME = "same result"


@dataclass
class Whole:
    """A command that nobody disturbed. Final.

    Attributes:
        seconds: it took.
        first: seconds until it wrote something into its box.
        content: of its box in the end, see `contents`.
        said: on standard output, for a command that writes nothing.
    """

    seconds: float
    first: float
    content: dict[str, str]
    said: str


@dataclass
class Trial:
    """A row of the log. Final.

    Attributes:
        command, attack: their names.
        moment: seconds after the start.
        part: of the time that the undisturbed command took.
        landed: whether the attack ended the command; it may have ended well before, or not have
            noticed.
        code: with which the command ended, or minus the signal's number.
        said: its last sentence.
        again: exit code of the same command, run again undisturbed.
        outcome: `SAME`, or what is wrong.
    """

    command: str
    attack: str
    moment: float
    part: float
    landed: bool = False
    code: int = 0
    said: str = ""
    again: int = 0
    outcome: str = SAME
    wrong: list[str] = field(default_factory=list)


def environment(base: Path) -> dict[str, str]:
    """Of every command: one thread, caches in the box, nothing of the person's own."""
    for name in ("tmp", "matplotlib", "home"):
        (base / name).mkdir(exist_ok=True)
    return {
        **WITH_PROJECT,
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TEMPREG_CACHE_DIR": "cache",
        "TMPDIR": str(base / "tmp"),
        "MPLCONFIGDIR": str(base / "matplotlib"),
        "HOME": str(base / "home"),
    }


@contextmanager
def box_for(base: Path, name: str, attack: Attack | None) -> Iterator[Path]:
    """An empty folder, on a small disk of its own where it is going to be full."""
    box = base / name
    shutil.rmtree(box, ignore_errors=True)
    box.mkdir()
    mounted = isinstance(attack, DiskFull) and DiskFull.mount(box)
    try:
        yield box
    finally:
        if mounted:
            DiskFull.unmount(box)
        shutil.rmtree(box, ignore_errors=True)


def undisturbed(command: Command, base: Path, wholes: Path) -> Whole:
    """Run it to its end in `wholes`/NAME, which stays."""
    box = wholes / command.name
    shutil.rmtree(box, ignore_errors=True)
    box.mkdir(parents=True)
    prepare(command, box, wholes)
    before, start, first = _state(box), time.monotonic(), None
    with line_of(command) as line, (base / "whole.out").open("w+b") as out:
        process = subprocess.Popen(line(False), cwd=box, env=environment(base), stdout=out)
        while process.poll() is None:
            if first is None and _state(box) != before:
                first = time.monotonic() - start
            time.sleep(0.02)
        seconds = time.monotonic() - start
        assert process.returncode == 0, command.name
        out.seek(0)
        said = out.read().decode()
    assert not leftovers(box)
    return Whole(seconds, first or seconds / 2, contents(box, study=command.study), said)


def _state(box: Path) -> list[str]:
    return sorted(str(path) for path in box.rglob("*"))


def moment_in(whole: Whole, chance: random.Random) -> float:
    """Seconds after the start; half of them about when files are written."""
    earliest = chance.choice((0.0, 0.8 * whole.first))
    return chance.uniform(earliest, 0.95 * whole.seconds)


def run_trial(
    command: Command,
    attack: Attack,
    moment: float,
    whole: Whole,
    base: Path,
    chance: random.Random,
) -> Trial:
    """Start the command, attack it after `moment` seconds, run it again, and compare."""
    trial = Trial(command.name, attack.name, round(moment, 2), round(moment / whole.seconds, 2))
    with box_for(base, "box", attack) as box, line_of(command) as line:
        prepare(command, box, base / "wholes")
        study = command.study
        idle = [contents(box, study=study), whole.content]
        start = time.monotonic()
        out, err = _attacked(line(False), attack, box, base, trial, chance)
        spent = time.monotonic() - start
        if spent < moment:  # done before: the machine was slower when nobody disturbed it
            whole.first, whole.seconds = whole.first * spent / whole.seconds, spent
        trial.wrong += [f"half-written: {name}" for name in halves(box)]
        at_work = bool(trial.wrong or leftovers(box)) or contents(box, study=study) not in idle
        _judge_end(trial, out, err, at_work=at_work)
        if not (command.once and trial.code == 0):
            again = subprocess.run(
                line(True), cwd=box, env=environment(base), capture_output=True, text=True,
                timeout=LONGEST, check=False, **attack.started(),
            )  # fmt: skip
            trial.again, out, err = again.returncode, again.stdout, f"{err}\n---\n{again.stderr}"
        if trial.again != 0:
            trial.wrong.append(f"again: {_last(err)}")
        else:
            trial.wrong += _differences(command, whole, box, out)
        trial.wrong += [f"left behind: {name}" for name in leftovers(box)]
        if trial.wrong:
            trial.outcome = "; ".join(trial.wrong)
            kept = base / "wrong" / f"{time.time_ns()}"
            shutil.copytree(box, kept / "box")
            (kept / "said").write_text(f"{trial}\n{out}\n---\n{err}")
    return trial


def _attacked(
    words: list[str], attack: Attack, box: Path, base: Path, trial: Trial, chance: random.Random
) -> tuple[str, str]:
    """What the attacked command said on standard output and error."""
    process = subprocess.Popen(
        words, cwd=box, env={**environment(base), "PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, errors="replace", start_new_session=True, **attack.started(),
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=trial.moment)
    except subprocess.TimeoutExpired:
        attack.strike(process, box, chance)
        out, err = _end_of(process, trial)
    trial.code = process.returncode
    trial.landed = trial.code != 0
    attack.relieve(box)
    return out, err


def _end_of(process: subprocess.Popen[str], trial: Trial) -> tuple[str, str]:
    """What it said until its end, or until it had to be aborted."""
    try:
        return process.communicate(timeout=ENDLESS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # upon which Python says where it is
        out, err = process.communicate(timeout=LONGEST)
    if trial.attack != "memory limit" or not spins_in_import(err):
        trial.wrong.append("never ended")
    return out, err


def spins_in_import(err: str) -> bool:
    """Whether Python was in an import's own code, by what it said when it was aborted.

    Without any memory CPython 3.11 may try forever there to have some for an exception.
    """
    _, _, stack = err.partition("(most recent call first):\n")
    return stack.lstrip().startswith('File "<frozen importlib')


def _judge_end(trial: Trial, out: str, err: str, *, at_work: bool) -> None:
    """Whether it ended as documented, with a sentence.

    A signal may end it wordlessly while it isn't `at_work`: before it began, or when all is done.
    """
    trial.said = _last(err)
    if not trial.landed:
        return
    if trial.attack == "memory limit" and _beneath_python(trial.code, err):
        trial.said = f"(Python or the system itself failed: {trial.said or trial.code})"
        return
    if "Traceback" in err:
        if trial.attack in ("Ctrl-C", "memory limit") and ", in main\n" not in err:
            trial.said = "(Python had not begun with tempreg yet)"
            return
        trial.wrong.append("a traceback")
    if trial.attack.startswith("SIGKILL"):
        return
    if trial.code == -signal.SIGINT and trial.said == "tempreg: interrupted":
        return  # Python ends so where the interrupt came in an exec; shells show 130, too
    if trial.code < 0:
        trial.said = trial.said or f"(signal {-trial.code})"
        outside = trial.attack in ("SIGTERM", "Ctrl-C") and not err and not at_work
        if not outside:
            trial.wrong.append(f"ended by signal {-trial.code}")
        return
    expected = (130,) if trial.attack in ("SIGTERM", "Ctrl-C") else (1, 2)
    if trial.code not in expected:
        trial.wrong.append(f"exit code {trial.code}")
    if not trial.said.startswith("tempreg: ") and "FAILED: " not in out:
        trial.wrong.append("no sentence")


def _beneath_python(code: int, err: str) -> bool:
    """Whether memory was missing where no program can say so: in the loader, a library in C or the
    interpreter, which end the process themselves."""
    told = _last(err).startswith("tempreg: ")
    return code < 0 or (not told and ("Traceback" not in err or "\nSystemError: " in err))


def _last(err: str) -> str:
    """The last thing that `tempreg` says, or else anybody."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    ours = [line for line in lines if line.startswith("tempreg: ")]
    return (ours or lines or [""])[-1]


def _differences(command: Command, whole: Whole, box: Path, said: str) -> list[str]:
    """From the undisturbed command: files, and what is printed by one that writes none."""
    found = contents(box, study=command.study)
    differ = sorted(
        name
        for name in found.keys() | whole.content.keys()
        if found.get(name) != whole.content.get(name)
    )
    wrong = [f"differs: {name}" for name in differ]
    if not command.writes and said != whole.said:
        wrong.append("differs: what it prints")
    return wrong
