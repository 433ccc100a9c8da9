"""`tempreg presets`."""

from __future__ import annotations

from collections.abc import Sequence

from tempreg.cli.parser import Parser


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    Parser(prog="tempreg presets", description="List the presets.").parse(words)

    from tempreg.config import PRESETS

    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        print(f"{name:{width}}  {(preset.__doc__ or '').splitlines()[0]}")
    return 0
