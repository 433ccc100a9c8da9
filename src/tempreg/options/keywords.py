"""Signatures that show what a function passes on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Made = TypeVar("Made", bound=Callable[..., Any])


def passes_on_to(target: Callable[..., Any]) -> Callable[[Made], Made]:
    """Of a function that hands its **keywords to `target`: its signature, as `help` and
    `inspect.signature` give it, has each of them with its default. Type checkers are told by the
    function's own `Unpack`."""

    def told(function: Made) -> Made:
        own = inspect.signature(function)
        mine = {n: p for n, p in own.parameters.items() if p.kind is not p.VAR_KEYWORD}
        theirs = [
            p.replace(
                kind=p.KEYWORD_ONLY,  # a NamedTuple wraps its annotations
                annotation=getattr(p.annotation, "__forward_arg__", p.annotation),
            )
            for name, p in inspect.signature(target).parameters.items()
            if name not in (*mine, "self")
        ]
        shown = own.replace(parameters=[*mine.values(), *theirs])
        function.__signature__ = shown  # type: ignore[attr-defined]
        return function

    return told
