"""The names of objectives: a base, terms added to it with "+", or a class of the user's.

rate        cross-entropy of the mean over time
step        per-step cross-entropy
smooth      step, with label smoothing
tet         temporal efficient training
anytime     cross-entropy of the running mean at every step
... +mse    TRT's MSE to the target, with its share eta
... +trt    TRT's penalty of the weights
... +l2     plain L2, with a gradient as long as that penalty's on the fresh network
... +kd     anytime only: the last running mean teaches the earlier ones
trt         step+mse+trt, as published
module:Class    a subclass of tempreg.Objective that Python can import
"""

from __future__ import annotations

from typing import NamedTuple

BASES = ("rate", "step", "smooth", "tet", "anytime")
ADDITIONS = ("mse", "trt", "l2", "kd")
PUBLISHED = {"trt": "step+mse+trt"}


class ObjectiveName(NamedTuple):
    """A name taken apart: `base` is of BASES, or "module:Class". Final."""

    base: str
    additions: frozenset[str]


def parse_objective(name: str) -> ObjectiveName:
    """A name taken apart; ValueError says what is wrong with it."""
    if ":" in name:
        return ObjectiveName(name, frozenset())
    base, *added = PUBLISHED.get(name, name).split("+")
    if base not in BASES:
        from tempreg.config.structure import suggest

        known = (*PUBLISHED, *BASES)
        raise ValueError(
            f"objective.name must be one of {', '.join(known)} (terms are added as in step+mse), "
            f"or module:Class for one of your own, got {name!r}{suggest(base, known)}"
        )
    for term in added:
        if term not in ADDITIONS or added.count(term) > 1:
            raise ValueError(
                f"objective.name {name!r}: what is added must be of {', '.join(ADDITIONS)}, each "
                f"once, got {term!r}"
            )
    if {"trt", "l2"} <= set(added):
        raise ValueError(f"objective.name {name!r}: choose one of the penalties trt and l2")
    if "kd" in added and base != "anytime":
        raise ValueError(f"objective.name {name!r}: kd needs anytime")
    return ObjectiveName(base, frozenset(added))
