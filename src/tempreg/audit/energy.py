"""What inference costs, memory included, and from which spike rate on it pays.

Operations are counted from the inputs that came. An accumulation takes 0.9 pJ, a multiplication and
addition 4.6 pJ, in 32-bit floating point at 45 nm (Horowitz 2014, ISSCC).

Memory is counted as by Lemaire et al. (2022, arXiv 2210.13107): every spike is read, reads a weight
and reads and writes a potential for each output that it reaches; potentials are read and written
once more at each timestep; every spike that is given is written. As many are taken to be given, in
proportion, as the layer itself gets. An access of 64 bits costs what its memory's size makes it: 10
pJ at 8 KiB, 20 pJ at 32 KiB and 100 pJ at 1 MiB (Horowitz), on lines between, and no more beyond.

The break-even rate is the share of inputs that may be 1 at each timestep for a layer to cost what
it costs once with 8-bit ReLU inputs, all of them used (after Yan et al., arXiv 2409.08290, who ask
the same of a model of their own and report 5.7% at T = 5): with weights and sums of 8 bits, an
addition of 0.03 pJ, and a multiplication of 0.2 pJ (Horowitz).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from torch import nn

from tempreg.analysis.spikes import AC_PICOJOULES, MAC_PICOJOULES
from tempreg.audit.check import Check, Rows, fine
from tempreg.audit.evidence import Evidence
from tempreg.audit.operations import Product, Synapses, worst

_MEMORY = ((0.0, 0.0), (8.0 * 1024, 10.0), (32.0 * 1024, 20.0), (1024.0 * 1024, 100.0))
"""Bytes, and pJ an access of 64 bits."""
_ADD_8, _MULTIPLY_8 = 0.03, 0.2


@final
@dataclass(frozen=True)
class Cost:
    """Of a layer, a sample: counts, and energies in pJ.

    Attributes:
        macs, acs: operations, as its inputs make them.
        arithmetic, memory: energy of these and of memory accesses.
        rate: the share of inputs that aren't 0.
        break_even: the rate below which spikes pay; 0 where no rate does.
    """

    macs: float
    acs: float
    arithmetic: float
    memory: float
    rate: float
    break_even: float


def access(size: float, bits: int) -> float:
    """pJ of one access of so many bits to a memory of `size` bytes; see `_MEMORY`."""
    sizes, costs = zip(*_MEMORY, strict=True)
    return float(np.interp(size, sizes, costs)) * bits / 64


def cost(layer: Synapses, samples: int, steps: int) -> Cost:
    """Of one weight layer, from what was counted over all samples and timesteps."""
    binary = worst(layer.kinds) == "binary"
    done, entries, outputs = (
        n / samples for n in (layer.done, float(layer.entries), float(layer.outputs))
    )
    spikes = layer.spikes / samples
    weights = float(sum(p.numel() for p in layer.module.parameters()))
    potentials = outputs / steps
    fetch = access(4 * weights, 32)
    update = 2 * access(4 * potentials, 32)
    given = spikes / max(entries, 1.0) * outputs
    memory = (
        spikes * access(4 * entries / steps, 32)
        + done * (fetch + update)
        + outputs * update
        + given * access(4 * potentials, 32)
    )
    arithmetic = done * (AC_PICOJOULES if binary else MAC_PICOJOULES)
    return Cost(
        0.0 if binary else done,
        done if binary else 0.0,
        arithmetic,
        memory,
        spikes / max(entries, 1.0),
        break_even(layer.dense / samples / steps, entries / steps, potentials, weights, steps),
    )


def break_even(dense: float, entries: float, outputs: float, weights: float, steps: int) -> float:
    """The rate r at which E_spikes(r) = E_relu, both of one inference with 8-bit weights.

        E_relu      = dense (multiply + add + read a weight + read an input) + outputs write
        E_spikes(r) = T [r dense (add + read a weight + read, write a sum) + r entries read a spike
                         + outputs (read, write a sum) + r outputs write a spike]

    Args:
        dense: operations of all inputs, at one timestep.
        entries, outputs: inputs and outputs at one timestep.
        weights: how many, a byte each.
        steps: T.

    Returns:
        r in [0, 1]; 0 where potentials alone cost more than the 8-bit layer.
    """
    fetch, sums, bit = access(weights, 8), 2 * access(outputs, 8), access(entries / 8, 1)
    relu = dense * (_MULTIPLY_8 + _ADD_8 + fetch + access(entries, 8)) + outputs * access(
        outputs, 8
    )
    fixed = steps * outputs * sums
    slope = steps * (dense * (_ADD_8 + fetch + sums) + entries * bit + outputs * bit)
    return min(max((relu - fixed) / slope, 0.0), 1.0) if slope else 0.0


def check_energy(
    evidence: Evidence, layers: dict[str, Synapses], products: list[Product]
) -> tuple[Check, list[Rows]]:
    """Count; there is nothing to fail. Static inputs cost their first layer once."""
    samples, steps = 2, evidence.steps
    if evidence.subject.static:
        steps = max((len(s.kinds) for s in layers.values()), default=1)
    costs = {name: cost(layer, samples, steps) for name, layer in layers.items()}
    rows = [
        [
            name,
            f"{c.macs:,.0f}",
            f"{c.acs:,.0f}",
            f"{c.arithmetic / 1000:,.2f}",
            f"{c.memory / 1000:,.2f}",
            f"{c.rate:.3f}",
            f"{c.break_even:.3f}",
        ]
        for name, c in costs.items()
    ]
    head = ["Layer", "MACs", "ACs", "nJ arithmetic", "nJ memory", "Rate", "Break-even rate"]
    arithmetic = sum(c.arithmetic for c in costs.values()) / 1000
    memory = sum(c.memory for c in costs.values()) / 1000
    over = [n for n, c in costs.items() if c.rate > c.break_even]
    remarks = [
        f"{len(over)} of {len(costs)} layers get more than the break-even rate, and would cost "
        "less as 8-bit ReLU layers"
    ]
    others = sum(p.count for p in products) / samples
    if others:
        remarks.append(f"{others:,.0f} multiplications a sample lie outside weight layers")
    odd = [n for n, s in layers.items() if _uncounted(s.module)]
    if odd:
        remarks.append(f"not counted, for their padding isn't zeros: {', '.join(odd)}")
    table = Rows("What inference costs, a sample", head, rows)
    sentence = (
        f"arithmetic {arithmetic:,.2f} nJ a sample, memory {memory:,.2f} nJ by the model of "
        "Lemaire et al.; an estimate, no verdict"
    )
    return fine(sentence, *remarks), [table]


def _uncounted(module: nn.Module) -> bool:
    return getattr(module, "padding_mode", "zeros") != "zeros"
