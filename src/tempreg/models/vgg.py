"""Plain convolutional networks: `csnn`, small, and `vggsnn`, as published for event data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from torch import Tensor, nn

from tempreg.models.base import SpikingNetwork, spatial_size
from tempreg.models.layers import ConvNorm, ConvNormNeuron, Dropout, average_pool
from tempreg.models.recompute import Row
from tempreg.options import NetworkOptions
from tempreg.options.field import check_option

VGGSNN_WIDTH = 64
VGGSNN_LAYERS = (VGGSNN_WIDTH, 128, "P", 256, 256, "P", 512, 512, "P", 512, 512, "P")
CSNN_CHANNELS = (32, 64, 128)
Layers = Sequence[int | str]


@final
class AveragePool(nn.Module):
    """2x2 average pooling after spikes."""

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
        dropout: float = NetworkOptions.dropout,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        check_option(NetworkOptions, "dropout", dropout)
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
        self.body = Row(*body)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(channels * height * width, self.num_classes)

    def classify(self, spikes: Tensor) -> Tensor:
        """Logits [T, B, num_classes]."""
        features = self.body(spikes).flatten(2)
        logits: Tensor = self.head(self.dropout(features))
        return logits


@final
class CSNN(PlainNetwork):
    """A small network: by default 32 P 64 P 128 P.

    Args:
        channels: one layer with pooling each, None for those; see `PlainNetwork` for the rest.
    """

    def __init__(self, *, channels: Sequence[int] | None = None, **options: Any) -> None:
        check_option(NetworkOptions, "channels", channels, "csnn's channels")
        counts = CSNN_CHANNELS if channels is None else channels
        layers = [layer for count in counts for layer in (int(count), "P")]
        super().__init__(layers, **options)


@final
class VGGSNN(PlainNetwork):
    """64, 128 P, 256, 256 P, 512, 512 P, 512, 512 P (Deng et al. 2022), or narrower.

    Args:
        width: channels of the first layer, to which the others keep their proportions, >= 8; see
            `PlainNetwork` for the rest.
    """

    def __init__(self, *, width: int = VGGSNN_WIDTH, **options: Any) -> None:
        check_option(NetworkOptions, "width", width)
        layers = [n if isinstance(n, str) else n * width // VGGSNN_WIDTH for n in VGGSNN_LAYERS]
        super().__init__(layers, **options)
