"""Networks without a fault, among them what a careless audit would take for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tempreg
from tests.unit.audit.attention import QKBlock, SelfAttention
from tests.unit.audit.attention import Tokens as Spikformer
from tests.unit.audit.faulty import Attend, TimeConv
from tests.unit.audit.parts import (
    CLASSES,
    FEATURES,
    HIDDEN,
    Apply,
    Net,
    OwnLIF,
    Triangle,
    frames,
    inputs,
    lif,
)  # fmt: skip


class Sound(NamedTuple):
    """A network and inputs for it."""

    make: Callable[[], nn.Module]
    given: Callable[[], Tensor] = inputs


class Conv(nn.Module):
    """A convolution, a norm or pooling after it, neurons, and a head."""

    def __init__(self, norm: nn.Module, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1), norm
        self.lif, self.pool = lif(), pool or nn.Identity()
        self.conv2, self.lif2 = nn.Conv2d(4, 4, 3, padding=1), lif()
        self.head = nn.LazyLinear(CLASSES)
        self.forward(frames())

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape[:2]
        spikes = self.lif(self.norm(self.conv(x.flatten(0, 1))).unflatten(0, shape))
        more = self.conv2(self.pool(spikes.flatten(0, 1)))
        return self.head(self.lif2(more.unflatten(0, shape)).flatten(2))


class SEW(Conv):
    """The sum of spikes goes on."""

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape[:2]
        spikes = self.lif(self.conv(x.flatten(0, 1)).unflatten(0, shape))
        more = self.lif2(self.conv2(spikes.flatten(0, 1)).unflatten(0, shape))
        return self.head((spikes + more).flatten(2))


class ByStep(Net):
    """Goes through time itself, the state passed on."""

    def forward(self, x: Tensor) -> Tensor:
        current = self.fc1(x)
        state, made = self.lif.initial_state(current), []
        for t in range(len(x)):
            spikes, state = self.lif(current[t : t + 1], state)
            made.append(self.fc2(spikes[0]))
        return torch.stack(made)


class Recurrent(Net):
    """Spikes come back through weights."""

    def __init__(self) -> None:
        super().__init__()
        self.back = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        v = s = torch.zeros(x.shape[1], HIDDEN).to(x)
        made = []
        for x_t in self.fc1(x):
            h = v / 2 + x_t + self.back(s)
            s = Triangle.apply(h - 1)
            v = (1 - s) * h
            made.append(self.fc2(s))
        return torch.stack(made)


class RecurrentLIF(nn.Module):
    """The same as a layer that is called as neurons are."""

    def __init__(self) -> None:
        super().__init__()
        self.back = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        v = s = torch.zeros_like(x[0])
        made = []
        for x_t in x:
            h = v / 2 + x_t + self.back(s)
            s = Triangle.apply(h - 1)
            v = (1 - s) * h
            made.append(s)
        return torch.stack(made)


class AdaptiveLIF(nn.Module):
    """A threshold that grows with its own spikes."""

    def forward(self, x: Tensor) -> Tensor:
        v = a = torch.zeros_like(x[0])
        made = []
        for x_t in x:
            h = 0.7 * v + x_t
            s = Triangle.apply(h - 1 - a)
            v, a = h - s * (1 + a), 0.8 * a + 0.3 * s
            made.append(s)
        return torch.stack(made)


class Inhibiting(nn.Module):
    """The mean over a sample's own channels holds back."""

    def forward(self, x: Tensor) -> Tensor:
        return x - 0.5 * x.mean(-1, keepdim=True)


class First(nn.Module):
    """What a recurrent layer of torch gives."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.inner(x)[0]
        return made


class Readout(Net):
    """Something else at the end than a timestep's logits."""

    def __init__(self, end: Callable[[Tensor], Tensor]) -> None:
        super().__init__(lif=lif())
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(super().forward(x))


class Counting(Net):
    """Spikes are counted over all time, and the head gets the counts."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.lif(self.fc1(x)).sum(0))


class Potential(nn.Module):
    """Logits are the potentials of neurons that don't fire."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif = nn.Linear(FEATURES, HIDDEN), lif()
        self.fc2, self.readout = nn.Linear(HIDDEN, CLASSES), LeakyReadout()

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.fc2(self.lif(self.fc1(x))))


class LeakyReadout(nn.Module):
    """A leaky integrator."""

    def forward(self, x: Tensor) -> Tensor:
        v, made = torch.zeros_like(x[0]), []
        for x_t in x:
            v = 0.9 * v + x_t
            made.append(v)
        return torch.stack(made)


class FixedT(Net):
    """T is part of a weight's size."""

    def __init__(self) -> None:
        super().__init__(lif=lif())
        self.shift = nn.Parameter(torch.randn(4, 1, HIDDEN))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.lif(self.fc1(x) + self.shift))


class BatchFirstNet(Net):
    """[B, T, ...] inside, but for the neurons."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x.transpose(0, 1))
        return self.fc2(self.lif(x.transpose(0, 1)).transpose(0, 1)).transpose(0, 1)


class TimeLast(Net):
    """[B, F, T] inside, but for the neurons."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x).permute(1, 2, 0)
        return self.fc2(self.lif((2 * x).permute(2, 0, 1)))


class Shared(Net):
    """One layer of neurons, called twice."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.lif(2 * self.lif(self.fc1(x))))


class Several(Net):
    """A dict of outputs."""

    def forward(self, x: Tensor) -> Any:
        spikes = self.lif(self.fc1(x))
        return {"logits": self.fc2(spikes), "spikes": spikes}


class Static(Net):
    """[B, F], shown at each of four timesteps."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.lif(self.fc1(x).expand(4, *x.shape[:-1], HIDDEN)))


