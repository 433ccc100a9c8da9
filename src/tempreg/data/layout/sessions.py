"""Sessions of files, by folders or names: what was recorded in one go is never divided."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tempreg.data.layout.part_names import says_nothing

_NUMBERED = re.compile(r"(.+)_\d+")
_COUNTED = re.compile(r"(.*?)[\W_]*\d+\W*")


@final
@dataclass(frozen=True)
class Kin:
    """What files of an own folder say of the sessions that they are of.

    Attributes:
        names: the session of each [N]; None: it is on its own, or see `counted`.
        counted: class indices whose files that have none may be of one, for their names only count.
        remarks: a sentence each.
    """

    names: list[str | None]
    counted: set[int]
    remarks: tuple[str, ...]


def kin(
    files: Sequence[Path], bases: Sequence[Path], targets: Sequence[int], classes: Sequence[str]
) -> Kin:
    """The sessions of files, by the folders between class and file, else by their names.

    Args:
        files: [N].
        bases: the folder of each one's class [N].
        targets: class indices [N].
        classes: names of the classes.
    """
    folders = [by_folder(file, base) for file, base in zip(files, bases, strict=True)]
    stems = [file.stem for file in files]
    names, loose = folders.copy(), [i for i, name in enumerate(folders) if name is None]
    named, remarks = by_name([stems[i] for i in loose], [targets[i] for i in loose], classes)
    for i, name in zip(loose, named, strict=True):
        names[i] = name
    alone = [i for i in loose if names[i] is None]
    counted = counting([stems[i] for i in alone], [targets[i] for i in alone])
    told = [name for name in names if name is not None]
    sessions = sorted(set(told))
    if len(sessions) < len(told):
        some = ", ".join(sessions[:3]) + (", ..." if len(sessions) > 3 else "")
        remarks = (*remarks, f"sessions of what was recorded in one go: {len(sessions)} ({some})")
    return Kin(names, counted, remarks)


def by_folder(path: Path, base: Path) -> str | None:
    """The folders between a class's folder and a file in it; None where there are none.

    Folders whose names say nothing, as `images`, don't count.
    """
    folders = path.relative_to(base).parts[:-1]
    return "/".join(name for name in folders if not says_nothing(name)) or None


def by_name(
    stems: Sequence[str], targets: Sequence[int], classes: Sequence[str]
) -> tuple[list[str | None], tuple[str, ...]]:
    """The session of each file by its name, `<session>_<n>`, and remarks.

    That is a guess, for such a number may only count: `image_1`, `image_2`. So names give sessions
    only where most of every class have that form, and every class has at least two before the
    numbers, or some class two that are there several times each.

    Args:
        stems: names without suffix [N].
        targets: class indices [N].
        classes: names of the classes.
    """
    matches = [_NUMBERED.fullmatch(stem) for stem in stems]
    names = [match[1] if match else None for match in matches]
    by_class: dict[int, list[str | None]] = {target: [] for target in targets}
    for target, name in zip(targets, names, strict=True):
        by_class[target].append(name)
    repeated = {
        target: {n for n, count in Counter(found).items() if n and count > 1}
        for target, found in by_class.items()
    }
    everywhere = all(len({*found} - {None}) > 1 for found in by_class.values())
    if not everywhere and max(map(len, repeated.values()), default=0) < 2:
        return [None] * len(names), ()
    otherwise = [t for t, found in sorted(by_class.items()) if 2 * found.count(None) > len(found)]
    if not otherwise:
        return names, ()
    told = set().union(*repeated.values())
    if not told:
        return [None] * len(names), ()
    remark = (
        f"names such as {min(told)}_<n> are not taken for sessions, for most of class "
        f"{classes[otherwise[0]]} are not of that form"
    )
    return [None] * len(names), (remark,)


def counting(stems: Sequence[str], targets: Sequence[int]) -> set[int]:
    """The classes whose names only count: of one word, or none, and a number.

    So pieces of one recording are called, and pictures of one burst; and much that isn't.

    Args:
        stems: names without suffix [N].
        targets: class indices [N].
    """
    words: dict[int, set[str | None]] = {}
    for stem, target in zip(stems, targets, strict=True):
        match = _COUNTED.fullmatch(stem)
        words.setdefault(target, set()).add(match[1].casefold() if match else None)
    return {target for target, found in words.items() if len(found) == 1 and None not in found}
