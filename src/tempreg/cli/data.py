"""`tempreg data`: what data sets there are, whether their files are right, and how to get them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempreg.cli.parser import Parser
from tempreg.errors import one_line

if TYPE_CHECKING:
    from tempreg.data import DataOptions, Source


def run(words: Sequence[str]) -> int:
    """The command; returns 0, or 1 where `check` found a fault."""
    parser = Parser(prog="tempreg data", description="Data sets: which, where, and whether right.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="all data sets, where each is looked for, what is missing")
    check = commands.add_parser("check", help="read every file; name the damaged ones (exit 1)")
    fetch = commands.add_parser("fetch", help="download a data set, or say which files to get")
    for command in (check, fetch):
        command.add_argument("name", metavar="NAME", help="see `tempreg data list`")
    for command, flags in ((check, ("--data", "--data.path")), (fetch, ("--to",))):
        command.add_argument(
            *flags, dest="path", type=Path, metavar="DIR", help="default: where `list` says"
        )
    args = parser.parse(words)

    from tempreg.data import DataError, DataOptions
    from tempreg.data.embedded import Embedded

    if args.command == "list":
        return _list()
    source = _source(args.name)
    if args.path is not None and isinstance(source, Embedded):
        raise DataError(f"{source.name} ships with tempreg: leave the folder out")
    options = DataOptions(num_steps=1, path=args.path, cache=False)
    return _check(source, options) if args.command == "check" else _fetch(source, options)


def _source(name: str) -> Source:
    from tempreg.config.structure import suggest
    from tempreg.data import SOURCES, DataError

    if name not in SOURCES:
        hint = suggest(name, SOURCES) or f": there are {', '.join(SOURCES)}"
        raise DataError(f"there is no data set {name!r}{hint}")
    return SOURCES[name]


def _list() -> int:
    from tempreg.data import SOURCES, DataError, DataOptions
    from tempreg.data.embedded import Embedded

    width = max(map(len, SOURCES))
    for name, source in SOURCES.items():
        folder = source.folder(DataOptions(num_steps=1))
        try:
            missing = source.missing(folder)
        except DataError as error:
            missing = [str(error)]
        print(f"{name:{width}}  {source.kind:6}  {source.title}; licence: {source.licence}")
        indent = " " * (width + 2)
        if isinstance(source, Embedded):
            print(f"{indent}complete: ships with tempreg")
        elif not missing:
            print(f"{indent}complete: {folder}")
        else:
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            print(f"{indent}not complete: {missing[0]}{more}")
            print(f"{indent}to get it: {_how(source)}")
    return 0


def _how(source: Source) -> str:
    if source.downloads:
        return f"tempreg data fetch {source.name}"
    return " ".join(filter(None, (source.homepage, source.instructions)))


def _check(source: Source, options: DataOptions) -> int:
    from tempreg.data import DataError
    from tempreg.data.base import SPLITS

    folder = source.folder(options)
    try:
        if missing := source.missing(folder):
            for sentence in missing:
                print(f"tempreg: {one_line(sentence)}", file=sys.stderr)
            print(f"tempreg: {source.name} is not complete: {_how(source)}", file=sys.stderr)
            return 1
        found = source.check(options)
    except DataError as error:
        print(f"tempreg: {one_line(error)}", file=sys.stderr)
        return 1
    names = [one_line(name) for name in found.classes]
    width = max(5, *map(len, names))
    print(f"{'':{width}}  " + "  ".join(f"{name:>10}" for name in SPLITS))
    for index, name in enumerate(names):
        row = "  ".join(f"{found.counts[part][index]:>10,}" for part in SPLITS)
        print(f"{name:{width}}  {row}")
    totals = "  ".join(f"{found.counts[part].sum():>10,}" for part in SPLITS)
    print(f"{'all':{width}}  {totals}")
    print(f"size: {found.size}")
    if folder.is_dir():
        files = [path for path in folder.rglob("*") if path.is_file()]
        print(f"files: {len(files):,}, {sum(f.stat().st_size for f in files):,} bytes in {folder}")
    for fault in found.faults:
        print(f"tempreg: {one_line(fault)}", file=sys.stderr)
    print(f"damaged: {len(found.faults)}")
    return 1 if found.faults else 0


def _fetch(source: Source, options: DataOptions) -> int:
    from tempreg.data.embedded import Embedded
    from tempreg.data.fetch import fetch

    folder = source.folder(options)
    print(f"{source.title} ({source.name}); licence: {source.licence}")
    if isinstance(source, Embedded):
        print("ships with tempreg: nothing to fetch")
        return 0
    if source.homepage:
        print(f"from {source.homepage}")
    if not source.missing(folder):
        print(f"complete in {folder}: nothing to fetch")
        return 0
    if source.downloads:
        sizes = [download.size for download in source.downloads]
        known = "" if None in sizes else f", {_megabytes(sum(s or 0 for s in sizes))}"
        print(f"{len(sizes)} file{'s' * (len(sizes) > 1)}{known}, to {folder}", flush=True)
    bar, progress = _progress()
    with bar:
        fetch(source, folder, progress)
    print(f"complete in {folder}")
    return 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _progress() -> tuple[Any, Callable[[str, int, int | None], None]]:
    """A bar on a terminal, else a line at each tenth; what to enter, and what to tell."""
    if sys.stdout.isatty():
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Left
        from rich.progress import TransferSpeedColumn as Speed

        text = TextColumn("{task.description}")
        bar = Progress(text, BarColumn(), DownloadColumn(), Speed(), Left())
        tasks: dict[str, Any] = {}

        def show(name: str, done: int, size: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=size)
            bar.update(tasks[name], completed=done, total=size)

        return bar, show
    said: dict[str, int] = {}

    def say(name: str, done: int, size: int | None) -> None:
        tenth = 10 * done // size if size else done // 100_000_000
        if said.get(name) != tenth:
            said[name] = tenth
            of = f" of {_megabytes(size)}" if size else ""
            print(f"{name}: {_megabytes(done)}{of}", flush=True)

    return nullcontext(), say
