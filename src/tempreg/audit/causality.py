"""Does a timestep depend on later inputs?"""

from __future__ import annotations

from tempreg.audit.check import Check, fine
from tempreg.audit.evidence import Evidence
from tempreg.audit.place import first_bad, where
from tempreg.audit.trace import Visit


def check_causality(evidence: Evidence) -> Check:
    """Change the inputs from a timestep on: what belongs to earlier ones must stay as it is."""
    if evidence.steps < 2:
        return fine("there is one timestep, or a static input: nothing later to see")
    times = evidence.times

    def share(visit: Visit, kind: str, count: int) -> float:
        slots = [times.get((visit.name, kind, i)) for i in range(count)]
        return max((t.early for t in slots if t and t.acausal), default=0.0)

    def bad_in(visit: Visit) -> bool:
        return share(visit, "in", len(visit.inputs)) > 0

    visits = [made[-1] for made in evidence.base.calls().values()]
    order = {name: i for i, name in enumerate(evidence.base.calls())}
    visits.sort(key=lambda v: order[v.name])
    visit = first_bad(visits, bad_in, lambda v: share(v, "out", len(v.outputs)) > 0)
    if visit is None:
        fixed = evidence.shorter is None
        remarks = ["its T is fixed: time was found by shapes and changes alone"] if fixed else []
        return fine("no timestep depends on a later input", *remarks)
    layer, place = where(visit, visits, bad_in, evidence.subject.name)
    size = share(visit, "out", len(visit.outputs))
    return Check(
        False,
        layer,
        size,
        f"{place} lets a timestep see later ones: at least {size:.0%} of its outputs change before "
        "their time. Step by step, as on a chip, it can't be computed: mask what comes later, or "
        "take means over the past alone.",
    )