def _running_mean(logits: Tensor) -> Tensor:
    counts = torch.arange(1, len(logits) + 1).to(logits).view(-1, 1, 1)
    return logits.cumsum(0) / counts


def _delayed(x: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(x[:1]), x[:-1]])


def _noisy(x: Tensor) -> Tensor:
    return x + 0.3 * torch.randn_like(x)


def built_in(name: str, **options: Any) -> Sound:
    def make() -> nn.Module:
        keywords = {"num_classes": 3, "in_channels": 2, "num_steps": 2, **options}
        return tempreg.create_model(name, **keywords)

    return Sound(make, frames)


def net(**middle: nn.Module) -> Sound:
    return Sound(lambda: Net(**middle))


def over(function: Callable[[Tensor], Tensor]) -> Sound:
    return Sound(lambda: Net(odd=Apply(function), lif=lif()))


SMALL = {"input_size": 6, "channels": (4, 6)}
SOUND: dict[str, Sound] = {
    "linear layers": net(lif=lif()),
    "soft reset": net(lif=lif(v_reset=None)),
    "detached reset": net(lif=lif(detach_reset=True)),
    "sigmoid surrogate": net(lif=lif(surrogate="sigmoid", surrogate_param=4.0)),
    "integrate and fire": net(lif=tempreg.IF()),
    "learnt tau": net(lif=tempreg.PLIF()),
    "own neurons": net(lif=OwnLIF()),
    "adaptive threshold": net(lif=AdaptiveLIF()),
    "recurrent spikes": Sound(Recurrent),
    "recurrent layer": Sound(lambda: Net(lif=RecurrentLIF())),
    "a GRU before neurons": Sound(lambda: Net(gru=First(nn.GRU(HIDDEN, HIDDEN)), lif=lif())),
    "an LSTM after neurons": Sound(lambda: Net(lif=lif(), lstm=First(nn.LSTM(HIDDEN, HIDDEN)))),
    "causal attention over time": Sound(lambda: Net(lif=lif(), attend=Attend(masked=True))),
    "causal convolution over time": Sound(lambda: Net(conv=TimeConv(causal=True), lif=lif())),
    "spiking self-attention": Sound(lambda: Spikformer(SelfAttention(8, 2)), frames),
    "QK attention, mended": Sound(lambda: QKBlock.network(right=True), frames),
    "layer norm": net(norm=nn.LayerNorm(HIDDEN), lif=lif()),
    "inhibition in a sample": net(inhibit=Inhibiting(), lif=lif()),
    "dropout": net(drop=nn.Dropout(0.5), lif=lif()),
    "delay": over(_delayed),
    "running mean of the past": over(_running_mean),
    "random currents": over(_noisy),
    "the step before": over(lambda x: x + 0.5 * _delayed(x)),
    "signs": over(lambda x: x + x.sign().detach() * 0.1),
    "large currents": over(lambda x: 50 * x),
    "silent on its inputs": over(lambda x: 1e-3 * x),
    "step by step inside": Sound(lambda: ByStep(lif=lif())),
    "batch first inside": Sound(lambda: BatchFirstNet(lif=lif())),
    "time last": Sound(lambda: TimeLast(lif=lif())),
    "neurons used twice": Sound(lambda: Shared(lif=lif())),
    "several outputs": Sound(lambda: Several(lif=lif())),
    "mean over time at the end": Sound(lambda: Readout(lambda o: o.mean(0))),
    "last timestep at the end": Sound(lambda: Readout(lambda o: o[-1])),
    "running mean at the end": Sound(lambda: Readout(_running_mean)),
    "softmax at the end": Sound(lambda: Readout(lambda o: F.softmax(o, -1))),
    "counts into the head": Sound(lambda: Counting(lif=lif())),
    "potentials at the end": Sound(Potential),
    "fixed T": Sound(FixedT),
    "as many timesteps as samples": Sound(lambda: Net(lif=lif()), lambda: inputs()[:2]),
    "one timestep": Sound(lambda: Net(lif=lif()), lambda: inputs()[:1]),
    "static input": Sound(lambda: Static(lif=lif()), lambda: inputs()[0]),
    "one sample": Sound(lambda: Net(lif=lif()), lambda: inputs()[:, :1]),
    "batch norm": Sound(lambda: Conv(nn.BatchNorm2d(4)), frames),
    "group norm": Sound(lambda: Conv(nn.GroupNorm(2, 4)), frames),
    "instance norm": Sound(lambda: Conv(nn.InstanceNorm2d(4)), frames),
    "average pooling": Sound(lambda: Conv(nn.BatchNorm2d(4), nn.AvgPool2d(2)), frames),
    "max pooling": Sound(lambda: Conv(nn.BatchNorm2d(4), nn.MaxPool2d(2)), frames),
    "sums of spikes": Sound(lambda: SEW(nn.Identity()), frames),
    "csnn": built_in("csnn", **SMALL),
    "csnn, static": Sound(built_in("csnn", **SMALL).make, lambda: frames()[0]),
    "csnn with tdBN": built_in("csnn", norm="tdbn", **SMALL),
    "csnn without norm": built_in("csnn", norm="none", **SMALL),
    "csnn, learnt tau": built_in("csnn", neuron="plif", **SMALL),
}
