"""Names of parts as archives and arrays have them: Train, test_set, seg_test, val2017."""

from __future__ import annotations

import re

_PART_OF = {
    "train": ("train", "training", "trn", "trainval"),
    "validation": (
        "validation",
        "val",
        "valid",
        "validate",
        "validating",
        "eval",
        "evaluation",
        "dev",
        "devel",
        "development",
    ),
    "test": ("test", "testing", "tests", "tst", "heldout", "holdout"),
}
PART_OF = {word: part for part, words in _PART_OF.items() for word in words}
"""The part (of `base.SPLITS`) that a word names."""
_STANDS_BESIDE = frozenset(
    {
        "set",
        "sets",
        "data",
        "dataset",
        "datasets",
        "split",
        "part",
        "subset",
        "folder",
        "dir",
        "image",
        "images",
        "img",
        "imgs",
        "pictures",
        "photos",
        "samples",
        "recordings",
        "events",
    }
)
"""Words that say nothing about the part."""
_SEAMS = re.compile(
    r"[\W_]+|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
)
_JOINED = re.compile(rf"({'|'.join(sorted(PART_OF, key=len, reverse=True))})(set|data|images)")


def words_of(name: str) -> list[str]:
    """The words of a name in lower case; those of "ibmGestureTrain2" are ibm, gesture, train, 2."""
    words = [word.casefold() for word in _SEAMS.split(name) if word]
    return [match[1] if (match := _JOINED.fullmatch(word)) else word for word in words]


def part_of(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The part that a name says and the other words in it, or None.

    "Train" and "training_set" are ("train", ()), "seg_test" is ("test", ("seg",)). Numbers and
    words such as "set" or "images" are left out. A name says a part with its first or last word.
    """
    words = [w for w in words_of(name) if w not in _STANDS_BESIDE and not w.isdigit()]
    if words[:2] in (["held", "out"], ["hold", "out"]):
        words[:2] = ["heldout"]
    for place in (0, -1):
        if words and words[place] in PART_OF:
            part = PART_OF[words.pop(place)]
            return part, tuple(words)
    return None


def says_nothing(name: str) -> bool:
    """Whether a folder is called by what lies in it only: `images`, `data`."""
    words = words_of(name)
    return bool(words) and all(word in _STANDS_BESIDE for word in words)
