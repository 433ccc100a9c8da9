"""Plain convolutional networks: `csnn`, small, and `vggsnn`, as published for event data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from tempreg.models.base import SpikingNetwork, spatial_size
from tempreg.models.layers import ConvNorm, ConvNormNeuron, Dropout, average_pool

VGGSNN_LAYERS = (64, 128, "P", 256, 256, "P", 512, 512, "P", 512, 512, "P")
Layers = Sequence[int | str]


class AveragePool(nn.Module):
    """2x2 average pooling after spikes. Final."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C, H // 2, W // 2]."""
        return average_pool(x)


class PlainNetwork(SpikingNetwork):
    """3x3 conv-BN-neuron layers and poolings in a row, then a linear head. Subclass to name one.

    Args:
        layers: channel counts, with "P" for 2x2 average pooling after the spikes; the first is
            a channel count.
        input_size: H = W, or (H, W); each pooling halves it, rounding down.
        dropout: in [0, 1), before the head.
        common: see `SpikingNetwork`.
    """

    def __init__(
        self,
        layers: Layers,
        *,
        input_size: int | tuple[int, int] | None,
        dropout: float = 0.0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        height, width = spatial_size(input_size, type(self).__name__.lower())
        first, *rest = layers
        if not isinstance(first, int):
            raise ValueError(f"the first layer must be a channel count, got {first!r}")
        self.stem = ConvNorm(self.in_channels, first, self.make_norm)
        self.stem_neuron = self.make_neuron()
        body: list[nn.Module] = []
        channels = first
        for layer in rest:
            if isinstance(layer, int):
                unit = ConvNorm(channels, layer, self.make_norm)
                body.append(ConvNormNeuron(unit, self.make_neuron()))
                channels = layer
            elif layer == "P":
                body.append(AveragePool())
                height, width = height // 2, width // 2
            else:
                raise ValueError(f"a layer must be a channel count or 'P', got {layer!r}")
        if height < 1 or width < 1:
            raise ValueError(
                f"input_size {input_size!r} is too small for the {layers.count('P')} poolings of "
                f"{type(self).__name__.lower()}"
            )
        self.body = nn.Sequential(*body)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(channels * height * width, self.num_classes)

    def classify(self, spikes: Tensor) -> Tensor:
        """Logits [T, B, num_classes]."""
        features = self.body(spikes).flatten(2)
        logits: Tensor = self.head(self.dropout(features))
        return logits


class CSNN(PlainNetwork):
    """A small network: by default 32 P 64 P 128 P. Final.

    Args:
        channels: one layer with pooling each; see `PlainNetwork` for the rest.
    """

    def __init__(self, *, channels: Sequence[int] = (32, 64, 128), **options: Any) -> None:
        if not channels or min(channels) < 1:
            raise ValueError(f"csnn needs at least one channel count >= 1, got {channels!r}")
        layers = [layer for count in channels for layer in (int(count), "P")]
        super().__init__(layers, **options)


class VGGSNN(PlainNetwork):
    """64, 128 P, 256, 256 P, 512, 512 P, 512, 512 P (Deng et al. 2022). Final."""

    def __init__(self, **options: Any) -> None:
        super().__init__(VGGSNN_LAYERS, **options)
