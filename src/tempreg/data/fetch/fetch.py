"""A data set fetched into its folder: each file, or each archive's content, whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tempreg.data.errors import DataError
from tempreg.data.fetch.catalogue import Download
from tempreg.data.fetch.http import FetchError, Progress, Resuming
from tempreg.data.fetch.unpack import unpack
from tempreg.data.source import Source
from tempreg.files import Busy, exclusive, write_json

WORK = ".fetching"
"""A folder for what isn't complete, in the data set's folder; removed when all is there."""
RECORD = ".fetched.json"
"""What was unpacked there: the names beside it, by the archive's checksum."""


def fetch(source: Source, folder: Path, progress: Progress) -> None:
    """Everything of `source.downloads` that isn't in `folder` yet. Call it again to continue.

    Raises:
        DataError: it can't be fetched, a file of another content is in the way, or an archive
            can't be unpacked safely.
        FetchError: the network, or bytes that are not the published ones.
    """
    if not source.downloads:
        raise DataError(
            f"{source.name} can't be fetched by tempreg: get it from {source.homepage}. "
            f"In {folder}: {source.instructions}"
        )
    work = folder / WORK
    work.mkdir(parents=True, exist_ok=True)
    with _locked(work):
        for download in source.downloads:
            if not _there(download, folder):
                _one(download, folder, work, progress)
        shutil.rmtree(work)
    if missing := source.missing(folder):
        raise FetchError(f"{source.name} was fetched, but {missing[0]}")


@contextmanager
def _locked(work: Path) -> Iterator[None]:
    """Keep other processes from writing to the same parts; the system lets go when one ends."""
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(work / "lock"))
        except Busy:
            raise DataError(f"another process fetches into {work.parent}: wait for it") from None
        yield


def _one(download: Download, folder: Path, work: Path, progress: Progress) -> None:
    part = work / f"{download.checksum.rpartition(':')[2]}.part"
    whole = work / download.name
    if not (whole.is_file() and download.matches(whole)):
        Resuming(download, part, progress).to(whole)
    if download.unpack:
        _unpacked(download, folder, work)
    else:
        (work / download.name).replace(folder / download.name)


def _there(download: Download, folder: Path) -> bool:
    """Whether it was fetched before; DataError if something else has its name."""
    if download.unpack:
        names = _record(folder).get(download.checksum)
        return names is not None and all((folder / name).exists() for name in names)
    path = folder / download.name
    if not path.exists():
        return False
    if path.is_file() and download.matches(path):
        return True
    raise DataError(f"{path} is damaged, or not the published file: remove it, then fetch again")


def _unpacked(download: Download, folder: Path, work: Path) -> None:
    """Unpack the archive aside, then move what came out of it into `folder`, name by name."""
    aside = work / "unpacked"
    if aside.exists():
        shutil.rmtree(aside)
    aside.mkdir()
    unpack(work / download.name, aside)
    names = sorted(path.name for path in aside.iterdir())
    record = _record(folder)
    ours = record.get(download.checksum, [])  # of a move that was interrupted
    for name in names:
        if (folder / name).exists() and name not in ours:
            raise DataError(f"{folder / name} is in the way: move it elsewhere, then fetch again")
    write_json(folder / RECORD, {**record, download.checksum: names})
    for name in names:
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        (aside / name).replace(folder / name)
    (work / download.name).unlink()


def _record(folder: Path) -> dict[str, list[str]]:
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): [str(name) for name in names] for key, names in record.items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise DataError(f"{path} is damaged: remove it, then fetch again") from None
