"""Reading words: errors in one sentence, and a flag for every setting of a run."""

from __future__ import annotations

import argparse
import os
import re
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, final

from tempreg.cli.helping import Setting, is_list, long_help, sections, short_help

if TYPE_CHECKING:
    from tempreg.config import RunConfig

SHORT_FLAGS = {
    "objective": "objective.name",
    "data": "data.path",
    "skip-damaged": "data.skip_damaged",
    "lr": "optimizer.lr",
    "lam": "objective.lam",
}
"""Settings that are asked for so often that they have a shorter flag."""


@final
class Parser(argparse.ArgumentParser):
    """argparse, with errors as one sentence, unknown options with a suggestion, and a help that
    has settings apart."""

    def __init__(self, *, examples: str = "", **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        self.examples = examples
        self.settings: list[Setting] = []
        self.without: Mapping[str, str] = {}

    def format_help(self) -> str:
        """One screen; settings are in it by section."""
        if not self.settings:
            return super().format_help()
        return short_help(self, self.settings, self.examples)

    def error(self, message: str) -> NoReturn:
        """One sentence on standard error, exit code 2."""
        said = re.sub(r"^argument (\S+): must", r"\1 must", message)
        self.exit(2, f"{self.prog}: error: {said} (see {self.prog} --help)\n")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse all words, with underscores in option names taken as hyphens.

        Where a shell asks what may come next, it is told so instead, and the process ends.
        """
        if "_ARGCOMPLETE" in os.environ:
            from tempreg.cli.answering import answer_for

            answer_for(self)
        lists = {f for s in self.settings if is_list(s.kind) for f in s.flags}
        known, unknown = self.parse_known_args(tidied(words, lists))
        if unknown:
            self.error(self._refusal(unknown[0].split("=")[0]))
        return known

    def _refusal(self, flag: str) -> str:
        """What is wrong with an argument that the command doesn't know."""
        from tempreg.config.dotted import leaves
        from tempreg.words import suggest

        options, name = list(self._option_string_actions), flag.lstrip("-")
        ending = [o for o in options if o.endswith(f".{name}")]
        known = {dotted.replace("_", "-"): dotted for dotted, *_ in leaves()}
        found = known.get(name) or SHORT_FLAGS.get(name)
        if flag.startswith("--") and found and not ending:
            why = self.without.get(found)
            said = f"{flag} is a setting of `tempreg train`, which {self.prog} doesn't take"
            return f"{said}: {why}" if why else said
        return f"unknown argument {flag}{suggest(ending[0] if ending else flag, options)}"


def whole(low: int, high: int) -> Callable[[str], int]:
    """What reads a whole number in [low, high], for `type=` of an argument."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None
        if not low <= value <= high:
            over = value > high
            limit = f"<= {high:,}" if over else f">= {low}"
            raise argparse.ArgumentTypeError(f"must be {limit}, got {value}")
        return value

    return read


SEED = whole(0, 2**62)
"""A seed: what is drawn beside it, for other samples or draws, is numbered from it on."""


def tidied(words: Sequence[str], lists: Collection[str] = ()) -> list[str]:
    """Option names with hyphens, and negative numbers, which look like options, tied to theirs; so
    are all numbers after an option in `lists`."""
    tidy: list[str] = []
    for word in words:
        option = tidy[-1].partition("=") if tidy and tidy[-1].startswith("--") else ("", "", "")
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            tidy.append(name.replace("_", "-") + equals + value)
        elif option[0] in lists and re.fullmatch(r"[-\d.,][-+\d.,e]*", word):
            tidy[-1] = f"{option[0]}={f'{option[2]} {word}'.strip()}"
        elif option[0] and re.match(r"-[\d.]", word):
            tidy[-1] += f"={word}"
        else:
            tidy.append(word)
    return tidy


@final
class _Help(argparse.Action):
    """`--help`, `--help SECTION` and `--help all`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        assert isinstance(parser, Parser)
        print(
            parser.format_help() if values is None else long_help(parser.settings, values), end=""
        )
        parser.exit()


def add_settings(parser: Parser, without: Mapping[str, str] | None = None) -> None:
    """A flag for every setting of a run, but for those named, each with why; and help by section.

    The parser was made with `add_help=False`.
    """
    from tempreg.config import RunConfig
    from tempreg.config.dotted import leaves, setting_of

    short = {dotted: flag for flag, dotted in SHORT_FLAGS.items()}
    default, parser.without = RunConfig(), without or {}
    for dotted, kind, text in leaves():
        if dotted in parser.without:
            continue
        flags = [f"--{dotted.replace('_', '-')}"]
        if dotted in short:
            flags.insert(0, f"--{short[dotted]}")
        found = Setting(dotted, tuple(flags), kind, text, setting_of(default, dotted))
        parser.settings.append(found)
        told = found.help.replace("%", "%%")  # argparse fills in after a %
        parser.add_argument(
            *flags, dest=dotted, metavar=found.takes, help=told, default=argparse.SUPPRESS
        )
    parser.add_argument(
        "-h",
        "--help",
        action=_Help,
        nargs="?",
        choices=(*sections(parser.settings), "all"),
        metavar="SECTION",
        help="this, or every setting of a section, or all",
    )


def settings_in(words: argparse.Namespace) -> set[str]:
    """The dotted names of the settings that were given as flags."""
    from tempreg.config.dotted import leaves

    return {dotted for dotted, _, _ in leaves() if hasattr(words, dotted)}


def config_from(source: str, words: argparse.Namespace) -> RunConfig:
    """The preset or file called `source`, with the settings given as flags."""
    from tempreg.config import PRESETS, ConfigError, read_config
    from tempreg.words import suggest

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
    from tempreg.config.dotted import leaves, with_settings
    from tempreg.config.yaml import parse

    given = {}
    for dotted, kind, _ in leaves():
        if not hasattr(words, dotted):
            continue
        text = getattr(words, dotted)
        # A text is taken as it is: a folder may be called 2024, true or [a].
        nullable = str in typing.get_args(kind)
        plain = kind is str or (nullable and text not in ("null", "~", ""))
        if is_list(kind):
            text = _as_list(text)
        given[dotted] = text if plain else parse(text, f"--{dotted}")
    return with_settings(config, given, "settings")


def _as_list(text: str) -> str:
    """A list as YAML has it: of 8,16,32 and 8 16 32 too."""
    if text.lstrip().startswith("[") or text in ("null", "~", ""):
        return text
    return f"[{', '.join(text.replace(',', ' ').split())}]"
