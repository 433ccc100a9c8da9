"""The one way to declare a setting: its default, what it means, and what it may be.

    eta: float = setting(0.05, "share of the MSE", "[0, 1]")

The range is text, so that a person who is refused reads what the declaration says: an interval
as above, or one of ">= 0", "> 0", ">= 0, at most 1e30", "finite"; before it may stand "one or more
numbers", after it "or null". A `Literal` says itself what is allowed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import Field, field, fields
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

_SEVERAL = re.compile(r"one or more \w+ ")
_INTERVAL = re.compile(r"([\[(])(\S+), (\S+)([\])])")
_BOUND = re.compile(r"(>=?) (\S+?)(?:, at most (\S+))?")
_OR_NULL = " or null"


def setting(default: Any, help_text: str, allowed: str = "") -> Any:
    """A field of a dataclass of settings.

    Args:
        default: its value where none is given.
        help_text: what it means; in the command line's help, what is allowed is added to it.
        allowed: the range of a number, as above; "" where only the type decides.
    """
    if not allowed:
        return field(default=default, metadata={"help": help_text})
    shown = f"{help_text}, {_phrase(allowed.removesuffix(_OR_NULL))}"
    told = {"help": shown, "allowed": allowed, "holds": _test(allowed.removesuffix(_OR_NULL))}
    return field(default=default, metadata=told)


def check_settings(settings: Any, prefix: str = "") -> None:
    """ValueError for the first field that can't be what it is, which it names after `prefix`."""
    choices = _choices(settings.__class__)
    for item in fields(settings):
        value, name = getattr(settings, item.name), prefix + item.name
        if value not in choices.get(item.name, (value,)):
            among = ", ".join(choices[item.name])
            raise ValueError(f"{name} must be one of {among}, got {value!r}")
        _require(item, name, value)


def check_option(kind: Any, name: str, value: Any, said: str = "") -> None:
    """ValueError where the setting `name` of `kind` can't be `value`; it is called `said` there."""
    _require(kind.__dataclass_fields__[name], said or name, value)  # fields() stops torch.compile


def part_of(settings: Any, kind: type) -> dict[str, Any]:
    """The settings that a dataclass `kind` has, by name, of a larger one's."""
    return {item.name: getattr(settings, item.name) for item in fields(kind)}


def _require(item: Field[Any], name: str, value: Any) -> None:
    holds = item.metadata.get("holds")
    if holds is not None and value is not None and not holds(value):
        raise ValueError(f"{name} must be {_phrase(item.metadata['allowed'])}, got {value}")


def _phrase(allowed: str) -> str:
    return f"in {allowed}" if allowed[0] in "[(" else allowed


@cache
def _choices(kind: type) -> dict[str, tuple[str, ...]]:
    """What each setting may be that is one of a few words."""
    hints = get_type_hints(kind)
    return {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}


def _test(allowed: str) -> Callable[[Any], bool]:
    """Whether a number, or of "one or more" each, is allowed; NaN and infinity never are."""
    if several := _SEVERAL.match(allowed):
        each = _test(allowed[several.end() :])
        return lambda values: len(values) > 0 and all(map(each, values))
    if allowed == "finite":
        return math.isfinite
    if interval := _INTERVAL.fullmatch(allowed):
        opens, low, high, closes = interval.groups()
        above, most, below = opens == "(", float(high), closes == ")"
    elif bound := _BOUND.fullmatch(allowed):
        sign, low, top = bound.groups()
        above, most, below = sign == ">", float(top or "inf"), top is None
    else:
        raise ValueError(f"{allowed!r} says no range: write it as [0, 1) or >= 0")
    least = float(low)
    return lambda x: (least < x if above else least <= x) and (x < most if below else x <= most)
