"""Are spikes 0 and 1, and which products get anything else?"""

from __future__ import annotations

import torch
from torch import Tensor

from tempreg.audit.check import Check, Rows, fine
from tempreg.audit.evidence import Evidence
from tempreg.audit.operations import WEIGHTED, Product, Synapses, worst
from tempreg.audit.probe import neurons
from tempreg.audit.timemap import stack
from tempreg.audit.trace import Trace, Visit


def check_spikes(
    evidence: Evidence, layers: dict[str, Synapses], products: list[Product]
) -> tuple[Check, list[Rows]]:
    """Look at what neurons give, in eval and in training mode, and at what products get."""
    plain = evidence.subject.plain()
    traces = [plain.run(plain.inputs, training=training) for training in (False, True)]
    rows = _rows(evidence, traces[0], layers, products)
    for trace, training in zip(traces, (False, True), strict=True):
        if found := _not_binary(evidence, trace, training) or _counts(evidence, trace, training):
            return found, rows
    said = "every layer of neurons gives 0 and 1"
    if not neurons(plain.model):
        said = "no layer of neurons was recognised, so that no spikes could be looked at"
    return fine(said, *_remarks(evidence, layers, products)), rows


def _not_binary(evidence: Evidence, trace: Trace, training: bool) -> Check | None:
    known = neurons(evidence.subject.model)
    calls = trace.calls()
    order = list(calls)
    kinds = _weighted(evidence)
    ends = {v.name: i for i, v in enumerate(trace.visits) if v.call == 0}
    for name in [n for n in order if n in known]:
        values = torch.cat([v.outputs[0].values for v in calls[name] if v.outputs])
        odd = ~((values == 0) | (values == 1))
        reads_out = all(ends.get(other, -1) <= ends[name] for other in kinds)
        if not bool(odd.any()) or reads_out or _by_design(known[name]):
            continue
        size = float(odd.double().mean())
        whole = bool((values == values.round()).all())
        what = "whole numbers, no spikes" if whole else "real numbers"
        mode = "in training mode" if training else "in eval mode"
        return Check(
            False,
            name,
            size,
            f"the neurons {name!r} give {what} {mode} ({size:.0%} are neither 0 nor 1, up to "
            f"{float(values.abs().max()):.3g}), and a weight layer after them multiplies with "
            "these: they count as multiply-accumulates. Give the spike itself, not a sum, a "
            "potential or a soft step.",
        )
    return None


def _weighted(evidence: Evidence) -> set[str]:
    return {n for n, m in evidence.subject.model.named_modules() if isinstance(m, WEIGHTED)}


def _by_design(module: object) -> bool:
    """sinabs' neurons that fire several times a timestep."""
    return getattr(getattr(module, "spike_fn", None), "__name__", "") == "MultiSpike"


def _counts(evidence: Evidence, trace: Trace, training: bool) -> Check | None:
    """A layer that gives the running sum of spikes, which a weight layer then takes."""
    weighted = _weighted(evidence)
    calls = trace.calls()
    for name, visits in calls.items():
        if name in weighted or not _running(evidence, visits, "out", 0):
            continue
        if any(_running(evidence, visits, "in", i) for i in range(len(visits[0].inputs))):
            continue
        later = list(calls)[list(calls).index(name) + 1 :]
        if any(n in weighted and _running(evidence, calls[n], "in", 0) for n in later):
            layer = name or evidence.subject.name
            return Check(
                False,
                layer,
                1.0,
                f"the layer {layer!r} gives running counts of spikes, not spikes: whole numbers "
                "that grow with time, and a weight layer multiplies with them. Give each "
                "timestep's spike.",
            )
    return None


def _running(evidence: Evidence, visits: list[Visit], kind: str, place: int) -> bool:
    """Whether entries only ever grow with time, by 0 or 1, beyond 1."""
    name = visits[0].name
    whole, b = stack(visits, kind, place), evidence.layout((name, kind, place))
    if whole is None or b is None or evidence.steps < 3:
        return False
    values = torch.cat([(v.inputs if kind == "in" else v.outputs)[place].values for v in visits])
    table = _over_time(values, whole.flat, b, evidence.steps)
    if table is None or bool((table != table.round()).any()):
        return False
    grows = table.diff(dim=0)
    return bool(((grows == 0) | (grows == 1)).all()) and float(table.max()) >= 2


def _over_time(values: Tensor, flat: Tensor, b: int, steps: int) -> Tensor | None:
    """[T, N] of the entries that are kept at every timestep; None where there are none."""
    place = (flat // (b * steps)) * b + flat % b
    when = (flat // b) % steps
    order = torch.argsort(place * steps + when)
    place, values = place[order], values[order]
    _, counts = torch.unique_consecutive(place, return_counts=True)
    full = torch.repeat_interleave(counts == steps, counts)
    return values[full].view(-1, steps).T if bool(full.any()) else None


def _remarks(evidence: Evidence, layers: dict[str, Synapses], products: list[Product]) -> list[str]:
    remarks = []
    for kind, words in (("graded", "whole numbers"), ("real", "real numbers")):
        named = [n for n, layer in layers.items() if worst(layer.kinds) == kind]
        if named:
            some = ", ".join(named[:4]) + (", ..." if len(named) > 4 else "")
            remarks.append(f"{len(named)} weight layers get {words}: {some}")
    odd = {p.module or evidence.subject.name for p in products if p.kinds != ("binary", "binary")}
    if odd:
        remarks.append(
            f"products with other than 0 and 1 outside weight layers, in: "
            f"{', '.join(sorted(odd)[:4])}"
        )
    return remarks


def _rows(
    evidence: Evidence, trace: Trace, layers: dict[str, Synapses], products: list[Product]
) -> list[Rows]:
    calls = trace.calls()
    fires = []
    for name in neurons(evidence.subject.model):
        if name not in calls:
            continue
        whole = stack(calls[name], "out", 0)
        values = torch.cat([v.outputs[0].values for v in calls[name]])
        b = evidence.layout((name, "out", 0))
        if whole is None:
            continue
        when = (whole.flat // b) % evidence.steps if b else torch.zeros(len(values))
        for t in range(evidence.steps if b else 1):
            at = values[when == t]
            kind = "binary" if bool(((at == 0) | (at == 1)).all()) else "not binary"
            rate = f"{float((at != 0).double().mean()):.3f}" if len(at) else "-"
            fires.append([name, str(t + 1) if b else "all", kind, rate])
    takes = [[n, worst(s.kinds), f"{s.spikes / max(s.entries, 1):.3f}"] for n, s in layers.items()]
    others = sorted({(p.module or evidence.subject.name, *p.kinds) for p in products})
    return [
        Rows("What neurons give, by timestep", ["Layer", "Timestep", "Kind", "Not 0"], fires),
        Rows("What weight layers get", ["Layer", "Kind", "Not 0"], takes),
        Rows("Products outside weight layers", ["In", "First", "Second"], [*map(list, others)]),
    ]
