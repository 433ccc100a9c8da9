"""The vocabulary of objectives: a base, and terms added to it with "+".

    rate+mse        step+mse+l2        anytime+kd        module:Class, of the user's own

`TERMS` is all that is known of a term beside its code, which is in `tempreg.objectives.named`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

from tempreg.words import suggest

ALIASES = {"trt": "step+mse+trt"}
"""Names of published combinations."""

PENALTIES = "penalties"
LOGIT_PENALTIES = "penalties of the logits"
DISTILLATIONS = "distillations"
"""Groups of terms."""


@final
@dataclass(frozen=True)
class Term:
    """A part of an objective.

    Attributes:
        name: as users write it.
        summary: what it computes, in a line.
        base: whether an objective begins with it; else it is added to one.
        reads: settings of the objective that it uses.
        tries: values of one setting, by its dotted name, that a study may choose from.
        factors: whether `tries` are factors of the study's own value instead.
        needs: the base that it goes with alone.
        brings: settings by dotted name that an arm of a study gets with it.
        group: of terms in one group, an objective has one at most.
    """

    name: str
    summary: str
    base: bool = False
    reads: tuple[str, ...] = ()
    tries: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    factors: bool = False
    needs: str | None = None
    brings: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""


_STRENGTHS = {"objective.lam": (1.0, 10.0, 100.0, 600.0)}
_LOGITS = {"objective.logit_lam": (0.005, 0.02, 0.1, 0.4)}
_SHARES = {"objective.distill": (0.1, 0.3, 0.5, 0.7)}
_STRONG_WEAK = {"objective.s2w_lam": (0.1, 0.3, 1.0, 3.0)}
_PENALTY = ("lam", "decay", "eps", "select")

TERMS = {
    term.name: term
    for term in (
        Term("rate", "cross-entropy of the mean over time", base=True),
        Term("step", "cross-entropy at every timestep", base=True),
        Term(
            "smooth",
            "step, with label smoothing and AdamW",
            base=True,
            group="smoothings",
            reads=("smoothing",),
            brings={"optimizer.name": "adamw"},
            tries={"optimizer.weight_decay": (0.01, 0.1, 0.5, 2.0)},
        ),
        Term(
            "tet",
            "temporal efficient training",
            base=True,
            reads=("tet_lam", "tet_means"),
            tries={"objective.tet_lam": (0.01, 0.05, 0.2, 0.5)},
        ),
        Term("anytime", "cross-entropy of the running mean at every timestep", base=True),
        Term(
            "tks",
            "temporal knowledge sharing: the timesteps that are right teach all",
            base=True,
            group=DISTILLATIONS,
            reads=("tks_alpha", "tks_temperature", "tks_detached"),
            tries={"objective.tks_alpha": (0.3, 0.5, 0.7, 0.9)},
        ),
        Term(
            "twsd",
            "step, and the mean of the right timesteps teaches all",
            base=True,
            group=DISTILLATIONS,
            reads=("twsd_beta", "twsd_teacher"),
            tries={"objective.twsd_beta": (0.1, 0.2, 0.5, 1.0)},
        ),
        Term(
            "s2w",
            "rate, and the surest timestep teaches the least sure",
            base=True,
            group=DISTILLATIONS,
            reads=("s2w_lam",),
            tries=_STRONG_WEAK,
        ),
        Term(
            "w2s",
            "rate, and the least sure timestep teaches the surest",
            base=True,
            group=DISTILLATIONS,
            reads=("s2w_lam",),
            tries=_STRONG_WEAK,
        ),
        Term(
            "ls",
            "label smoothing of the cross-entropy",
            group="smoothings",
            reads=("smoothing",),
            tries={"objective.smoothing": (0.03, 0.1, 0.2, 0.4)},
        ),
        Term(
            "mse",
            "TRT's MSE to the one-hot target, with its share eta",
            reads=("eta",),
            tries={"objective.eta": (0.001, 0.01, 0.05, 0.2)},
        ),
        Term(
            "self",
            "cross-entropy of the last running mean to its own softened output",
            group=DISTILLATIONS,
            reads=("distill",),
            tries=_SHARES,
        ),
        Term(
            "kd",
            "the last running mean, softened, teaches the earlier ones",
            needs="anytime",
            group=DISTILLATIONS,
            reads=("distill",),
            tries=_SHARES,
        ),
        Term(
            "kl",
            "kd with both sides softened, times the temperature squared",
            needs="anytime",
            group=DISTILLATIONS,
            reads=("distill",),
            tries=_SHARES,
        ),
        Term(
            "trt",
            "TRT's penalty of the weights",
            group=PENALTIES,
            reads=_PENALTY,
            tries=_STRENGTHS,
            factors=True,
        ),
        Term(
            "l2",
            "plain L2, as strong as that penalty on the fresh network",
            group=PENALTIES,
            reads=_PENALTY,
            tries=_STRENGTHS,
            factors=True,
        ),
        Term("l2n", "plain L2 of strength l2", group=PENALTIES, reads=("l2", "select")),
        Term(
            "logit",
            "a penalty of the logits' spread, the same at every timestep",
            group=LOGIT_PENALTIES,
            reads=("logit_lam",),
            tries=_LOGITS,
        ),
        Term(
            "logit-early",
            "that penalty, decaying over time",
            group=LOGIT_PENALTIES,
            reads=("logit_lam", "logit_decay"),
            tries=_LOGITS,
        ),
        Term(
            "logit-late",
            "that penalty, growing over time",
            group=LOGIT_PENALTIES,
            reads=("logit_lam", "logit_decay"),
            tries=_LOGITS,
        ),
    )
}
"""Every term by its name; the order of the bases is that of help texts."""

BASES = tuple(term.name for term in TERMS.values() if term.base)
ADDITIONS = tuple(term.name for term in TERMS.values() if not term.base)
FIRST = (*ALIASES, *BASES)
"""What the name of an objective may begin with."""


@final
class ObjectiveName(NamedTuple):
    """A name taken apart: `base` is of `BASES`, or "module:Class"."""

    base: str
    additions: frozenset[str]

    @property
    def terms(self) -> list[Term]:
        """The terms in the order of `TERMS`; none of a class of the user's."""
        return [term for name, term in TERMS.items() if name == self.base or name in self.additions]

    @property
    def reads(self) -> frozenset[str]:
        """The settings of the objective that its terms use."""
        return frozenset(name for term in self.terms for name in term.reads)

    @property
    def penalty(self) -> str | None:
        """The name of its penalty of the weights."""
        return next((term.name for term in self.terms if term.group == PENALTIES), None)

    def with_penalty(self, name: str | None) -> ObjectiveName:
        """The objective with another penalty of the weights, or with none."""
        others = frozenset(term for term in self.additions if TERMS[term].group != PENALTIES)
        return ObjectiveName(self.base, others if name is None else others | {name})


