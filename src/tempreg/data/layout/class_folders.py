"""Folders of classes: one folder a class, its files anywhere below it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection
from pathlib import Path

from tempreg.data.errors import DataError

_NO_DATA = frozenset(
    {
        "__macosx",
        "@eadir",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "__pycache__",
    }
)
"""Folders that systems and archivers leave behind, in lower case."""


def class_folders(root: Path, suffixes: Collection[str] | None = None) -> dict[str, list[Path]]:
    """Files by class, both sorted by name, so that class indices don't depend on the disk.

    Names that begin with a dot are left out, and folders that systems leave behind (`__MACOSX`).
    Links are followed.

    Args:
        root: the folder whose folders are the classes.
        suffixes: take only files that end so (lower case, with the dot); None: all.

    Raises:
        DataError: no folder, no classes, a class without files, two classes whose names differ
            only in case or Unicode form, or links that lead in a circle.
    """
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: give one that holds a folder for each class")
    named = {folder: folder for folder in subfolders(root)}
    if not named:
        raise DataError(f"{root} has no class folders: it must hold one folder for each class")
    return {name: files for name, (_, files) in classes_in(root, named, suffixes).items()}


def classes_in(
    root: Path, folders: dict[Path, Path], suffixes: Collection[str] | None
) -> dict[str, tuple[Path, list[Path]]]:
    """By class the folder that holds its files, and these.

    Args:
        root: what errors say that the classes are in.
        folders: by the folder that gives a class its name, the one that holds its files.
        suffixes, DataError: see `class_folders`.
    """
    classes: dict[str, tuple[Path, list[Path]]] = {}
    seen: dict[str, str] = {}
    for namer, folder in folders.items():
        name = unicodedata.normalize("NFC", namer.name)
        if (other := seen.setdefault(name.casefold(), namer.name)) != namer.name:
            raise DataError(
                f"{root} has two classes of one name, {other!r} and {namer.name!r}: rename one, "
                "or put their files together"
            )
        files = files_below(folder, suffixes)
        if not files:
            kinds = "" if suffixes is None else f" that ends in {', '.join(sorted(suffixes))}"
            raise DataError(f"the class folder {folder} has no file{kinds}: fill or remove it")
        classes[name] = folder, files
    return classes


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder that may hold data, sorted by name."""
    return sorted(path for path, is_folder in _entries(folder) if is_folder)


def direct_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files in a folder, not below it, that end so; sorted by name."""
    return sorted(
        path
        for path, is_folder in _entries(folder)
        if not is_folder and path.suffix.lower() in suffixes
    )


def loose_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """As `direct_files`, but that a table beside folders is none: it says something of them."""
    files = direct_files(folder, suffixes)
    return [file for file in files if file.suffix.lower() != ".csv" or not subfolders(folder)]


def files_below(folder: Path, suffixes: Collection[str] | None) -> list[Path]:
    """All files anywhere below a folder that end so, sorted; DataError for links in a circle."""
    files = _files(folder, {folder.parent.resolve()})
    if suffixes is not None:
        files = [file for file in files if file.suffix.lower() in suffixes]
    return sorted(files)


def _files(folder: Path, above: set[Path]) -> list[Path]:
    """All files below `folder`; `above` are the real paths of the folders that it lies in."""
    here = folder.resolve()
    if here in above:
        raise DataError(f"{folder} is a link to a folder that it lies in: remove it")
    files: list[Path] = []
    for path, is_folder in _entries(folder):
        files.extend(_files(path, above | {here}) if is_folder else [path])
    return files


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """What a folder holds, and whether each is a folder; without what is hidden or no data."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                is_folder = entry.is_dir()
                if not (is_folder and entry.name.casefold() in _NO_DATA):
                    found.append((folder / entry.name, is_folder))
    except OSError as error:
        raise DataError(f"{folder} can't be read: {error.strerror}") from None
    return found
