"""How a folder of samples is laid out: classes, and parts of them, as archives unpack.

Understood are class/file, split/class/file and class/split/file, each also in folders of which one
holds nothing but the next, and files with a table of labels beside them. What may be one or the
other is refused rather than guessed: two folders `Train` and `Test` must never become two classes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tempreg.data.base import SPLITS
from tempreg.data.errors import DataError
from tempreg.data.layout.class_folders import classes_in, direct_files, loose_files, subfolders
from tempreg.data.layout.label_tables import labelled, tables_in
from tempreg.data.layout.part_folders import parts_in, parts_in_classes, refuse_no_classes
from tempreg.data.layout.part_names import part_of

Classes = dict[str, tuple[Path, list[Path]]]
"""By class the folder that holds its files, and these."""
_PLAIN = {"train", "validation", "val", "test"}
"""Names of parts that need no remark."""


@final
@dataclass(frozen=True)
class Layout:
    """What a folder holds.

    Attributes:
        root: the folder that the parts, or the classes of undivided data, lie in.
        parts: of SPLITS, at least train: its classes, which are among those of train, with their
            files. Without parts all is train.
        names: the folder's name of each part; empty where there are no parts.
        remarks: what was taken to be what, where it isn't plain, a sentence each.
    """

    root: Path
    parts: dict[str, Classes]
    names: dict[str, str]
    remarks: tuple[str, ...]

    @property
    def files(self) -> dict[str, dict[str, list[Path]]]:
        """By part and class."""
        return {p: {c: files for c, (_, files) in by.items()} for p, by in self.parts.items()}


def read_layout(folder: Path, suffixes: Collection[str], *, others: bool = False) -> Layout:
    """The parts and classes of `folder`.

    Args:
        folder: see the module.
        suffixes: what files of samples end in (lower case, with the dot).
        others: files that end otherwise are listed too.

    Raises:
        DataError: no folder, no classes, folders that may be parts or classes, parts without one
            to train on, a class that train lacks, and as `folders.class_folders`.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give one that holds a folder for each class")
    root, taken = folder, None if others else suffixes
    while True:
        inner = subfolders(root)
        if named := parts_in(root, inner, suffixes):
            return _by_part(folder, root, named, suffixes, taken)
        if divided := parts_in_classes(inner, suffixes):
            return _by_class(root, divided, taken)
        if tables := _by_tables(root, inner, suffixes):
            return tables
        if not _wraps(root, inner, suffixes):
            break
        root = inner[0]
    refuse_no_classes(root, inner)
    classes = _class_folders(root, str(root), inner, suffixes, taken)
    remarks = [f"classes, by the folders in {root}"] if root != folder else []
    if loose := loose_files(root, suffixes):
        remarks.append(f"left out, in no class folder: {_some(loose)}")
    return Layout(root, {"train": classes}, {}, tuple(remarks))


def _by_part(
    folder: Path,
    root: Path,
    named: dict[str, Path],
    suffixes: Collection[str],
    taken: Collection[str] | None,
) -> Layout:
    parts: dict[str, Classes] = {}
    remarks = []
    for part, place in named.items():
        inner = subfolders(place)
        if not inner or (len(inner) == 1 and not subfolders(inner[0])):
            tables = tables_in(place) or tables_in(root)
            own = [table for table in tables if (said := part_of(table.stem)) and said[0] == part]
            if by_table := labelled(inner[0] if inner else place, own or tables, suffixes):
                parts[part], remark = by_table
                remarks.append(remark)
                continue
        known = {name.casefold() for name in parts.get("train", {})}
        while _wraps(place, inner, suffixes) and inner[0].name.casefold() not in known:
            place, inner = inner[0], subfolders(inner[0])
        what = f"the {part} part {place}"
        parts[part] = _class_folders(place, what, inner, suffixes, taken)
    names = {part: path.name for part, path in named.items()}
    if root != folder or set(names.values()) - _PLAIN:
        remarks.insert(0, f"parts, by the folders in {root}: {_listed(names)}")
    if beside := [path for path in subfolders(root) if path not in named.values()]:
        remarks.append(f"left out, beside the parts: {_some(beside)}")
    return Layout(root, _matched(root, parts), names, tuple(remarks))


def _by_class(
    root: Path, divided: dict[Path, dict[str, Path]], taken: Collection[str] | None
) -> Layout:
    parts, names = {}, {}
    for part in SPLITS:
        if chosen := {path: found[part] for path, found in divided.items() if part in found}:
            parts[part] = classes_in(root, chosen, taken)
            names[part] = next(iter(chosen.values())).name
    remark = f"parts, by the folders in each class of {root}: {_listed(names)}"
    return Layout(root, _matched(root, parts), names, (remark,))


def _by_tables(root: Path, inner: list[Path], suffixes: Collection[str]) -> Layout | None:
    """Files in `root`, or in the one folder in it, with labels in tables of `root`."""
    place = root if not inner else inner[0]
    tables = tables_in(root)
    if not tables or len(inner) > 1 or (inner and subfolders(place)):
        return None
    of_parts = {said[0]: table for table in tables if (said := part_of(table.stem))}
    if "train" not in of_parts or len(of_parts) == 1:
        found = labelled(place, tables, suffixes)
        return found and Layout(root, {"train": found[0]}, {}, (found[1],))
    parts, remarks = {}, []
    for part in SPLITS:
        if part in of_parts and (found := labelled(place, [of_parts[part]], suffixes)):
            parts[part] = found[0]
            remarks.append(f"the {part} part's {found[1]}")
    if "train" not in parts:
        return None
    names = {part: of_parts[part].name for part in parts}
    return Layout(root, _matched(root, parts), names, tuple(remarks))


def _wraps(root: Path, inner: list[Path], suffixes: Collection[str]) -> bool:
    """Whether a folder holds nothing but one folder, and that folders only."""
    if len(inner) != 1 or loose_files(root, suffixes):
        return False
    return bool(subfolders(inner[0])) and not loose_files(inner[0], suffixes)


def _class_folders(
    root: Path,
    what: str,
    inner: list[Path],
    suffixes: Collection[str],
    taken: Collection[str] | None,
) -> Classes:
    if not inner:
        files = direct_files(root, suffixes)
        beside = f", but files such as {files[0].name}" if files else ""
        raise DataError(f"{what} has no class folders{beside}: it must hold one for each class")
    return classes_in(root, {path: path for path in inner}, taken)


def _matched(root: Path, parts: dict[str, Classes]) -> dict[str, Classes]:
    """The parts with classes named as in train, whatever their case; DataError for any other."""
    names = {name.casefold(): name for name in parts["train"]}
    for part, classes in parts.items():
        if odd := sorted(name for name in classes if name.casefold() not in names):
            some = ", ".join(odd[:5]) + (", ..." if len(odd) > 5 else "")
            raise DataError(
                f"{root}: the {part} part has the class{'es' * (len(odd) > 1)} {some}, and "
                "training has not: add samples to train on, or leave the class out"
            )
    return {
        part: {names[name.casefold()]: value for name, value in classes.items()}
        for part, classes in parts.items()
    }


def _listed(names: dict[str, str]) -> str:
    return ", ".join(f"{name} ({part})" if name != part else name for part, name in names.items())


def _some(paths: list[Path]) -> str:
    return f"{paths[0]}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
