"""The command line. Thin: it reads words, calls `runs`, and prints what came of it.

Nothing that takes time to import is imported before a command needs it. Exit codes: 0 done,
1 the run failed, 2 the request can't be met as it stands, 130 interrupted, 141 nobody reads
the output any more.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from tempreg.config import RunConfig

SHORT_FLAGS = {"objective": "objective.name"}
"""Settings that are asked for so often that they have a shorter flag."""


class _Parser(argparse.ArgumentParser):
    """argparse, with errors as one sentence, unknown options with a suggestion. Final."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse all words, with underscores in option names taken as hyphens."""
        known, unknown = self.parse_known_args(_tidied(words))
        if unknown:
            from tempreg.config.structure import suggest

            flag = unknown[0].split("=")[0]
            options = list(self._option_string_actions)
            ending = [o for o in options if o.endswith(f".{flag.lstrip('-')}")]
            self.error(f"unknown argument {flag}{suggest(ending[0] if ending else flag, options)}")
        return known


def _tidied(words: Sequence[str]) -> list[str]:
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


def _add_settings(parser: _Parser) -> None:
    """A flag for every setting of a run."""
    from tempreg.config.structure import leaves

    short = {dotted: flag for flag, dotted in SHORT_FLAGS.items()}
    common = parser.add_argument_group("settings")
    others = parser.add_argument_group("settings by their dotted name")
    for dotted, _, help_text in leaves():
        flags = [f"--{dotted.replace('_', '-')}"]
        if dotted in short:
            flags.insert(0, f"--{short[dotted]}")
        group = common if "." not in dotted or dotted in short else others
        group.add_argument(
            *flags, dest=dotted, metavar="VALUE", help=help_text, default=argparse.SUPPRESS
        )


def _config(source: str, words: argparse.Namespace) -> RunConfig:
    """The preset or file called `source`, with the settings given as flags."""
    from tempreg.config import PRESETS, ConfigError, config_from_dict, config_to_dict, read_config
    from tempreg.config.structure import leaves, suggest
    from tempreg.config.yaml import parse

    if source in PRESETS:
        config = PRESETS[source]()
    elif source.endswith((".yaml", ".yml")):
        config = read_config(Path(source))
    else:
        hint = suggest(source, PRESETS) or f": the presets are {', '.join(PRESETS)}"
        raise ConfigError(f"there is no preset {source!r}{hint}; a file must end in .yaml")
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


def _train(words: Sequence[str]) -> int:
    parser = _Parser(
        prog="tempreg train",
        description="Train a network; its folder then holds weights, metrics and a summary.",
    )
    parser.add_argument("source", nargs="?", metavar="PRESET|FILE.yaml", help="settings")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    _add_settings(parser)
    args = parser.parse(words)
    source = args.source
    if source is None:
        if not args.resume:
            parser.error("name a preset or a .yaml file (or --resume, to continue a run)")
        source = str(args.out / "config.yaml")
    config = _config(source, args)

    from tempreg.runs import train
    from tempreg.training.progress import reporter_for
    from tempreg.training.run_directory import RunDirectory

    finished = RunDirectory(args.out).summary.exists()
    summary = train(config, args.out, resume=args.resume, reporter=reporter_for())
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return 0  # a process that another one started, for training on several devices
    if finished:
        print(f"the run in {args.out} was finished already")
    print(per_step_table({"test accuracy": summary["accuracy_per_step"]}))
    print(
        f"train {summary['train_accuracy']:.2%}  validation {summary['val_accuracy']:.2%}", end=""
    )
    print(f"  test {summary['test_accuracy']:.2%}  (epoch {summary['kept_epoch']})  {args.out}")
    return 0


def _evaluate(words: Sequence[str]) -> int:
    parser = _Parser(
        prog="tempreg evaluate",
        description="Accuracy of a finished run at every timestep.",
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="the run's folder")
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--batch-size", type=int, help="samples at once (default: as trained)")
    parser.add_argument("--num-steps", type=int, help="timesteps T (default: as trained)")
    parser.add_argument("--backend", help="how LIF neurons are run (default: as trained)")
    parser.add_argument("--device", help="auto, cpu or cuda (default: as trained)")
    parser.add_argument("--precision", help="of the arithmetic (default: as trained)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse(words)

    import json
    from dataclasses import asdict

    from tempreg.runs import evaluate_run

    names = ("batch_size", "num_steps", "backend", "device", "precision")
    changes = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    result = evaluate_run(args.run, args.split, **changes)
    if args.json:
        print(json.dumps({"split": args.split, "accuracy": result.accuracy, **asdict(result)}))
    else:
        print(per_step_table({f"{args.split} accuracy": result.accuracy_per_step}))
        terms = "".join(f"  {name} {value:.4f}" for name, value in result.terms.items())
        print(f"loss {result.loss:.4f}  ={terms}")
    return 0


def _presets(words: Sequence[str]) -> int:
    _Parser(prog="tempreg presets", description="List the presets.").parse(words)

    from tempreg.config import PRESETS

    width = max(map(len, PRESETS))
    for name, preset in PRESETS.items():
        print(f"{name:{width}}  {(preset.__doc__ or '').splitlines()[0]}")
    return 0


def _show_config(words: Sequence[str]) -> int:
    parser = _Parser(prog="tempreg config", description="Print all settings as YAML.")
    parser.add_argument("source", metavar="PRESET|FILE.yaml")
    _add_settings(parser)
    args = parser.parse(words)

    from tempreg.config import config_text

    print(config_text(_config(args.source, args)), end="")
    return 0


COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "train": (_train, "train a network from a preset or a YAML file"),
    "evaluate": (_evaluate, "accuracy of a finished run at every timestep"),
    "presets": (_presets, "list the presets"),
    "config": (_show_config, "print the settings of a preset or file as YAML"),
}


def per_step_table(rows: dict[str, list[float]]) -> str:
    """Accuracies at each timestep, a row a name, aligned."""
    steps = max(map(len, rows.values()))
    width = max(len("timestep"), *map(len, rows))
    lines = ["  ".join([f"{'timestep':{width}}", *(f"{t:>6}" for t in range(1, steps + 1))])]
    for name, values in rows.items():
        lines.append("  ".join([f"{name:{width}}", *(f"{value:6.1%}" for value in values)]))
    return "\n".join(lines)


def _help() -> str:
    lines = [f"  {name:10} {summary}" for name, (_, summary) in COMMANDS.items()]
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
    print(f"tempreg: warning: {message}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return 0 if words else 2
    if words[0] == "--version":
        from tempreg import __version__

        print(__version__)
        return 0
    if words[0] not in COMMANDS:
        from tempreg.config.structure import suggest

        hint = suggest(words[0], COMMANDS) or f": the commands are {', '.join(COMMANDS)}"
        print(f"tempreg: error: unknown command {words[0]!r}{hint}", file=sys.stderr)
        return 2
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that it can't show must not end a run
            stream.reconfigure(errors="backslashreplace")
    try:
        code = COMMANDS[words[0]][0](words[1:])
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
    except OSError as error:  # a disk that is full, a folder that may not be written to
        place = f": {error.filename}" if error.filename else ""
        print(f"tempreg: {error.strerror or error}{place}", file=sys.stderr)
        return 1
    except ValueError as error:
        from tempreg.errors import RequestError

        if not isinstance(error, RequestError):
            raise
        print(f"tempreg: error: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        from tempreg.errors import RunStopped

        if not isinstance(error, RunStopped):
            raise
        print(f"tempreg: {error}", file=sys.stderr)
        return error.exit_code
