"""Does the network give the same step by step as all at once?"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tempreg.audit.check import Check, fine
from tempreg.audit.evidence import Evidence, output_difference
from tempreg.audit.place import first_bad, where
from tempreg.audit.subject import Ended
from tempreg.audit.timemap import Slot, label, stack
from tempreg.audit.trace import Visit


def check_stepwise(evidence: Evidence) -> Check:
    """Compare the first timesteps of a whole pass with a pass of these alone; or, where neurons
    keep their state, a whole pass with one of pieces of a timestep each."""
    subject = evidence.subject
    if evidence.steps < 2:
        return fine("one timestep, or a static input: nothing to take apart")
    if subject.per_step:
        return fine("it takes one timestep a call: step by step is all there is")
    if evidence.random:
        return fine("the network draws random numbers when it is evaluated: not compared")
    if evidence.shorter is None:
        return fine("its T is fixed, so that it can't be run on fewer timesteps: not compared")
    pieces = subject.keeps_state and not _resets_itself(evidence)
    if pieces:
        try:
            found = _in_pieces(evidence)
        except Ended:
            pieces, found = False, _prefix(evidence)
    else:
        found = _prefix(evidence)
    if found is not None:
        return found
    how = "in pieces of one timestep" if pieces else "of the first timesteps alone"
    return fine(f"a pass {how} gives the same as the whole one")


def _resets_itself(evidence: Evidence) -> bool:
    """Whether a second call answers as the first did, without a reset in between."""
    exact, model = evidence.precise, evidence.precise.fresh()
    first, second = (exact.output(exact.inputs, model) for _ in range(2))
    return output_difference(first, second) <= evidence.rounding


def _prefix(evidence: Evidence) -> Check | None:
    """The first T - 1 timesteps, and the first one."""
    exact, steps = evidence.precise, evidence.steps
    for short in sorted({steps - 1, 1}, reverse=True):
        try:
            trace = exact.run(exact.inputs[:short])
        except Ended:
            continue
        found = _compared(evidence, trace.calls(), short, f"the first {short} timesteps alone")
        if found:
            return found
    return None


def _in_pieces(evidence: Evidence) -> Check | None:
    """A timestep at a time, the state kept in between; what they give, one after the other."""
    exact, model = evidence.precise, evidence.precise.fresh()
    calls: dict[str, list[Visit]] = {}
    for t in range(evidence.steps):
        trace = exact.run(exact.inputs[t : t + 1], model=model)
        for name, visits in trace.calls().items():
            calls.setdefault(name, []).extend(visits)
    return _compared(evidence, calls, evidence.steps, "step by step")


def _compared(
    evidence: Evidence, others: dict[str, list[Visit]], short: int, what: str
) -> Check | None:
    whole = evidence.precise_base.calls()
    gaps: dict[Slot, float] = {}
    for name, visits in whole.items():
        for kind in ("in", "out"):
            for place in range(len(visits[0].inputs if kind == "in" else visits[0].outputs)):
                slot = (name, kind, place)
                if name in others:
                    gaps[slot] = _gap(evidence, visits, others[name], slot, short)

    def worst(visit: Visit, kind: str, count: int) -> float:
        return max((gaps.get((visit.name, kind, i), 0.0) for i in range(count)), default=0.0)

    def bad_in(visit: Visit) -> bool:
        return worst(visit, "in", len(visit.inputs)) > 0

    firsts = [visits[0] for visits in whole.values()]
    visit = first_bad(firsts, bad_in, lambda v: worst(v, "out", len(v.outputs)) > 0)
    if visit is None:
        return None
    layer, place_ = where(visit, firsts, bad_in, evidence.subject.name)
    size = worst(visit, "out", len(visit.outputs))
    return Check(
        False,
        layer,
        size,
        f"{place_} gives something else when it gets {what} than in a whole pass: {size:.0%} of "
        "its outputs differ. What it gives depends on how many timesteps there are: on T itself, "
        "or on a state that isn't handed on.",
    )


def _gap(
    evidence: Evidence, whole: list[Visit], other: list[Visit], slot: Slot, short: int
) -> float:
    """The share of kept entries of the first `short` timesteps that differ; 0 where not timed."""
    b, steps = evidence.layout(slot), evidence.steps
    _, kind, place = slot
    a, c = stack(whole, kind, place), stack(other, kind, place)
    if b is None or a is None or c is None:
        return 0.0
    given = torch.cat([(v.inputs if kind == "in" else v.outputs)[place].values for v in whole])
    made = torch.cat([(v.inputs if kind == "in" else v.outputs)[place].values for v in other])
    total = math.prod(a.shape)
    if math.prod(c.shape) * steps != total * short:
        return 0.0
    when = label(a.flat, b, steps)
    outer, inner = a.flat // (b * steps), a.flat % b
    pieces = len(other) > len(whole) and len(other) == len(whole) * steps
    if pieces:  # call t has the timestep t: [T, outer, inner]
        target = (when * (total // (b * steps)) + outer) * b + inner
    else:
        target = (outer * short + when) * b + inner
    early = when < short
    return _differing(given[early], target[early], made, c.flat, evidence.rounding)


def _differing(
    values: Tensor, wanted: Tensor, other: Tensor, flat: Tensor, rounding: float
) -> float:
    """The share of values, at `wanted` flat places of the other, that differ there."""
    order = torch.argsort(flat)
    flat, other = flat[order], other[order]
    spot = torch.searchsorted(flat, wanted).clamp(max=len(flat) - 1)
    there = flat[spot] == wanted
    if not bool(there.any()):
        return 0.0
    x, y = values[there], other[spot[there]]
    scale = float(torch.maximum(x.abs(), y.abs()).nan_to_num().max())
    return float(((x - y).abs() > 100 * rounding * scale).double().mean())
