"""Networks and layers that are not what they seem, for `planted` to plant."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.unit.audit.parts import (
    CLASSES,
    HIDDEN,
    Apply,
    Net,
    OwnLIF,
    Triangle,
    lif,
)  # fmt: skip


class Flattened(Net):
    """Neurons see time and batch as one."""

    def forward(self, x: Tensor) -> Tensor:
        made = self.lif(self.fc1(x).flatten(0, 1))
        return self.fc2(made.unflatten(0, x.shape[:2]))


class BatchFirst(Net):
    """Neurons that step over the first dimension get [B, T, ...]."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.lif(self.fc1(x).transpose(0, 1)).transpose(0, 1))


class Reshaped(Net):
    """reshape where transpose was meant."""

    def forward(self, x: Tensor) -> Tensor:
        steps, batch = x.shape[:2]
        x = self.fc1(x).reshape(batch, steps, -1)
        return self.fc2(self.lif(x.transpose(0, 1)))


class OnceMore(nn.Module):
    """Each sample's potential begins with what the one before it ended with."""

    def forward(self, x: Tensor) -> Tensor:
        v, made = torch.zeros_like(x[0, 0]), []
        for b in range(x.shape[1]):
            row = []
            for t in range(x.shape[0]):
                h = v / 2 + x[t, b]
                s = Triangle.apply(h - 1)
                v = (1 - s) * h
                row.append(s)
            made.append(torch.stack(row))
        return torch.stack(made, dim=1)


class TrainingOnly(nn.Module):
    """Samples are mixed in training mode alone."""

    def forward(self, x: Tensor) -> Tensor:
        return (x + x.roll(1, dims=1)) / 2 if self.training else x


class Gate(Net):
    """A gate from the mean over all timesteps, in the network's own forward()."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x)
        return self.fc2(self.lif(x * x.mean(0).sigmoid()))


class Attend(nn.Module):
    """Attention over time; masked or not."""

    def __init__(self, *, masked: bool) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(HIDDEN, 2)
        self.masked = masked

    def forward(self, x: Tensor) -> Tensor:
        later = torch.ones(len(x), len(x)).triu(1).bool() if self.masked else None
        made: Tensor = self.inner(x, x, x, attn_mask=later, need_weights=False)[0]
        return made


class TimeConv(nn.Module):
    """A convolution over time, padded on both sides or before alone."""

    def __init__(self, *, causal: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(HIDDEN, HIDDEN, 3)
        self.pad = (2, 0) if causal else (1, 1)

    def forward(self, x: Tensor) -> Tensor:
        over = nn.functional.pad(x.permute(1, 2, 0), self.pad)
        return self.conv(over).permute(2, 0, 1)


class Memo(nn.Module):
    """Adds what it was given last."""

    def __init__(self) -> None:
        super().__init__()
        self.last: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        before = self.last[-1] if self.last and self.last[-1].shape == x.shape else 0 * x
        self.last = [x.detach()]
        return x + 0.5 * before


class Adapting(nn.Module):
    """A threshold that moves at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.mean = 0.9 * self.mean + 0.1 * x.detach().abs().mean()
        return x - self.mean


class Ticking(nn.Module):
    """Another answer at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class ResetAtEnd(nn.Module):
    """Its potential goes to 0 at the end of a whole pass, which an error doesn't reach."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleList([nn.Linear(HIDDEN, HIDDEN) for _ in range(3)])
        self.v: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        made = []
        for x_t in x:
            v = torch.zeros_like(x_t) if self.v is None else self.v
            h = v / 2 + x_t
            for layer in self.inner:
                h = h + layer(h) / 10
                self.v = h.detach()
            s = Triangle.apply(h - 1)
            self.v = (1 - s) * h
            made.append(s)
        self.v = None
        return torch.stack(made)


