"""`tempreg completion`, and the answers that a shell gets while someone types.

The shell calls `tempreg` itself at each Tab, as argcomplete has it: the words typed so far are in
COMP_LINE. `main` then hands over to `answer_shell`, and the parser of the command that is being
typed to `answer_for` instead of parsing. Nothing heavier than that parser is imported.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence

from tempreg.cli.answering import answer_for
from tempreg.cli.parser import Parser

SHELLS = ("bash", "zsh", "fish")


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg completion",
        description="Print what makes a shell complete tempreg's commands, flags and values with "
        "Tab: put `source <(tempreg completion bash)` into ~/.bashrc (zsh: after compinit, into "
        "~/.zshrc), or `tempreg completion fish | source` into ~/.config/fish/config.fish.",
    )
    parser.add_argument("shell", choices=SHELLS, help="bash, zsh or fish")
    args = parser.parse(words)

    from argcomplete.shell_integration import shellcode

    print(shellcode(["tempreg"], shell=args.shell))
    return 0


def answer_shell(commands: Mapping[str, str]) -> None:
    """Say what may come next at the end of COMP_LINE, and end the process."""
    from argcomplete.lexers import split_line

    from tempreg.cli.main import module_of

    line, point = os.environ["COMP_LINE"], int(os.environ["COMP_POINT"])
    typed: list[str] = split_line(line, point)[3]  # whole words before the one being typed
    if typed[1:] and typed[1] in commands:
        os.environ["_ARGCOMPLETE"] = "2"  # its parser starts after two words: tempreg and its name
        importlib.import_module(module_of(typed[1])).run([])
        return
    parser = Parser(prog="tempreg")
    named = parser.add_subparsers()
    for name, summary in commands.items():
        named.add_parser(name, help=summary)
    parser.add_argument("--version", action="store_true", help="print the version")
    answer_for(parser)
