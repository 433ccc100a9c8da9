"""What may come next for the parser of the command that is being typed."""

from __future__ import annotations

import argparse
import typing
from collections.abc import Iterable
from typing import Any


def answer_for(parser: argparse.ArgumentParser) -> None:
    """Say what may come next for this parser, and end the process."""
    from argcomplete import autocomplete
    from argcomplete.completers import ChoicesCompleter

    values = _values_of_settings()
    for action in parser._actions:
        if action.dest == "source":
            _set_completer(action, _presets_and_files)
        elif action.dest in values:
            _set_completer(action, ChoicesCompleter(dict.fromkeys(values[action.dest], "")))
    autocomplete(parser, always_complete_options=False)


def _set_completer(action: argparse.Action, completer: Any) -> None:
    action.completer = completer  # type: ignore[attr-defined]  # where argcomplete looks for it


def _presets_and_files(prefix: str, **_: Any) -> Iterable[str]:
    """Presets, and YAML files below the folder that is being typed."""
    from argcomplete.completers import FilesCompleter

    from tempreg.config import PRESETS

    files: Iterable[str] = FilesCompleter(allowednames=("yaml", "yml"))(prefix)
    return [*PRESETS, *files]


def _values_of_settings() -> dict[str, list[str]]:
    """What each setting may be, by its dotted name, where that is a short list."""
    from tempreg.config.dotted import leaves
    from tempreg.options.terms import FIRST

    values: dict[str, list[str]] = {"objective.name": [*FIRST]}
    for dotted, kind, _ in leaves():
        if kind is bool:
            values[dotted] = ["true", "false"]
        elif typing.get_origin(kind) is typing.Literal:
            values[dotted] = list(typing.get_args(kind))
    return values
