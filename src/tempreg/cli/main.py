"""What starts first: picks the command, and turns errors into sentences and exit codes.

Nothing that takes time to import is imported before a command needs it. Exit codes: 0 done,
1 the run failed, 2 the request can't be met as it stands, 130 interrupted (Ctrl-C, SIGTERM),
141 nobody reads the output any more.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from tempreg.cli.ending import sentence, stoppable
from tempreg.errors import one_line

COMMANDS = {
    "train": "train a network from a preset or a YAML file",
    "evaluate": "accuracy of a finished run at every timestep",
    "analyze": "gradients, Fisher information and more of a finished run",
    "audit": "ask a network whether it is what it says it is",
    "compare": "train several objectives alike, and report how they differ",
    "report": "make the report of a study or a run again, from its files",
    "predict": "class and confidence of images or recordings, by timestep",
    "calibrate": "how sure a run's network must be to answer early, at a bounded risk",
    "export": "write a finished run's network as C, NIR, ONNX or a torch.export program",
    "import": "take a network in from a NIR graph, to evaluate, train and export it",
    "data": "list, check and fetch data sets; cut long recordings",
    "presets": "list the presets",
    "config": "print the settings of a preset or file as YAML",
    "bench": "time and memory as ratios, beside other libraries where installed",
    "completion": "print what makes a shell complete all of this with Tab",
}
"""What each does. `tempreg NAME` is the function `run` of the module `tempreg.cli.NAME`."""
_MODULES = {"import": "importing"}
"""Those whose name is a word of Python's."""


def module_of(command: str) -> str:
    """Where a command is."""
    return f"tempreg.cli.{_MODULES.get(command, command)}"


def _help() -> str:
    lines = [f"  {name:10} {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: tempreg COMMAND ...",
            "",
            "Trains spiking neural networks with temporal regularization, and measures it.",
            "",
            "commands:",
            *lines,
            "",
            "tempreg COMMAND --help says more; tempreg --version gives the version.",
        ]
    )


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"tempreg: warning: {one_line(message)}", file=sys.stderr)


def program() -> int:
    """What `tempreg` runs: a process that is nothing else."""
    from tempreg.huge_pages import ask_for_huge_pages

    ask_for_huge_pages(sys.argv[1:])
    return main()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if "_ARGCOMPLETE" in os.environ:
        from tempreg.cli.completion import answer_shell

        answer_shell(COMMANDS)
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return 0 if words else 2
    if words[0] == "--version":
        from tempreg import __version__

        print(__version__)
        return 0
    if words[0] not in COMMANDS:
        from tempreg.words import suggest

        hint = suggest(words[0], COMMANDS) or f": the commands are {', '.join(COMMANDS)}"
        print(f"tempreg: error: unknown command {words[0]!r}{hint}", file=sys.stderr)
        return 2
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that it can't show must not end a run
            stream.reconfigure(errors="backslashreplace")
    with stoppable(whole_process=argv is None):
        return _run(words)


def _run(words: Sequence[str]) -> int:
    try:
        command = importlib.import_module(f"tempreg.cli.{_MODULES.get(words[0], words[0])}")
        code: int = command.run(words[1:])
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("tempreg: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("tempreg: stopped, because nobody reads its output any more", file=sys.stderr)
        return 141
    except (ValueError, RuntimeError, OSError, MemoryError, ImportError) as error:
        told = sentence(error)
        if told is None:
            raise
        print(f"tempreg: {one_line(told[0])}", file=sys.stderr)
        return told[1]
