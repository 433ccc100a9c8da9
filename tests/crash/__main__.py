"""`python -m tests.crash`: attacks commands at random moments until enough were stopped.

Each trial is decided by the seed and its number, so the same command goes on where an earlier one
ended, and repeats what was deleted from the log. The exit code is 1 where a trial ended with
anything but the same result.
"""

from __future__ import annotations

import argparse
import itertools
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.crash.attacks import ATTACKS, ROOT
from tests.crash.commands import COMMANDS
from tests.crash.table import append, fill, read
from tests.crash.trial import SAME, Whole, moment_in, run_trial, undisturbed

OF_WRITERS = ("disk full", "file size limit", "read-only")
OF_STUDIES = ("SIGKILL to all",)
"""For commands that have children."""


def pairs(folder: Path) -> list[tuple[str, str]]:
    """Commands and attacks that go together here."""
    attacks = [name for name, attack in ATTACKS.items() if attack.possible(folder)]
    return [
        (command, attack)
        for command in COMMANDS
        for attack in attacks
        if (COMMANDS[command].writes or attack not in OF_WRITERS)
        and (COMMANDS[command].study or attack not in OF_STUDIES)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=100,
        help="commands to stop, those in the log counted (default: 100)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, default=ROOT / "build" / "crashtest.csv")
    parser.add_argument("--page", type=Path, help="fill its table from the log")
    parser.add_argument("--only", default="", help="commands, or COMMAND/ATTACK, with commas")
    parser.add_argument("--folder", type=Path, help="work there and keep it (default: a new one)")
    args = parser.parse_args()
    # A shell lets what it starts with & ignore Ctrl-C, and so would the commands.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="tempreg-crash-") as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        _attack(args, folder)
    rows = read(args.log)
    if args.page is not None:
        fill(args.page, rows)
    wrong = [row for row in rows if row["outcome"] != SAME]
    print(f"{len(rows)} attacks, {_stopped(rows)} commands stopped, {len(wrong)} ended otherwise")
    return 1 if wrong else 0


def _attack(args: argparse.Namespace, folder: Path) -> None:
    asked = [name for name in args.only.split(",") if name]
    chosen = [
        pair for pair in pairs(folder)
        if not asked or pair[0] in asked or "/".join(pair) in asked
    ]  # fmt: skip
    wholes: dict[str, Whole] = {}
    while _stopped(rows := read(args.log)) < args.kills:
        done = {row["number"] for row in rows}
        number = next(n for n in itertools.count() if str(n) not in done)
        chance = random.Random(f"{args.seed}, {number}")
        order = chosen[:]
        random.Random(f"{args.seed}, round {number // len(chosen)}").shuffle(order)
        command, attack = order[number % len(chosen)]
        for name in (*COMMANDS[command].needs, command):
            if name not in wholes:
                wholes[name] = undisturbed(COMMANDS[name], folder, folder / "wholes")
                print(f"{name}: {wholes[name].seconds:.1f} s undisturbed", flush=True)
        whole = wholes[command]
        moment = moment_in(whole, chance)
        trial = run_trial(COMMANDS[command], ATTACKS[attack], moment, whole, folder, chance)
        append(args.log, number, trial)
        print(f"{number}: {command}, {attack} at {trial.moment:.1f} s: {trial.code}, "
              f"{trial.said[:80]!r}; {trial.outcome}", flush=True)  # fmt: skip


def _stopped(rows: list[dict[str, str]]) -> int:
    return sum(row["landed"] == "True" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
