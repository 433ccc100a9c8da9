"""`tempreg config`."""

from __future__ import annotations

from collections.abc import Sequence

from tempreg.cli.parser import Parser, add_settings, config_from


def run(words: Sequence[str]) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="tempreg config",
        description="Print all settings as YAML.",
        examples="tempreg config nmnist-trt --epochs 5 > mine.yaml",
        add_help=False,
    )
    parser.add_argument("source", metavar="PRESET|FILE.yaml")
    add_settings(parser)
    args = parser.parse(words)

    from tempreg.config import config_text

    print(config_text(config_from(args.source, args)), end="")
    return 0
