"""Residual networks: `resnet19` (Zheng et al. 2021) and SEW ResNets (Fang et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.models.base import SpikingNetwork
from tempreg.models.layers import (
    ConvNorm,
    ConvNormNeuron,
    NeuronFactory,
    NormFactory,
    global_average,
    over_time,
)
from tempreg.models.recompute import Row


@final
class BasicBlock(nn.Module):
    """conv-BN-neuron, conv-BN, add the shortcut, neuron.

    The shortcut is 1x1 conv-BN where shapes change, else the input.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        make_neuron: NeuronFactory,
        make_norm: NormFactory,
    ) -> None:
        super().__init__()
        first = ConvNorm(in_channels, channels, make_norm, stride=stride)
        self.first = ConvNormNeuron(first, make_neuron())
        self.second = ConvNorm(channels, channels, make_norm, joins=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = ConvNorm(
                in_channels, channels, make_norm, kernel=1, stride=stride, joins=True
            )
        self.neuron = make_neuron()

    def forward(self, x: Tensor) -> Tensor:
        """Spikes in, spikes out: [T, B, C, H, W]."""
        spikes: Tensor = self.neuron(self.second(self.first(x)) + self.shortcut(x))
        return spikes


@final
class SEWBlock(nn.Module):
    """Two conv-BN-neuron, then the shortcut is added to the spikes (ADD).

    Where shapes change, the shortcut is 1x1 conv-BN-neuron. Outputs are whole numbers, not
    only 0 and 1.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        make_neuron: NeuronFactory,
        make_norm: NormFactory,
    ) -> None:
        super().__init__()

        def unit(inputs: int, stride: int, kernel: int) -> ConvNormNeuron:
            conv = ConvNorm(inputs, channels, make_norm, kernel=kernel, stride=stride)
            return ConvNormNeuron(conv, make_neuron())

        self.first = unit(in_channels, stride, 3)
        self.second = unit(channels, 1, 3)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = unit(in_channels, stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C', H', W']."""
        spikes: Tensor = self.second(self.first(x)) + self.shortcut(x)
        return spikes


def _stages(
    block: type[BasicBlock] | type[SEWBlock],
    in_channels: int,
    stages: Sequence[tuple[int, int, int]],
    make_neuron: NeuronFactory,
    make_norm: NormFactory,
) -> Row:
    """Blocks for each (channels, number of blocks, first stride)."""
    blocks: list[nn.Module] = []
    for channels, count, first_stride in stages:
        for index in range(count):
            stride = first_stride if index == 0 else 1
            blocks.append(block(in_channels, channels, stride, make_neuron, make_norm))
            in_channels = channels
    return Row(*blocks)


@final
class ResNet19(SpikingNetwork):
    """Stem of 64; 3 blocks of 128, 3 of 256 and 2 of 512; linear 256 with neurons; head.

    Any input size; see `SpikingNetwork` for the arguments. `input_size` is accepted and unused.
    """

    def __init__(self, *, input_size: int | tuple[int, int] | None = None, **common: Any) -> None:
        super().__init__(**common)
        self.stem = ConvNorm(self.in_channels, 64, self.make_norm)
        self.stem_neuron = self.make_neuron()
        stages = ((128, 3, 1), (256, 3, 2), (512, 2, 2))
        self.body = _stages(BasicBlock, 64, stages, self.make_neuron, self.make_norm)
        self.hidden = nn.Linear(512, 256)
        self.hidden_neuron = self.make_neuron()
        self.head = nn.Linear(256, self.num_classes)

    def classify(self, spikes: Tensor) -> Tensor:
        """Logits [T, B, num_classes]."""
        features = global_average(self.body(spikes))
        logits: Tensor = self.head(self.hidden_neuron(self.hidden(features)))
        return logits


class SEWResNet(SpikingNetwork):
    """7x7/2 stem of 64, 3x3/2 max pooling, four stages of SEW blocks, linear head.

    Args:
        depths: blocks in each of the four stages.
        common: see `SpikingNetwork`. `input_size` is accepted and unused.
    """

    def __init__(
        self,
        depths: Sequence[int],
        *,
        input_size: int | tuple[int, int] | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.stem = ConvNorm(self.in_channels, 64, self.make_norm, kernel=7, stride=2)
        self.stem_neuron = self.make_neuron()
        stages = [(64 * 2**i, depth, 1 if i == 0 else 2) for i, depth in enumerate(depths)]
        self.body = _stages(SEWBlock, 64, stages, self.make_neuron, self.make_norm)
        self.head = nn.Linear(stages[-1][0], self.num_classes)

    def classify(self, spikes: Tensor) -> Tensor:
        """Logits [T, B, num_classes]."""
        pooled = over_time(lambda frames: F.max_pool2d(frames, 3, stride=2, padding=1), spikes)
        logits: Tensor = self.head(global_average(self.body(pooled)))
        return logits


@final
class SEWResNet18(SEWResNet):
    """[2, 2, 2, 2] blocks."""

    def __init__(self, **options: Any) -> None:
        super().__init__((2, 2, 2, 2), **options)


@final
class SEWResNet34(SEWResNet):
    """[3, 4, 6, 3] blocks."""

    def __init__(self, **options: Any) -> None:
        super().__init__((3, 4, 6, 3), **options)
