"""Networks with a fault each: what kind it is, and in which layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tests.unit.audit.attention import QKBlock
from tests.unit.audit.faulty import (
    Adapting,
    AllAtOnce,
    Attend,
    BatchFirst,
    Cut,
    Flattened,
    Frozen,
    Gate,
    InForward,
    LastStep,
    Memo,
    OnceMore,
    Rarely,
    ResetAtEnd,
    Reshaped,
    RoundedLIF,
    ScaledLIF,
    SoftLIF,
    StepByStep,
    Ticking,
    TimeConv,
    Tokens,
    TrainingOnly,
    Unused,
    attend_over_batch,
    by_dtype,
    flat,
    hard,
    net,
    over,
    over_batch,
    own,
)
from tests.unit.audit.parts import (
    Apply,
    Net,
    OwnLIF,
    frames,
    inputs,
    lif,
)  # fmt: skip


class Planted(NamedTuple):
    """A network with a fault: the checks that must fail, the layer they name, and its inputs."""

    kind: str
    layer: str
    make: Callable[[], nn.Module]
    given: Callable[[], Tensor] = inputs


PLANTED: dict[str, Planted] = {
    "time and batch as one": Planted("batch axis", "lif", lambda: Flattened(lif=lif())),
    "own neurons, time and batch as one": Planted(
        "batch axis", "lif", lambda: Flattened(lif=OwnLIF())
    ),
    "batch first": Planted("batch axis", "lif", lambda: BatchFirst(lif=lif())),
    "reshape for transpose": Planted("batch", "lif", lambda: Reshaped(lif=lif())),
    "statistics of the batch": Planted("batch", "norm.norm", over_batch),
    "mean over the batch": Planted("batch", "odd", over(lambda x: x - x.mean(1, keepdim=True))),
    "attention over the batch": Planted("batch", "attend.inner", attend_over_batch),
    "place in the batch": Planted(
        "batch", "odd", over(lambda x: x * torch.arange(1, x.shape[1] + 1).to(x).view(1, -1, 1))
    ),
    "one sample too few": Planted("batch", "", over(lambda x: x.squeeze().permute(0, 1, 2))),
    "size of the batch": Planted("batch", "odd", over(lambda x: x / x.shape[1])),
    "largest of the batch": Planted("batch", "odd", over(lambda x: x / x.abs().amax())),
    "rank in the batch": Planted("batch", "odd", over(lambda x: x * (x >= x.mean(1, True)))),
    "potential of the sample before": Planted("batch", "lif", net(lif=OnceMore())),
    "in training alone": Planted("batch", "odd", net(odd=TrainingOnly(), lif=lif())),
    "QK attention": Planted(
        "batch axis", "block.proj_lif", lambda: QKBlock.network(right=False), frames
    ),
    "mean over time": Planted("causality", "odd", over(lambda x: x - x.mean(0))),
    "largest over time": Planted("causality", "odd", over(lambda x: x / x.abs().amax(0))),
    "convolution over later time": Planted(
        "causality", "odd.conv", net(odd=TimeConv(causal=False), lif=lif())
    ),
    "attention over all time": Planted(
        "causality", "odd.inner", net(odd=Attend(masked=False), lif=lif())
    ),
    "backwards": Planted("causality", "odd", over(lambda x: x.flip(0).cumsum(0).flip(0))),
    "gate of all time": Planted("causality", "Gate", lambda: Gate(lif=lif())),
    "the next timestep": Planted("causality", "odd", over(lambda x: x + x.roll(-1, 0))),
    "potential is kept": Planted("state", "lif", own(keep=True)),
    "last call is added": Planted("state", "memo", net(memo=Memo(), lif=lif())),
    "threshold adapts": Planted("state", "adapt", net(adapt=Adapting(), lif=lif())),
    "calls are counted": Planted("state", "tick", net(tick=Ticking(), lif=lif())),
    "reset at the end alone": Planted("state", "lif", net(lif=ResetAtEnd())),
    "writes into its inputs": Planted(
        "state", "0", lambda: nn.Sequential(Apply(lambda x: x.mul_(2)), Net(lif=lif()))
    ),
    "state isn't passed on": Planted("time", "lif", lambda: StepByStep(lif=lif())),
    "all timesteps as one": Planted("time", "lif", lambda: AllAtOnce(lif=lif())),
    "steps over channels": Planted("axis", "lif", lambda: Tokens(2), frames),
    "steps over rows": Planted("axis", "lif", lambda: Tokens(3), frames),
    "steps over columns": Planted("axis", "lif", lambda: Tokens(4), frames),
    "potential given as spikes": Planted("spikes", "lif", own(give="potential")),
    "whole numbers": Planted("spikes", "lif", net(lif=RoundedLIF())),
    "running counts": Planted(
        "spikes", "count", net(lif=lif(), count=Apply(lambda s: s.cumsum(0)))
    ),
    "soft in training": Planted("spikes", "lif", net(lif=SoftLIF())),
    "spikes of 0.7": Planted("spikes", "lif", net(lif=ScaledLIF())),
    "divided by T": Planted("stepwise", "odd", over(lambda x: x / len(x))),
    "share of T as a position": Planted(
        "stepwise", "odd", over(lambda x: x + torch.linspace(0, 1, len(x)).to(x).view(-1, 1, 1))
    ),
    "more at the last timestep": Planted("stepwise", "odd", net(odd=LastStep(), lif=lif())),
    "no surrogate": Planted("gradients", "lif", own(fire=hard)),
    "surrogate of 0": Planted("gradients", "lif", own(fire=flat)),
    "detached potential": Planted("gradients", "lif", own(detach=True)),
    "detached in forward": Planted("gradients", "Cut", lambda: Cut(lif=lif())),
    "detached in a layer": Planted("gradients", "odd", over(lambda x: x.detach())),
    "inside no_grad": Planted("gradients", "odd.inner", net(odd=Frozen(), lif=lif())),
    "a layer that isn't called": Planted("gradients", "extra", Unused),
    "overflow in float16": Planted("precision", "odd", over(lambda x: x * 1e6)),
    "large and small numbers": Planted("precision", "odd", over(lambda x: (x + 3e7) - 3e7)),
    "another result in float64": Planted("precision", "odd", over(by_dtype)),
    "not a number": Planted("precision", "odd", over(lambda x: x.log())),
}
MISSED: dict[str, Planted] = {
    "takes three samples": Planted("batch", "odd", over(lambda x: x * (x >= x.median(1, True)[0]))),
    "on rare inputs": Planted("batch", "odd", net(odd=Rarely(), lif=lif())),
    "neurons in forward()": Planted("axis", "InForward", lambda: InForward(lif=nn.Identity())),
}
"""Faults that are known not to be found, which docs/audit.md says."""
