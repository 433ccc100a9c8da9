"""Objectives by name: which terms go together, and which values a study may try."""

from __future__ import annotations

import itertools
from dataclasses import fields

import pytest

from tempreg.options import TERMS, ObjectiveOptions, OptimizerOptions
from tempreg.options.field import _test
from tempreg.options.terms import parse_objective

ONE_OF = {
    "smoothings": {"smooth", "ls"},
    "distillations": {"tks", "twsd", "s2w", "w2s", "self", "kd", "kl"},
    "penalties": {"trt", "l2", "l2n"},
    "penalties of the logits": {"logit", "logit-early", "logit-late"},
}
"""Each says the same thing in two ways, and no objective says it twice."""
BASE_OF = {"kd": "anytime", "kl": "anytime"}


def group_of(term: str) -> str | None:
    return next((name for name, members in ONE_OF.items() if term in members), None)


def test_terms_that_say_the_same_in_two_ways_are_refused_together() -> None:
    tried = 0
    for a, b in itertools.combinations(TERMS, 2):
        bases = [term for term in (a, b) if TERMS[term].base]
        if len(bases) == 2:
            continue
        base = bases[0] if bases else BASE_OF.get(a, BASE_OF.get(b, "step"))
        if any(BASE_OF.get(term, base) != base for term in (a, b)):
            continue
        name = "+".join([base, *(term for term in (a, b) if not TERMS[term].base)])
        together = group_of(a) is not None and group_of(a) == group_of(b)
        if together:
            with pytest.raises(ValueError, match=f"choose one of the .* {a} and {b}"):
                parse_objective(name)
        else:
            assert {term.name for term in parse_objective(name).terms} == {base, a, b}
        tried += together
    assert tried >= 12


def test_values_to_try_are_allowed_rise_and_lie_about_the_default() -> None:
    kinds = {"objective": ObjectiveOptions, "optimizer": OptimizerOptions}
    for term in TERMS.values():
        for dotted, values in term.tries.items():
            section, _, name = dotted.partition(".")
            (item,) = (item for item in fields(kinds[section]) if item.name == name)
            assert list(values) == sorted(set(values)), term.name
            assert len(values) == 4
            default = getattr(kinds[section](), name)
            scaled = [v * default if term.factors else v for v in values]
            assert all(map(_test(item.metadata["allowed"]), scaled)), term.name
            if default:  # weight decay is off without the term
                assert scaled[0] <= default <= scaled[-1], term.name


def test_one_of_one_or_more_is_enough() -> None:
    assert _test("one or more counts >= 1")((5,))
    assert not _test("one or more weights > 0")((0.5, 0.0))