class StepByStep(Net):
    """Neurons begin anew at every timestep, for their state isn't passed on."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(torch.cat([self.lif(self.fc1(x[t : t + 1])) for t in range(len(x))]))


class AllAtOnce(Net):
    """All timesteps go into the neurons as if they were one."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.lif(self.fc1(x).unsqueeze(0)).squeeze(0))


class Tokens(nn.Module):
    """Neurons that step over tokens or channels of frames: [T, B, C, H, W] with `dim` in front."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.lif = lif()
        self.head = nn.Linear(4 * 36, CLASSES)
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        made = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        spikes = self.lif(made.movedim(self.dim, 0)).movedim(0, self.dim)
        return self.head(spikes.flatten(2))


class SoftInTraining(nn.Module):
    """A soft step in training, a hard one in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(4 * (x - 1)) if self.training else (x > 1).to(x)


class SoftLIF(SoftInTraining):
    """The same, called as neurons are."""


class RoundedLIF(nn.Module):
    """Whole numbers, as many as fit."""

    def forward(self, x: Tensor) -> Tensor:
        return x + (x.clamp(min=0).round() - x).detach()


class ScaledLIF(OwnLIF):
    """Spikes of another height than 1."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.7 * super().forward(x)


class LastStep(nn.Module):
    """Something more at the last timestep."""

    def forward(self, x: Tensor) -> Tensor:
        last = torch.arange(len(x)) == len(x) - 1
        return x + last.to(x).view(-1, 1, 1)


class Cut(Net):
    """detach() in the network's own forward()."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.lif(self.fc1(x)).detach())


class Unused(Net):
    """A layer that isn't called."""

    def __init__(self) -> None:
        super().__init__(lif=lif())
        self.extra = nn.Linear(2, 2)


class Frozen(nn.Module):
    """A layer inside no_grad()."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            made = self.inner(x)
        return made.requires_grad_(torch.is_grad_enabled())


def hard(u: Tensor) -> Tensor:
    """A step without a derivative."""
    return (u > 0).to(u)


def flat(u: Tensor) -> Tensor:
    """A step whose derivative is 0 everywhere."""
    return (torch.sign(u) + 1) / 2


def by_dtype(x: Tensor) -> Tensor:
    """Another factor in double precision."""
    return x * (3.0 if x.dtype == torch.float64 else 1.0)


def net(**middle: nn.Module) -> Callable[[], nn.Module]:
    return lambda: Net(**middle)


def over(function: Callable[[Tensor], Tensor], name: str = "odd") -> Callable[[], nn.Module]:
    """A network with the function before its neurons."""
    return lambda: Net(**{name: Apply(function), "lif": lif()})


def own(**settings: object) -> Callable[[], nn.Module]:
    return lambda: Net(lif=OwnLIF(**settings))  # type: ignore[arg-type]


def over_batch() -> nn.Module:
    return Net(norm=Statistics(), lif=lif())


class Statistics(nn.Module):
    """Batch norm that keeps no statistics, and so takes the batch's when it is evaluated."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(HIDDEN, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def attend_over_batch() -> nn.Module:
    attention = nn.MultiheadAttention(HIDDEN, 2, batch_first=True)
    return Net(attend=OverBatch(attention), lif=lif())


class OverBatch(nn.Module):
    """Attention whose batch is time."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.inner(x, x, x, need_weights=False)[0]
        return made


class InForward(Net):
    """Neurons written out in forward(), which step over channels: no module is called as one."""

    def forward(self, x: Tensor) -> Tensor:
        v, made = torch.zeros_like(x[..., 0]), []
        for x_c in self.fc1(x).unbind(-1):
            h = v / 2 + x_c
            s = Triangle.apply(h - 1)
            v = (1 - s) * h
            made.append(s)
        return self.fc2(torch.stack(made, dim=-1))


class Rarely(nn.Module):
    """Samples meet where a value is beyond what these inputs hold."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 1e3, x.mean(1, keepdim=True), x)
