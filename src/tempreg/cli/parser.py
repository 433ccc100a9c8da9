"""Reading words: errors in one sentence, and a flag for every setting of a run."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tempreg.config import RunConfig

SHORT_FLAGS = {"objective": "objective.name", "data": "data.path"}
"""Settings that are asked for so often that they have a shorter flag."""


class Parser(argparse.ArgumentParser):
    """argparse, with errors as one sentence, unknown options with a suggestion. Final."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """One sentence on standard error, exit code 2."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse all words, with underscores in option names taken as hyphens.

        Where a shell asks what may come next, it is told so instead, and the process ends.
        """
        if "_ARGCOMPLETE" in os.environ:
            from tempreg.cli.completion import answer_for

            answer_for(self)
        known, unknown = self.parse_known_args(tidied(words))
        if unknown:
            from tempreg.config.structure import suggest

            flag = unknown[0].split("=")[0]
            options = list(self._option_string_actions)
            ending = [o for o in options if o.endswith(f".{flag.lstrip('-')}")]
            self.error(f"unknown argument {flag}{suggest(ending[0] if ending else flag, options)}")
        return known


def tidied(words: Sequence[str]) -> list[str]:
    """Option names with hyphens, and negative numbers, which look like options, tied to theirs."""
    tidy: list[str] = []
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            tidy.append(name.replace("_", "-") + equals + value)
        elif re.match(r"-[\d.]", word) and tidy and tidy[-1].startswith("--"):
            tidy[-1] += f"={word}"
        else:
            tidy.append(word)
    return tidy


def add_settings(parser: Parser, without: Sequence[str] = ()) -> None:
    """A flag for every setting of a run, but for those named."""
    from tempreg.config.structure import leaves

    short = {dotted: flag for flag, dotted in SHORT_FLAGS.items()}
    common = parser.add_argument_group("settings")
    others = parser.add_argument_group("settings by their dotted name")
    for dotted, _, help_text in leaves():
        if dotted in without:
            continue
        flags = [f"--{dotted.replace('_', '-')}"]
        if dotted in short:
            flags.insert(0, f"--{short[dotted]}")
        group = common if "." not in dotted or dotted in short else others
        group.add_argument(
            *flags, dest=dotted, metavar="VALUE", help=help_text, default=argparse.SUPPRESS
        )


def settings_in(words: argparse.Namespace) -> set[str]:
    """The dotted names of the settings that were given as flags."""
    from tempreg.config.structure import leaves

    return {dotted for dotted, _, _ in leaves() if hasattr(words, dotted)}


def config_from(source: str, words: argparse.Namespace) -> RunConfig:
    """The preset or file called `source`, with the settings given as flags."""
    from tempreg.config import PRESETS, ConfigError, read_config
    from tempreg.config.structure import suggest

    if source in PRESETS:
        config = PRESETS[source]()
    elif source.endswith((".yaml", ".yml")):
        config = read_config(Path(source))
    else:
        hint = suggest(source, PRESETS) or f": the presets are {', '.join(PRESETS)}"
        raise ConfigError(f"there is no preset {source!r}{hint}; a file must end in .yaml")
    return with_flags(config, words)


def with_flags(config: RunConfig, words: argparse.Namespace) -> RunConfig:
    """The configuration with the settings given as flags."""
    from tempreg.config import config_from_dict, config_to_dict
    from tempreg.config.structure import leaves
    from tempreg.config.yaml import parse

    data = config_to_dict(config)
    for dotted, kind, _ in leaves():
        if not hasattr(words, dotted):
            continue
        text = getattr(words, dotted)
        section = data
        *path, name = dotted.split(".")
        for key in path:
            section = section[key]
        section[name] = text if kind is str else parse(text, f"--{dotted}")
    return config_from_dict(data, "settings")
