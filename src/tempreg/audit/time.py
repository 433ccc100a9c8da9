"""Is time used, and do neurons keep their potential from one timestep to the next?"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tempreg.audit.check import Check, fine
from tempreg.audit.evidence import Evidence
from tempreg.audit.probe import neurons, stateful


def check_time(evidence: Evidence) -> Check:
    """Change what neurons get at one timestep and look at later ones; reorder and repeat inputs."""
    if evidence.steps < 2:
        return fine(
            "one timestep: neurons have nothing to remember"
            if not evidence.subject.static
            else "the input is static: what is done at each timestep can't be told apart"
        )
    layers = neurons(evidence.subject.model)
    found = evidence.probes
    quiet = [n for n, kept in found.remembers.items() if not kept and stateful(layers[n])]
    forgets = [n for n in quiet if not _by_setting(layers[n])]
    if forgets:
        layer = next(n for n in evidence.base.calls() if n in forgets)
        size = len(forgets) / len(found.remembers)
        more = f", and {len(forgets) - 1} more" if len(forgets) > 1 else ""
        return Check(
            False,
            layer,
            size,
            f"the neurons {layer!r}{more} keep nothing from one timestep to the next, called with "
            f"{[*found.shapes[layer]]} for T={evidence.steps}: their state is not passed on, is "
            "reset between timesteps, or all timesteps come as one. Pass the state on, and put "
            "neurons that are given whole sequences into the mode for these.",
        )
    remarks = [f"the neurons {n!r} keep nothing over time, by their beta of 0" for n in quiet]
    if not evidence.random and _same_in_any_order(evidence):
        remarks.append("the order of timesteps changes nothing: it doesn't use time")
    elif not evidence.random and _of_first_alone(evidence):
        remarks.append(
            "the inputs of later timesteps change nothing: it would answer the same to its first "
            "ones, repeated"
        )
    elif not _last_sees_first(evidence):
        remarks.append("the last timestep's output doesn't depend on the first input")
    said = "neurons keep their potential over time"
    if not found.remembers:
        said = "no layer of neurons was recognised and called over time"
    return fine(said, *remarks)


def _by_setting(module: nn.Module) -> bool:
    """snnTorch's neurons with a decay of 0, as at the end of networks that read out currents."""
    beta = getattr(module, "beta", None)
    return isinstance(beta, Tensor) and not bool(beta.count_nonzero())


def _same_in_any_order(evidence: Evidence) -> bool:
    """Whether it gives the same values, at other places, when time is reversed or turned."""
    x = evidence.precise.inputs
    return _same_mean(evidence, x.flip(0)) and _same_mean(evidence, x.roll(1, 0))


def _of_first_alone(evidence: Evidence) -> bool:
    """Whether other inputs from the second timestep on change no output."""
    masks = evidence.suffixes[1]
    outputs = [out for (name, _), (_, out) in masks.items() if not name]
    return bool(outputs) and not any(bool(mask.any()) for each in outputs for mask in each)


def _same_mean(evidence: Evidence, x: Tensor) -> bool:
    """Whether the means over all outputs are those of the inputs as they are."""
    forward = evidence.precise_base.by_key()
    last = evidence.steps - 1 if evidence.subject.per_step else 0
    other = evidence.precise.run(x, means=True).by_key()
    if ("", last) not in forward or ("", last) not in other:
        return False
    calls = range(last + 1)
    a = [p.means for c in calls for p in forward["", c].outputs]
    b = [p.means for c in calls for p in other["", c].outputs]
    return torch.allclose(
        torch.stack(a).mean(0), torch.stack(b).mean(0), rtol=100 * evidence.rounding, atol=1e-12
    )


def _last_sees_first(evidence: Evidence) -> bool:
    x = evidence.subject.inputs.clone()
    x[0] = evidence.subject.other(5)[0]
    a, b = evidence.subject.output(evidence.subject.inputs), evidence.subject.output(x)
    outputs = [(p, q) for p, q in zip(a, b, strict=True) if p.shape == q.shape]
    if evidence.subject.per_step:
        outputs = outputs[-1:]
    else:
        timed = [(p, q) for p, q in outputs if p.ndim and len(p) == evidence.steps]
        outputs = [(p[-1], q[-1]) for p, q in timed] or outputs
    return any(not torch.equal(p, q) for p, q in outputs)
