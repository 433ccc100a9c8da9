"""Which folders are parts of a data set, by their names and by what lies in them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tempreg.data.base import SPLITS
from tempreg.data.errors import DataError
from tempreg.data.layout.class_folders import files_below, loose_files, subfolders
from tempreg.data.layout.part_names import part_of, words_of

_FOLDS = {"fold", "folds", "kfold", "cv", "crossval"}


def parts_in(root: Path, inner: list[Path], suffixes: Collection[str]) -> dict[str, Path]:
    """The folder of each part, in the order of SPLITS; nothing where the folders are classes.

    Two parts of names that differ in nothing else (`seg_train`, `seg_test`) are parts. `train` by
    itself is one where nothing else holds samples: it is the name of a class, too.

    Args:
        root: for errors.
        inner: the folders in it.
        suffixes: what files of samples end in.

    Raises:
        DataError: parts or classes, two folders of one part, or parts and none to train on.
    """
    alike: dict[tuple[str, ...], dict[str, list[Path]]] = {}
    for path in inner:
        if found := part_of(path.name):
            alike.setdefault(found[1], {}).setdefault(found[0], []).append(path)
    alike = {rest: _evaluated_last(by) for rest, by in alike.items()}
    groups = [by for rest, by in alike.items() if len(by) > 1 and ("train" in by or not rest)]
    chosen = max(groups, key=len, default={})
    if not chosen:
        return _train_alone(root, inner, suffixes)
    mine = [path for paths in chosen.values() for path in paths]
    beside = _with_samples([path for path in inner if path not in mine], suffixes)
    if beside and not all(subfolders(p) and not loose_files(p, suffixes) for p in mine):
        raise _either(root, mine, beside)
    if "train" not in chosen:
        raise DataError(
            f"{root} has {_names(mine)}, which are parts, and none to train on: call that `train`"
        )
    return _one_each(root, chosen)


def parts_in_classes(inner: list[Path], suffixes: Collection[str]) -> dict[Path, dict[str, Path]]:
    """By class folder the folder of each part in it; nothing where class folders hold no parts.

    Raises:
        DataError: two folders of one part in a class, or parts in some classes only.
    """
    found: dict[Path, dict[str, Path]] = {}
    otherwise: list[Path] = []
    for path in inner:
        below = {sub: part_of(sub.name) for sub in subfolders(path)}
        there: dict[str, list[Path]] = {}
        for sub, named in below.items():
            if named and not named[1]:
                there.setdefault(named[0], []).append(sub)
        complete = sum(map(len, there.values())) == len(below) and "train" in there
        if not complete or loose_files(path, suffixes):
            otherwise.append(path)
        there = _evaluated_last(there)
        if "train" in there and (complete or len(there) > 1):
            found[path] = _one_each(path, there)
    several = [path for path, parts in found.items() if len(parts) > 1]
    if len(inner) < 2 or not several:
        return {}
    if otherwise:
        raise DataError(
            f"{several[0]} holds parts ({_names(list(found[several[0]].values()))}), and "
            f"{otherwise[0]} other things or none to train on: lay out all classes alike"
        )
    return found


def refuse_no_classes(root: Path, inner: list[Path]) -> None:
    """DataError for folders that can't be classes: of other classes' names, or numbered folds."""
    names = {path.name.casefold() for path in inner}
    for path in inner:
        below = {sub.name.casefold() for sub in subfolders(path)}
        if len(below) > 1 and below <= names:
            raise DataError(
                f"{path} is no class, for it holds folders of the classes beside it: put those "
                f"into {root / 'train'}, and call it `validation` or `test`"
            )
    if len(inner) > 1 and all({*words_of(path.name)} & _FOLDS for path in inner):
        raise DataError(
            f"{root} has {_names(inner)}, which are folds and no classes: put all together, a "
            "folder for each class (--data.folds makes folds)"
        )


def _train_alone(root: Path, inner: list[Path], suffixes: Collection[str]) -> dict[str, Path]:
    alone = [path for path in inner if part_of(path.name) == ("train", ())]
    if len(alone) != 1:
        return {}
    beside = _with_samples([path for path in inner if path not in alone], suffixes)
    if beside and loose_files(alone[0], suffixes):
        return {}  # a class among others
    if beside:
        raise _either(root, alone, beside)
    return {"train": alone[0]}


def _with_samples(folders: list[Path], suffixes: Collection[str]) -> list[Path]:
    return [folder for folder in folders if files_below(folder, suffixes)]


def _either(root: Path, parts: list[Path], beside: list[Path]) -> DataError:
    return DataError(
        f"{root} has {_names(parts)}, which may be parts or classes, beside {_names(beside)}: "
        "rename the classes, or keep nothing else beside the parts"
    )


def _evaluated_last(chosen: dict[str, list[Path]]) -> dict[str, list[Path]]:
    """The same, but that beside `val` or `dev` and without `test`, `eval` is the test part."""
    held = chosen.get("validation", [])
    evaluated = [path for path in held if path.name.casefold().startswith("eval")]
    if len(held) != 2 or len(evaluated) != 1 or "test" in chosen:
        return chosen
    kept = [path for path in held if path not in evaluated]
    return chosen | {"test": evaluated, "validation": kept}


def _one_each(root: Path, chosen: dict[str, list[Path]]) -> dict[str, Path]:
    """One folder a part, in the order of SPLITS."""
    for part, paths in chosen.items():
        if len(paths) > 1:
            raise DataError(
                f"{root} has {_names(paths)}, each of which may be the {part} part: keep one"
            )
    return {part: chosen[part][0] for part in SPLITS if part in chosen}


def _names(paths: list[Path]) -> str:
    names = [path.name for path in paths[:3]] + ["others"] * (len(paths) > 3)
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
