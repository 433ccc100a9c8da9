"""Are neurons stepped over time, and over nothing else?"""

from __future__ import annotations

from tempreg.audit.check import Check, fine
from tempreg.audit.evidence import Evidence
from tempreg.audit.probe import neurons, recurrent


def check_axis(evidence: Evidence) -> Check:
    """Change half of what a layer of neurons gets at one timestep: the rest of that timestep must
    not answer. Where it does, the layer steps from entry to entry of another axis."""
    if evidence.steps < 2:
        return fine("one timestep, or a static input: there is no axis of time to mistake")
    layers, found = neurons(evidence.subject.model), evidence.probes
    wrong = [n for n, share in found.mixes.items() if share > 0 and not recurrent(layers[n])]
    if wrong:
        layer = next(n for n in evidence.base.calls() if n in wrong)
        size = found.mixes[layer]
        return Check(
            False,
            layer,
            size,
            f"the neurons {layer!r} step over something that isn't time: called with "
            f"{[*found.shapes[layer]]} for T={evidence.steps} and two samples, {size:.0%} of their "
            "outputs answer to other samples, channels or places of the same timestep. Give them "
            "time where they step: reshape to [T, B, ...] before the call.",
        )
    asked = len(found.mixes)
    if not asked:
        return fine("no layer of neurons was recognised and called over time")
    return fine(f"all {asked} layers of neurons step over time alone")
