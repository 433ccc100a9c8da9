"""Which arrays of an .npz file are the images and labels of which part, by their names.

Keras has x_train and y_train, MedMNIST train_images and train_labels, scikit-learn data and target,
and `numpy.savez(file, images, labels)` gives arr_0 and arr_1.
"""

from __future__ import annotations

import re
from typing import Any

from numpy.typing import NDArray

from tempreg.data.base import SPLITS
from tempreg.data.errors import DataError
from tempreg.data.layout.part_names import PART_OF, words_of

_IMAGES = {
    "x",
    "image",
    "images",
    "img",
    "imgs",
    "picture",
    "pictures",
    "pixels",
    "input",
    "inputs",
    "feature",
    "features",
}
_LABELS = {"y", "label", "labels", "lbl", "lbls", "target", "targets"}
_EITHER = {"data", "set", "arr", "array"}
"""Beside another word they say nothing; by itself, "data" is images."""
NAMES_OF_CLASSES = ("classes", "class_names", "label_names", "target_names")
_JOINED = re.compile(rf"([xy])({'|'.join(sorted(PART_OF, key=len, reverse=True))})")


def images_and_labels(
    arrays: dict[str, NDArray[Any]], where: str
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """The names of the images and labels of each part (of SPLITS, with train), and the others.

    Raises:
        DataError: images without labels or the reverse, none to train on, or two of one role.
    """
    by_role: dict[tuple[str, str], list[str]] = {}
    for name in arrays:
        if (role := _role(name)) is not None:
            by_role.setdefault(role, []).append(name)
    if sorted(arrays) == ["arr_0", "arr_1"]:  # as numpy names what has no name
        images = "arr_0" if arrays["arr_0"].ndim >= arrays["arr_1"].ndim else "arr_1"
        labels = "arr_1" if images == "arr_0" else "arr_0"
        by_role = {("train", "x"): [images], ("train", "y"): [labels]}
    for role, names in by_role.items():
        if role[1] == "x" and len(names) > 1:
            by_role[role] = [name for name in names if arrays[name].ndim > 2] or names
        if len(by_role[role]) > 1:
            what = "images" if role[1] == "x" else "labels"
            raise DataError(
                f"{where} has {' and '.join(by_role[role])}, each of which may be the {what} of "
                f"its {role[0]} part: keep one"
            )
    found = {}
    for part in SPLITS:
        x, y = (by_role.get((part, role), [None])[0] for role in "xy")
        if x is not None and y is not None:
            found[part] = x, y
        elif x is not None or y is not None or part == "train":
            raise DataError(
                f"{where} lacks {'y' if y is None else 'x'} of its {part} part: it has "
                f"{', '.join(arrays) or 'nothing'}"
            )
    used = {name for pair in found.values() for name in pair}
    return found, [n for n in arrays if n not in used and n not in NAMES_OF_CLASSES]


def _role(name: str) -> tuple[str, str] | None:
    """The part, and "x" or "y"; None for an array that is neither."""
    words = words_of(name)
    if words and (joined := _JOINED.fullmatch(words[0])):
        words[:1] = [joined[1], joined[2]]
    parts = [PART_OF[word] for word in words if word in PART_OF]
    others = {word for word in words if word not in PART_OF}
    known = others <= _IMAGES | _LABELS | _EITHER
    if len(parts) > 1 or not others or not known or name in NAMES_OF_CLASSES:
        return None
    part = parts[0] if parts else "train"
    if others & _LABELS:
        return part, "y"
    return (part, "x") if others & _IMAGES or "data" in others else None
