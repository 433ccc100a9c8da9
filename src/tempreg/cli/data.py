"""`tempreg data`: what data sets there are, whether files are right, how to get and cut them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tempreg.cli.data_cut import add_cut, add_show, run_cut, run_show
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
    add_cut(commands)
    add_show(commands)
    for command in (check, fetch):
        command.add_argument("name", metavar="NAME", help="see `tempreg data list`")
    for command, flags in ((check, ("--data", "--data.path")), (fetch, ("--to",))):
        command.add_argument(
            *flags, dest="path", type=Path, metavar="DIR", help="default: where `list` says"
        )
    args = parser.parse(words)

    from tempreg.data import DataError, DataOptions
    from tempreg.data.sources.embedded import Embedded

    if args.command == "list":
        return _list()
    if args.command == "cut":
        return run_cut(args)
    if args.command == "show":
        return run_show(args)
    source = _source(args.name)
    if args.path is not None and isinstance(source, Embedded):
        raise DataError(f"{source.name} ships with tempreg: leave the folder out")
    options = DataOptions(num_steps=1, path=args.path, cache=False)
    return _check(source, options) if args.command == "check" else _fetch(source, options)


def _source(name: str) -> Source:
    from tempreg.data import SOURCES, DataError
    from tempreg.words import suggest

    if name not in SOURCES:
        hint = suggest(name, SOURCES) or f": there are {', '.join(SOURCES)}"
        raise DataError(f"there is no data set {name!r}{hint}")
    return SOURCES[name]


def _list() -> int:
    from tempreg.data import SOURCES, DataError, DataOptions
    from tempreg.data.sources.embedded import Embedded

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
    from tempreg.data.splits.enough import lacking

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
    for remark in found.remarks:
        print(one_line(remark))
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
        for line in _files(source, folder):
            print(one_line(line))
    if found.blank:
        some = ", ".join(found.blank[:3]) + (", ..." if len(found.blank) > 3 else "")
        print(one_line(f"one colour all over: {len(found.blank)} ({some})"))
    useless = False
    try:
        for remark in lacking(source.name, found.classes, found.counts):
            print(one_line(remark))
    except DataError as error:
        useless = True
        print(f"tempreg: {one_line(error)}", file=sys.stderr)
    for fault in found.faults:
        print(f"tempreg: {one_line(fault)}", file=sys.stderr)
    print(f"damaged: {len(found.faults)}")
    return 1 if found.faults or useless else 0


def _files(source: Source, folder: Path) -> list[str]:
    """How many files a data set has; in an own folder those that aren't read are counted apart."""
    from tempreg.data.formats.images import IMAGE_SUFFIXES
    from tempreg.data.formats.recordings import READERS
    from tempreg.data.layout.class_folders import files_below

    files = files_below(folder, None)
    suffixes = {"image-folder": IMAGE_SUFFIXES, "event-folder": frozenset(READERS)}.get(source.name)
    strays = [] if suffixes is None else [f for f in files if f.suffix.lower() not in suffixes]
    size = sum(f.stat().st_size for f in files) - sum(f.stat().st_size for f in strays)
    found = [f"files: {len(files) - len(strays):,}, {size:,} bytes in {folder}"]
    if strays:
        some = ", ".join(map(str, strays[:3])) + (", ..." if len(strays) > 3 else "")
        found.append(f"other files, not read: {len(strays):,} ({some})")
    return found


def _fetch(source: Source, options: DataOptions) -> int:
    from tempreg.data.fetch.fetch import fetch
    from tempreg.data.sources.embedded import Embedded

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
