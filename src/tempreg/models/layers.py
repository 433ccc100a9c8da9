"""Building blocks of spiking networks. Shapes: [T, B, C, H, W], time first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.models import fused
from tempreg.models.convolution import check_conv, convolved
from tempreg.models.norms import (
    FEW,
    NormOverTime,
    TemporalAccumulatedNorm,
    TemporalEffectiveNorm,
    TooFewValues,
)
from tempreg.models.padding import has_padding, of_real_rows
from tempreg.neurons import Layer, Neuron
from tempreg.ops.pool import average_pool_2x2

NeuronFactory = Callable[..., Layer]
"""Makes a layer of neurons; arguments are those of `Neuron` that differ from the network's."""
NormFactory = Callable[..., nn.Module]


def over_time(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a module of [N, ...] to [T, B, ...], with all timesteps as one batch.

    One timestep is taken out, for `flatten` of one image with channels last gives strides by which
    torch's gradient of batch norm is wrong.
    """
    if len(x) == 1:
        single: Tensor = module(x.squeeze(0)).unsqueeze(0)
        return single
    result: Tensor = module(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return result


def normalised(norm: nn.Module, x: Tensor) -> Tensor:
    """norm(x) of [N, C, H, W]; TooFewValues where it would divide by a spread of one value."""
    if isinstance(norm, nn.BatchNorm2d) and norm.training and x.numel() == x.shape[1]:
        raise TooFewValues(FEW)
    result: Tensor = of_real_rows(norm, x) if has_padding(norm) else norm(x)
    return result


@final
class TdBatchNorm2d(nn.BatchNorm2d):
    """Threshold-dependent batch norm: alpha * v_threshold * BN(x).

    Statistics run over time and batch; alpha is 1, and 1/sqrt(2) where two branches are
    added (Zheng et al. 2021, arXiv 2011.05280).
    """

    def __init__(self, channels: int, *, v_threshold: float, alpha: float) -> None:
        super().__init__(channels)
        self.gain = alpha * v_threshold

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        return super().forward(x) * self.gain


def norm_factory(kind: str, v_threshold: float, num_steps: int) -> NormFactory:
    """Makes the norm of a convolution: `norm(channels, joins=False)`; joins: feeds a sum.

    "bn" is batch norm, "tdbn" `TdBatchNorm2d`, "tebn" `TemporalEffectiveNorm`, "tab"
    `TemporalAccumulatedNorm`, "none" leaves the convolution as it is, which has a bias then.
    """
    if kind == "none":
        return lambda channels, joins=False: nn.Identity()
    if kind == "bn":
        return lambda channels, joins=False: nn.BatchNorm2d(channels)
    if kind == "tdbn":
        return lambda channels, joins=False: TdBatchNorm2d(
            channels, v_threshold=v_threshold, alpha=1 / math.sqrt(2) if joins else 1.0
        )
    if kind == "tebn":
        return lambda channels, joins=False: TemporalEffectiveNorm(channels, num_steps)
    if kind == "tab":
        return lambda channels, joins=False: TemporalAccumulatedNorm(channels, num_steps)
    raise ValueError(f"unknown norm {kind!r}: choose one of bn, tdbn, tebn, tab, none")


@final
class ConvNorm(nn.Module):
    """Convolution without bias, then batch norm over time and batch; or, with the norm "none",
    a convolution with bias.

    Input [T, B, C_in, H, W], output [T, B, C_out, H', W']. Padding keeps H and W at stride 1.

    Attributes:
        way: how the convolution runs: "auto", "dense" or "sparse"; see `convolution`.
    """

    way: str = "dense"

    def __init__(
        self,
        in_channels: int,
        channels: int,
        norm: NormFactory,
        *,
        kernel: int = 3,
        stride: int = 1,
        joins: bool = False,
    ) -> None:
        super().__init__()
        after = norm(channels, joins)
        self.conv = nn.Conv2d(
            in_channels,
            channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            bias=isinstance(after, nn.Identity),
        )
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        self.norm = after
        self.timed = isinstance(after, NormOverTime)

    def forward(self, x: Tensor) -> Tensor:
        """Input current of the neurons that follow."""
        return self._normal(self._convolved(x))

    def _convolved(self, x: Tensor) -> Tensor:
        return over_time(lambda frames: convolved(self.conv, frames, self.way), x)

    def _normal(self, current: Tensor) -> Tensor:
        if self.timed:
            made: Tensor = self.norm(current)
            return made
        return over_time(lambda frames: normalised(self.norm, frames), current)

    def shown(self, x: Tensor, steps: int) -> Tensor:
        """self(x) of `steps` timesteps, of x of as many, or of one that is shown at all."""
        return self(shown(x, steps)) if self.timed else shown(self(x), steps)

    def spikes(self, x: Tensor, neuron: Layer, steps: int) -> Tensor:
        """neuron(self(x)), over `steps` timesteps; x has as many, or one that is shown at all.

        Norm and neurons run in one pass where that makes no other difference; see `fused`.
        """
        if not fused.unobserved(self, self.norm, neuron):
            return neuron(self.shown(x, steps))
        current = self._convolved(x)
        norm = self.norm
        if (
            isinstance(norm, nn.BatchNorm2d)
            and type(norm) in (nn.BatchNorm2d, TdBatchNorm2d)
            and isinstance(neuron, Neuron)
            and not has_padding(norm)
            and fused.applies(current, norm, neuron, steps)
        ):
            gain = getattr(norm, "gain", 1.0)
            return fused.normed_spikes(current, norm, gain, neuron, steps)
        if self.timed:
            return neuron(self._normal(shown(current, steps)))
        return neuron(shown(self._normal(current), steps))


def choose_convolutions(model: nn.Module, conv: str) -> None:
    """Let the convolutions of every `ConvNorm` in `model` run as `conv` says; see `convolution`.

    ValueError for an unknown name, or where "sparse" is asked for and there is none of them;
    BackendUnavailable where it can't run.
    """
    check_conv(conv)
    units = [module for module in model.modules() if isinstance(module, ConvNorm)]
    if conv == "sparse" and not units:
        raise ValueError(
            "conv sparse is for networks by name, and others of tempreg.models.layers.ConvNorm, of "
            f"which {type(model).__name__} has none: leave it out"
        )
    for unit in units:
        unit.way = conv


def shown(current: Tensor, steps: int) -> Tensor:
    """[steps or 1, ...] -> [steps, ...], without a copy."""
    return current if len(current) == steps else current.expand(steps, *current.shape[1:])


@final
class Dropout(nn.Dropout):
    """Dropout of [T, B, F] that can be drawn for a larger batch, of which this is a part.

    Attributes:
        joint: (N, rows): the mask is drawn for N samples, and the B samples are those at `rows`
            (int64 [B]). So each process that trains on its share of a batch drops what one
            process would that has them all. None: for these samples alone.
        span: (start, T): the mask is drawn for T timesteps, of which these are those from `start`
            on. None: for these timesteps alone.
    """

    joint: tuple[int, Tensor] | None = None
    span: tuple[int, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        if (self.joint is None and self.span is None) or not self.training or self.p == 0:
            return super().forward(x)
        start, steps = self.span or (0, len(x))
        samples = x.shape[1] if self.joint is None else self.joint[0]
        mask = x.new_empty(steps, samples, *x.shape[2:]).bernoulli_(1 - self.p).div_(1 - self.p)
        mine = mask[start : start + len(x)]
        return x * (mine if self.joint is None else mine[:, self.joint[1].to(x.device)])


@final
class ConvNormNeuron(nn.Module):
    """`ConvNorm`, then spiking neurons."""

    def __init__(self, unit: ConvNorm, neuron: Layer) -> None:
        super().__init__()
        self.unit = unit
        self.neuron = neuron

    def forward(self, x: Tensor) -> Tensor:
        """Spikes."""
        return self.unit.spikes(x, self.neuron, x.shape[0])


@final
class MaxPool(nn.Module):
    """3x3 max pooling at stride 2; spikes stay spikes, and H and W are halved, rounding up."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> the same with half of H and W."""
        return over_time(lambda frames: F.max_pool2d(frames, 3, stride=2, padding=1), x)


def average_pool(x: Tensor) -> Tensor:
    """2x2 average pooling of [T, B, C, H, W]; the result is no longer binary."""
    return over_time(average_pool_2x2, x)


def global_average(x: Tensor) -> Tensor:
    """[T, B, C, H, W] -> [T, B, C]."""
    return x.mean(dim=(-2, -1))