def parse_objective(name: str) -> ObjectiveName:
    """A name taken apart; ValueError says what is wrong with it."""
    if ":" in name:
        return ObjectiveName(name, frozenset())
    base, *added = ALIASES.get(name, name).split("+")
    if base not in BASES:
        raise ValueError(
            f"objective.name must be one of {', '.join(FIRST)} (terms are added as in step+mse), "
            f"or module:Class for one of your own, got {name!r}{suggest(base, FIRST)}"
        )
    for term in added:
        if term not in ADDITIONS or added.count(term) > 1:
            raise ValueError(
                f"objective.name {name!r}: what is added must be of {', '.join(ADDITIONS)}, each "
                f"once, got {term!r}"
            )
    parsed = ObjectiveName(base, frozenset(added))
    _check_together(name, parsed)
    return parsed


def _check_together(name: str, parsed: ObjectiveName) -> None:
    """ValueError for terms that don't go with each other."""
    groups: dict[str, list[str]] = {}
    for term in parsed.terms:
        if term.needs is not None and term.needs != parsed.base:
            raise ValueError(f"objective.name {name!r}: {term.name} needs {term.needs}")
        groups.setdefault(term.group, []).append(term.name)
    for group, members in groups.items():
        if group and len(members) > 1:
            raise ValueError(
                f"objective.name {name!r}: choose one of the {group} {' and '.join(members)}"
            )
