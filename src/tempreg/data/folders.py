"""Folders of classes: one folder a class, its files anywhere below it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection
from pathlib import Path

from tempreg.data.source import DataError


def class_folders(root: Path, suffixes: Collection[str] | None = None) -> dict[str, list[Path]]:
    """Files by class, both sorted by name, so that class indices don't depend on the disk.

    Names that begin with a dot are left out. Links are followed.

    Args:
        root: the folder whose folders are the classes.
        suffixes: take only files that end so (lower case, with the dot); None: all.

    Raises:
        DataError: no folder, no classes, a class without files, two classes whose names differ
            only in case or Unicode form, or links that lead in a circle.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: give one that holds a folder for each class")
    classes: dict[str, list[Path]] = {}
    seen: dict[str, str] = {}
    for folder in sorted(_entries(root)):
        if not folder.is_dir():
            continue
        name = unicodedata.normalize("NFC", folder.name)
        if (other := seen.setdefault(name.casefold(), folder.name)) != folder.name:
            raise DataError(
                f"{root} has two classes of one name, {other!r} and {folder.name!r}: rename one, "
                "or put their files together"
            )
        files = _files(folder, {folder.parent.resolve()})
        if suffixes is not None:
            files = [file for file in files if file.suffix.lower() in suffixes]
        if not files:
            kinds = "" if suffixes is None else f" that ends in {', '.join(sorted(suffixes))}"
            raise DataError(f"the class folder {folder} has no file{kinds}: fill or remove it")
        classes[name] = sorted(files)
    if not classes:
        raise DataError(f"{root} has no class folders: it must hold one folder for each class")
    return classes


def _files(folder: Path, above: set[Path]) -> list[Path]:
    """All files below `folder`; `above` are the real paths of the folders that it lies in."""
    here = folder.resolve()
    if here in above:
        raise DataError(f"{folder} is a link to a folder that it lies in: remove it")
    files: list[Path] = []
    for entry in _entries(folder):
        files.extend(_files(entry, above | {here}) if entry.is_dir() else [entry])
    return files


def _entries(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [folder / e.name for e in entries if not e.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder} can't be read: {error.strerror}") from None
