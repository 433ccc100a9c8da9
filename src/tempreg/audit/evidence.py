"""What several checks look at, made once and when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import final

import torch
from torch import Tensor

from tempreg.audit.place import Masks, changes
from tempreg.audit.probe import Probes, probe
from tempreg.audit.subject import Ended, Subject
from tempreg.audit.timemap import Slot, Timed, time_map
from tempreg.audit.trace import Trace


@final
class Evidence:
    """The passes of one network on two samples.

    Attributes:
        subject: the network, and `exact` the same in float64, None where that can't be run.
        steps: T; 1 where the inputs are static.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.steps = 1 if subject.static else len(subject.inputs)

    @cached_property
    def exact(self) -> Subject | None:
        """The network in float64."""
        return self.subject.in_double()

    @property
    def precise(self) -> Subject:
        """In float64 where it can be, for passes whose shapes differ and so their rounding."""
        return self.exact or self.subject

    @property
    def rounding(self) -> float:
        """What equal passes of different shapes may differ by, relative to the largest entry."""
        return 1e-9 if self.exact else 1e-4

    @cached_property
    def base(self) -> Trace:
        """The pass that others are compared with."""
        return self.subject.run(self.subject.inputs)

    @cached_property
    def precise_base(self) -> Trace:
        """The same in float64, with means over all entries."""
        return self.precise.run(self.precise.inputs, means=True)

    @cached_property
    def repeats(self) -> bool:
        """Whether two fresh copies with one seed agree."""
        twin = self.subject.run(self.subject.inputs)
        return not _any(changes(self.base, twin))

    @cached_property
    def random(self) -> bool:
        """Whether another seed changes the answer, in eval mode."""
        return _any(changes(self.base, self.subject.run(self.subject.inputs, seed=1)))

    @cached_property
    def shorter(self) -> Trace | None:
        """A pass with T - 1 timesteps; None where the network's T is fixed."""
        if self.steps < 2:
            return None
        try:
            return self.subject.run(self.subject.inputs[:-1])
        except Ended:
            return None

    @cached_property
    def suffixes(self) -> dict[int, Masks]:
        """By timestep t: what changes with the inputs from t on, at up to three t."""
        found = {}
        inputs = self.subject.inputs
        for t in sorted({1, self.steps // 2, self.steps - 1} - {0}):
            changed = torch.cat([inputs[:t], self.subject.other(t)[t:]])
            found[t] = changes(self.base, self.subject.run(changed))
        return found

    @cached_property
    def times(self) -> dict[Slot, Timed]:
        """Where time is in each tensor; empty without time in the inputs."""
        if self.steps < 2:
            return {}
        return time_map(self.base, self.shorter, self.suffixes, self.steps)

    @cached_property
    def probes(self) -> Probes:
        """What layers of neurons do with time."""
        return probe(self.subject, self.times, self.steps)

    def layout(self, slot: Slot) -> int | None:
        """b of a tensor (see `timemap`) where time is in it and known."""
        timed = self.times.get(slot)
        return timed.layouts[0] if timed and timed.layouts else None


def _any(masks: Masks) -> bool:
    return any(bool(m.any()) for _, outputs in masks.values() for m in outputs)


def output_difference(a: list[Tensor], b: list[Tensor]) -> float:
    """mean |a - b| / mean |a| over all outputs; infinity where one alone isn't finite."""
    if [t.shape for t in a] != [t.shape for t in b]:
        return float("inf")
    x = torch.cat([t.double().flatten() for t in a])
    y = torch.cat([t.double().flatten() for t in b])
    gap = (x - y).abs()
    gap = torch.where(x.isnan() & y.isnan(), torch.zeros_like(gap), gap)
    value = float(gap.mean() / x.abs().mean().clamp(min=1e-12))
    return value if value == value else float("inf")
