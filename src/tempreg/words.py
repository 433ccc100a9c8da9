"""What to say of a word that isn't known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(word: object, known: Iterable[str]) -> str:
    """' (did you mean X?)' where a known word is close, else nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """': did you mean X?' where a known word is close, else the list of them all."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1)
    return f": did you mean {close[0]!r}?" if close else f": choose one of {', '.join(words)}"
