"""Events as lines of text: .csv."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings.arrays import NAMES, chosen, from_columns
from tempreg.data.formats.recordings.recording import Recording
from tempreg.errors import warnings_about

_TXYP, _XYPT = ["t", "x", "y", "p"], ["x", "y", "p", "t"]
_NO_NAMES = frozenset({"nan", "inf", "true", "false"})
_EXACT = 2**53
"""Whole numbers below it are exact in float64."""


def read_csv(path: Path) -> Recording:
    """Numbers between commas, semicolons, tabs or blanks; names, if any, in the first line.

    Names may be quoted, and x and y may have the sensor's size behind an @, as faery writes it.
    Lines with # and % before the events are comments; one of them may name the columns, as
    numpy.savetxt writes it, and Metavision's are read: "%geometry:640,480" is the sensor's width
    and height, "%columns:x,y,p,t" names. Without names columns are t, x, y, p, or, where only this
    can be, x, y, p, t, as Metavision writes them.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            return _read(path, file)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, byte {error.start}: not a text") from None
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None


def _read(path: Path, lines: Iterator[str]) -> Recording:
    names, size, first = _head(lines)
    if first is None:
        columns = dict.fromkeys(names or _TXYP, np.empty(0))
        return from_columns(path, columns, size)
    words = _words(first)
    if len(words) != len(names or _TXYP):
        raise DataError(f"{path} has {len(words)} columns: expected {', '.join(names or _TXYP)}")
    if names:
        places = [names.index(name) for name in chosen(path, names).values()]
        return from_columns(path, _columns(path, first, lines, places), size)
    columns = _columns(path, first, lines, [0, 1, 2, 3])
    if _only_as_xypt(columns):
        return from_columns(path, dict(zip(_XYPT, columns.values(), strict=True)), size)
    try:
        return from_columns(path, columns, size)
    except DataError as error:
        raise DataError(
            f"{error}; its columns have no names and are taken for t, x, y, p: name them in a "
            "first line"
        ) from None


def _head(lines: Iterator[str]) -> tuple[list[str], tuple[int, int] | None, str | None]:
    """Names of columns, if any, (H, W) or None, and the first line of numbers or None."""
    names: list[str] = []
    size: tuple[int, int] | None = None
    for line in lines:
        text = line.strip()
        mark = text[:1] in ("#", "%")
        text = text.lstrip("#% ") if mark else text
        if match := re.fullmatch(r"geometry\W+(\d{1,9})\D(\d{1,9})", text, re.ASCII):
            size = int(match[2]), int(match[1])
        elif match := re.fullmatch(r"columns\W+(.+)", text):
            names = _words(match[1])
        elif mark:
            words = _words(text)
            names = words if set(_TXYP) <= set(map(_standard, words)) else names
        elif text and (names or not _are_names(_words(text))):
            return names, size, line
        elif text:
            names = _words(text)
        sizes = dict(name.split("@", 1) for name in names if re.fullmatch(r"[xy]@\d{1,9}", name))
        size = (int(sizes["y"]), int(sizes["x"])) if len(sizes) == 2 else size
        names = [re.sub(r"@\d+$", "", name) for name in names]
    return names, size, None


def _columns(
    path: Path, first: str, lines: Iterable[str], places: list[int]
) -> dict[str, NDArray[Any]]:
    """t, x, y and p, which stand in these places of a line."""
    lines = chain([first], lines)
    if {"true", "false"} & set(_words(first)):
        lines = (each.lower().replace("true", "1").replace("false", "0") for each in lines)
    kept = list(lines)
    separator = _separator(first)
    load: dict[str, Any] = {"delimiter": separator, "usecols": places, "ndmin": 2, "quotechar": '"'}
    numbers: NDArray[Any] = np.loadtxt(kept, **load)
    if (np.abs(numbers) >= _EXACT).any():
        with warnings_about(path):
            numbers = np.loadtxt(kept, dtype=np.int64, **load)
    return dict(zip(_TXYP, numbers.T, strict=True))


def _only_as_xypt(columns: dict[str, NDArray[Any]]) -> bool:
    """Whether events can't be t, x, y, p, and can be x, y, p, t."""
    t, _, y, p = columns.values()
    return bool(
        (np.diff(t) < 0).any()
        and not np.isin(p, (-1, 0, 1)).all()
        and np.isin(y, (0, 1)).all()
        and (np.diff(p) >= 0).all()
    )


def _separator(line: str) -> str | None:
    return next((each for each in ",;\t" if each in line), None)


def _words(line: str) -> list[str]:
    return [word.strip().strip("\"'").strip().lower() for word in line.split(_separator(line))]


def _are_names(words: list[str]) -> bool:
    return any(word.partition("@")[0].isidentifier() and word not in _NO_NAMES for word in words)


def _standard(word: str) -> str:
    """What a column of this name holds: t, x, y or p, or the name."""
    return next((name for name, others in NAMES.items() if word in others), word)
