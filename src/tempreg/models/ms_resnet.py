"""MS-ResNet: residual networks that add currents, `ms_resnet18`."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor, nn
from typing_extensions import override

from tempreg.models.base import SpikingNetwork
from tempreg.models.layers import ConvNorm, NeuronFactory, NormFactory, global_average
from tempreg.models.recompute import Row
from tempreg.options import NetworkOptions
from tempreg.options.field import check_option


@final
class MembraneShortcut(nn.Module):
    """Twice neurons, convolution and norm; the input current is added, through a 1x1 convolution
    and a norm where shapes change."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        make_neuron: NeuronFactory,
        make_norm: NormFactory,
    ) -> None:
        super().__init__()
        self.first_neuron = make_neuron()
        self.first = ConvNorm(in_channels, channels, make_norm, stride=stride)
        self.second_neuron = make_neuron()
        self.second = ConvNorm(channels, channels, make_norm, joins=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.shortcut = ConvNorm(
                in_channels, channels, make_norm, kernel=1, stride=stride, joins=True
            )

    def forward(self, x: Tensor) -> Tensor:
        """Currents in, currents out: [T, B, C, H, W]."""
        hidden = self.first.spikes(self.first_neuron(x), self.second_neuron, x.shape[0])
        current: Tensor = self.second(hidden) + self.shortcut(x)
        return current


@final
class MSResNet18(SpikingNetwork):
    """MS-ResNet-18 (Hu et al. 2021, arXiv 2112.08954): 7x7/2 stem, four stages of two blocks, each
    beginning with stride 2, neurons, linear head.

    Norms start at 1; the published ones start at the threshold, and the last of each block at 0.

    Args:
        width: channels of the stem and the first stage; each further stage has twice as many.
        input_size: accepted and unused: any will do.
        common: see `SpikingNetwork`.
    """

    def __init__(self, *, width: int = 64, input_size: object = None, **common: Any) -> None:
        super().__init__(**common)
        check_option(NetworkOptions, "width", width)
        self.stem = ConvNorm(self.in_channels, width, self.make_norm, kernel=7, stride=2)
        blocks: list[nn.Module] = []
        before = width
        for stage in range(4):
            for stride in (2, 1):
                make = (self.make_neuron, self.make_norm)
                blocks.append(MembraneShortcut(before, width * 2**stage, stride, *make))
                before = width * 2**stage
        self.body = Row(*blocks)
        self.head_neuron = self.make_neuron()
        self.head = nn.Linear(before, self.num_classes)

    @override
    def embed(self, frames: Tensor, steps: int) -> Tensor:
        return self.stem.shown(frames, steps)

    def classify(self, spikes: Tensor) -> Tensor:
        """Logits [T, B, num_classes], from the stem's currents."""
        features = global_average(self.head_neuron(self.body(spikes)))
        logits: Tensor = self.head(features)
        return logits
