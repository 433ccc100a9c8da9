"""Does a sample's answer depend on who else is in the batch, on how many, or on their order?"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tempreg.analysis.capture import batch_dim
from tempreg.audit.check import Check, fine
from tempreg.audit.evidence import Evidence
from tempreg.audit.place import Masks, changes, either, first_bad, where
from tempreg.audit.subject import Ended, Norm, Subject
from tempreg.audit.trace import Piece, Trace, Visit

_MEND = (
    "Samples must not meet: look for time and batch taken for each other (as [T * B, ...] given "
    "to neurons that step over the first dimension), and for means over the batch."
)


def check_batch(evidence: Evidence) -> Check:
    """Change one of two samples, exchange them, show one alone and one twice.

    Entries that change with the one and with the other belong to both: where there are any, the
    samples have met. That needs no knowledge of how a layer lays out its tensors.
    """
    subject = evidence.subject
    for training in (False, True):
        base = subject.run(subject.inputs, training=True) if training else evidence.base
        first, second = (_of_one(subject, base, s, training=training) for s in (0, 1))
        if found := _met(evidence, base, first, second, training=training):
            return found
    norms = [m for m in subject.model.modules() if isinstance(m, Norm)]
    remarks = ["batch norm mixes samples in training, as it must"] if norms else []
    if evidence.random:
        remarks.append(
            "the network draws random numbers when it is evaluated: batch size not tried"
        )
    elif found := _size(evidence) or _order(evidence):
        return found
    return fine(
        "no sample depends on another, on the batch size or on the order, in eval mode and "
        "in training mode with norms fixed",
        *remarks,
    )


def _of_one(subject: Subject, base: Trace, sample: int, *, training: bool) -> Masks:
    """What changes with one sample, over two draws of it."""
    found: Masks | None = None
    for draw in range(1 if training else 2):
        x, other = subject.inputs.clone(), subject.other(17 + draw)
        dim = batch_dim(x)
        x.select(dim, sample).copy_(other.select(dim, sample))
        changed = changes(base, subject.run(x, training=training))
        found = changed if found is None else either(found, changed)
    assert found is not None
    return found


def _met(
    evidence: Evidence, base: Trace, first: Masks, second: Masks, *, training: bool
) -> Check | None:
    def share(visit: Visit, side: int) -> float:
        if visit.key not in first or visit.key not in second:
            return 0.0
        pairs = zip(first[visit.key][side], second[visit.key][side], strict=False)
        return max((float((a & b).double().mean()) for a, b in pairs if len(a)), default=0.0)

    def bad_in(visit: Visit) -> bool:
        return share(visit, 0) > 0

    visit = first_bad(base.visits, bad_in, lambda v: share(v, 1) > 0)
    if visit is None:
        return None
    layer, place = where(visit, base.visits, bad_in, evidence.subject.name)
    size = share(visit, 1)
    mode = "in training mode, norms fixed" if training else "in eval mode"
    sentence = (
        f"{place} lets samples meet {mode}: {size:.0%} of its outputs change with either of two "
        f"samples. {_effect(evidence)}{_MEND}"
    )
    return Check(False, layer, size, sentence)


def _effect(evidence: Evidence) -> str:
    """What the batch size changes for a sample, where the outputs show it."""
    precise = evidence.precise
    dim = batch_dim(precise.inputs)
    others = [precise.other(draw) for draw in (21, 22, 23)]
    gaps = []
    for sample in (0, 1):
        own = precise.samples([sample])
        try:
            alone = precise.output(own)
            fourth = precise.output(torch.cat([*(o.narrow(dim, 0, 1) for o in others), own], dim))
        except Ended:
            return "It can't take one sample, or four. "
        pairs = zip(alone, fourth, strict=False)
        gaps += [gap for a, b in pairs if (gap := _gap(a, b)) is not None]
    if not gaps:
        return ""
    return (
        f"By batch size: the output for a sample is another by {max(gaps):.2%} of its mean size as "
        "the last of four than alone. "
    )


def _gap(alone: Tensor, beside: Tensor) -> float | None:
    """mean |alone - the same sample as the last of four| / mean |alone|."""
    if alone.ndim != beside.ndim:
        return None
    dims = [d for d in range(alone.ndim) if alone.shape[d] != beside.shape[d]]
    if len(dims) != 1 or (alone.shape[dims[0]], beside.shape[dims[0]]) != (1, 4):
        return None
    last = beside.narrow(dims[0], 3, 1)
    return float((alone - last).abs().mean() / alone.abs().mean().clamp(min=1e-12))


def _unlike(a: Piece, b: Piece, rounding: float) -> float:
    """How far the means over all entries are apart, relative to the entries' size, where beyond
    rounding."""
    if not len(a.means) or not len(b.means):
        return 0.0
    square = float(torch.maximum(a.means[1], b.means[1]).clamp(min=1e-24))
    scale = torch.tensor([math.sqrt(square), square, 1.0], dtype=torch.float64)
    gap = ((a.means - b.means).abs() / scale).nan_to_num(0.0)
    apart = gap > 100 * rounding
    return float(gap[apart].max()) if bool(apart.any()) else 0.0


def _compared(evidence: Evidence, a: Trace, b: Trace, what: str) -> Check | None:
    """A failed check where the means over all entries of a layer differ between two passes."""
    twins = b.by_key()

    def apart(visit: Visit, side: str) -> float:
        twin = twins.get(visit.key)
        if twin is None:
            return 0.0
        pairs = zip(getattr(visit, side), getattr(twin, side), strict=False)
        return max((_unlike(x, y, evidence.rounding) for x, y in pairs), default=0.0)

    def bad_in(visit: Visit) -> bool:
        return apart(visit, "inputs") > 0

    visit = first_bad(a.visits, bad_in, lambda v: apart(v, "outputs") > 0)
    if visit is None:
        return None
    layer, place = where(visit, a.visits, bad_in, evidence.subject.name)
    size = apart(visit, "outputs")
    sentence = (
        f"{place} answers otherwise {what}, by {size:.2g} of its mean. {_effect(evidence)}{_MEND}"
    )
    return Check(False, layer, size, sentence)


def _size(evidence: Evidence) -> Check | None:
    s = evidence.precise
    try:
        s.output(s.samples([0]))
    except Ended as error:
        return Check(
            False,
            None,
            1.0,
            f"{s.name} takes two samples and can't take one: {error}. The last batch of "
            "an epoch may hold one: look for squeeze() without a dimension.",
        )
    alone, twice = (s.run(s.samples(chosen), means=True) for chosen in ([0], [0, 0]))
    return _compared(evidence, alone, twice, "to a sample alone than to the same one twice")


def _order(evidence: Evidence) -> Check | None:
    s = evidence.precise
    swapped = s.run(s.samples([1, 0]), means=True)
    return _compared(evidence, evidence.precise_base, swapped, "when samples are exchanged")
