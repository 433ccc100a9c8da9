"""The help of commands that take settings: one screen, and a page a section with every setting.

`--help` has examples, the command's own flags and the settings that are asked for most; `--help
SECTION` and `--help all` have every setting with what it may be and its default.
"""

from __future__ import annotations

import argparse
import json
import textwrap
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

WIDTH = 100
RUN = "run"
"""The section of settings that are in none."""

COMMON = (
    "objective.name",
    "objective.lam",
    "optimizer.lr",
    "epochs",
    "batch_size",
    "num_steps",
    "data.path",
    "model.name",
    "seed",
    "device",
)
"""Settings that are asked for most."""


@final
@dataclass(frozen=True)
class Setting:
    """A setting as help shows it.

    Attributes:
        dotted: its name.
        flags: that it has, the shortest first.
        kind: its type.
        text: what it means.
        default: without a preset.
    """

    dotted: str
    flags: tuple[str, ...]
    kind: Any
    text: str
    default: Any

    @property
    def section(self) -> str:
        """Where it belongs, by name."""
        head, dot, _ = self.dotted.partition(".")
        return head if dot else RUN

    @property
    def takes(self) -> str:
        """What it may be, as a placeholder."""
        return " or ".join(dict.fromkeys(map(_takes, _options(self.kind))))

    @property
    def help(self) -> str:
        """What it means, and its default."""
        return f"{self.text} (default: {_plain(self.default)})"


def _options(kind: Any) -> tuple[Any, ...]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        named = [part for part in typing.get_args(kind) if part is not type(None)]
        return (*named, type(None)) if type(None) in typing.get_args(kind) else tuple(named)
    return (kind,)


def _takes(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(typing.get_args(kind))
    if is_list(kind):
        return "N,N,..."
    names = {bool: "true|false", int: "N", float: "NUMBER", type(None): "null"}
    return names.get(kind, "TEXT")


def is_list(kind: Any) -> bool:
    """Whether a setting has several values."""
    return any(typing.get_origin(part) is tuple for part in _options(kind))


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(_plain, value))
    return value if isinstance(value, str) else json.dumps(value)


def short_help(parser: argparse.ArgumentParser, settings: Sequence[Setting], examples: str) -> str:
    """Examples, the command's own flags, the commonest settings, and where the others are."""
    there = {setting.dotted for setting in settings}
    wide = argparse.HelpFormatter(parser.prog, max_help_position=26, width=WIDTH)
    sources = [a.metavar for a in parser._actions if not a.option_strings]
    given = "".join(f" {source}" for source in sources if isinstance(source, str))
    out = " --out DIR" if any("--out" in a.option_strings for a in parser._actions) else ""
    wide.add_usage(f"{parser.prog}{given}{out} [--SETTING VALUE ...]", [], [])
    wide.add_text(parser.description)
    text = wide.format_help() + (f"\n{textwrap.indent(examples, '  ')}\n" if examples else "")
    own = argparse.HelpFormatter(parser.prog, max_help_position=26, width=WIDTH)
    own.start_section("its own")
    own.add_arguments([action for action in parser._actions if action.dest not in there])
    own.end_section()
    text += f"\n{own.format_help()}"
    text += "\nsettings that are asked for most:\n"
    text += "".join(_entry(s) for s in settings if s.dotted in COMMON)
    text += "\nall settings, with what they may be and their defaults:\n"
    for name in sections(settings):
        names = [s.dotted.removeprefix(f"{name}.") for s in settings if s.section == name]
        told = textwrap.shorten(", ".join(names), 64, placeholder=" ...")
        text += f"  --help {name:<16}{told}\n"
    text += (
        f"  --help {'all':<16}{len(settings)} settings; those of a preset: tempreg config PRESET\n"
    )
    return text


def long_help(settings: Sequence[Setting], topic: str) -> str:
    """Every setting of a section, or of all."""
    text = "Defaults are those without a preset; `tempreg config PRESET` prints a preset's.\n"
    for name in sections(settings):
        if topic in (name, "all"):
            text += f"\n{name}:\n" + "".join(
                map(_entry, (s for s in settings if s.section == name))
            )
    return text


def sections(settings: Sequence[Setting]) -> list[str]:
    """Their names, in order."""
    return list(dict.fromkeys(setting.section for setting in settings))


def _entry(setting: Setting) -> str:
    head = f"  {', '.join(setting.flags)} {setting.takes}"
    lines = textwrap.wrap(setting.help, WIDTH - 26, break_on_hyphens=False)
    first = f"{head:<26}{lines.pop(0)}" if len(head) <= 24 else head
    return "\n".join([first, *(f"{'':<26}{line}" for line in lines)]) + "\n"
