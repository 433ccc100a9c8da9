"""Spiking transformers: `spikformer`, `spike_driven_transformer` and `qkformer`.

The published ones have SpikingJelly's neurons, which take in x / tau where ours take in x: with
v_threshold 2 for their 1, and half of their surrogate's steepness, ours are the same network.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, final

from torch import Tensor, nn

from tempreg.models.attention import (
    SelfAttention,
    SpikeDrivenAttention,
    TokenAttention,
    projection,
)
from tempreg.models.base import SpikingNetwork
from tempreg.models.layers import (
    ConvNorm,
    ConvNormNeuron,
    MaxPool,
    NeuronFactory,
    NormFactory,
    global_average,
)
from tempreg.models.recompute import Row
from tempreg.options import NetworkOptions, NeuronOptions
from tempreg.options.field import check_option

MLP_RATIO = 4
Attention = Callable[..., nn.Module]


@final
class Block(nn.Module):
    """x + attention(x), then x + two maps of each token, the first to four times the width.

    Each ends with neurons, so that whole numbers of spikes are added (Spikformer, QKFormer).
    """

    def __init__(
        self, attention: nn.Module, width: int, make_neuron: NeuronFactory, make_norm: NormFactory
    ) -> None:
        super().__init__()
        self.attention = attention
        sizes = (width, width * MLP_RATIO, width)
        self.mlp = nn.Sequential(
            *(
                ConvNormNeuron(projection(a, b, make_norm), make_neuron())
                for a, b in pairwise(sizes)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> the same shape."""
        x = x + self.attention(x)
        made: Tensor = x + self.mlp(x)
        return made


@final
class MembraneBlock(nn.Module):
    """As `Block`, but neurons come before each map, and currents are added."""

    def __init__(
        self, attention: nn.Module, width: int, make_neuron: NeuronFactory, make_norm: NormFactory
    ) -> None:
        super().__init__()
        self.attention = attention
        self.first_neuron = make_neuron()
        self.first = projection(width, width * MLP_RATIO, make_norm)
        self.second_neuron = make_neuron()
        self.second = projection(width * MLP_RATIO, width, make_norm, joins=True)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> the same shape."""
        x = self.attention(x)
        hidden = self.first.spikes(self.first_neuron(x), self.second_neuron, x.shape[0])
        made: Tensor = x + self.second(hidden)
        return made


class Transformer(SpikingNetwork):
    """What spiking transformers share: their sizes. Subclass it, and define `classify`.

    Args:
        width: channels of a token, a multiple of 8 and of heads.
        depth: blocks, >= 1.
        heads: of attention, >= 1.
        input_size: accepted and unused: any will do.
        common: see `SpikingNetwork`.
    """

    def __init__(
        self, *, width: int, depth: int, heads: int, input_size: object = None, **common: Any
    ) -> None:
        super().__init__(**common)
        for name, value in (("width", width), ("depth", depth), ("heads", heads)):
            check_option(NetworkOptions, name, value)
        if width % 8 or width % heads:
            raise ValueError(
                f"width must be a multiple of 8 and of heads, got {width} and {heads} heads"
            )
        self.width = width
        self.attention_threshold = common.get("v_threshold", NeuronOptions.v_threshold) / 2

    def unit(
        self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1
    ) -> ConvNormNeuron:
        """A convolution, norm and neurons."""
        unit = ConvNorm(inputs, outputs, self.make_norm, kernel=kernel, stride=stride)
        return ConvNormNeuron(unit, self.make_neuron())

    def attention(self, kind: Attention, width: int, heads: int) -> nn.Module:
        """Attention of a kind, with this network's neurons and norms."""
        return kind(width, heads, self.attention_threshold, self.make_neuron, self.make_norm)


class FourStages(Transformer):
    """Tokens by four 3x3 convolutions, of an eighth, a quarter, half and all of the width, the last
    `poolings` of which halve H and W. Subclass it, and define `classify`.

    Args:
        poolings: in [0, 4].
        options: see `Transformer`.
    """

    def __init__(self, *, poolings: int, **options: Any) -> None:
        super().__init__(**options)
        check_option(NetworkOptions, "poolings", poolings)
        self.pooled = [stage >= 4 - poolings for stage in range(4)]
        eighth = self.width // 8
        self.stem = ConvNorm(self.in_channels, eighth, self.make_norm)
        self.stem_neuron = self.make_neuron()
        layers: list[nn.Module] = [MaxPool()] if self.pooled[0] else []
        for stage in (1, 2):
            layers.append(self.unit(eighth * stage, eighth * 2 * stage))
            layers += [MaxPool()] if self.pooled[stage] else []
        self.patches = Row(*layers)


@final
class Spikformer(FourStages):
    """Spikformer (Zhou et al. 2022, arXiv 2209.15425), as its scripts for CIFAR-10 have it: tokens
    of 4 x 4 pixels, 384 channels, 4 blocks, 12 heads; for event data they pool 4 times."""

    def __init__(
        self,
        *,
        width: int = 384,
        depth: int = 4,
        heads: int = 12,
        poolings: int = 2,
        **common: Any,
    ) -> None:
        super().__init__(width=width, depth=depth, heads=heads, poolings=poolings, **common)
        self.patches.append(self.unit(width // 2, width))
        if self.pooled[3]:
            self.patches.append(MaxPool())
        self.position = self.unit(width, width)
        self.blocks = Row(
            *(
                Block(
                    self.attention(SelfAttention, width, heads),
                    width,
                    self.make_neuron,
                    self.make_norm,
                )
                for _ in range(depth)
            )
        )
        self.head = nn.Linear(width, self.num_classes)

    def classify(self, spikes: Tensor) -> Tensor:
        """Logits [T, B, num_classes]."""
        tokens = self.patches(spikes)
        tokens = tokens + self.position(tokens)
        logits: Tensor = self.head(global_average(self.blocks(tokens)))
        return logits


@final
class SpikeDrivenTransformer(FourStages):
    """The spike-driven transformer's first version (Yao et al. 2023, arXiv 2307.01694), as its
    scripts for CIFAR-10 have it: 512 channels, 2 blocks, 8 heads. Currents are added, and neurons
    come before every convolution and the head. Without their dilation of masks for event data.
    """

    def __init__(
        self,
        *,
        width: int = 512,
        depth: int = 2,
        heads: int = 8,
        poolings: int = 2,
        **common: Any,
    ) -> None:
        super().__init__(width=width, depth=depth, heads=heads, poolings=poolings, **common)
        self.last_patch = ConvNorm(width // 2, width, self.make_norm, joins=True)
        self.last_pool: nn.Module = MaxPool() if self.pooled[3] else nn.Identity()
        self.position_neuron = self.make_neuron()
        self.position = ConvNorm(width, width, self.make_norm, joins=True)
        self.blocks = Row(
            *(
                MembraneBlock(
                    self.attention(SpikeDrivenAttention, width, heads),
                    width,
                    self.make_neuron,
                    self.make_norm,
                )
                for _ in range(depth)
            )
        )
        self.head_neuron = self.make_neuron()
        self.head = nn.Linear(width, self.num_classes)

    def classify(self, spikes: Tensor) -> Tensor:
        """Logits [T, B, num_classes]."""
        current = self.last_pool(self.last_patch(self.patches(spikes)))
        current = current + self.position(self.position_neuron(current))
        features = global_average(self.blocks(current))
        logits: Tensor = self.head(self.head_neuron(features))
        return logits


@final
class Halving(nn.Module):
    """Twice the channels on half of H and W: two convolutions, and a 1x1 one beside them."""

    def __init__(self, network: Transformer, width: int) -> None:
        super().__init__()
        self.first = network.unit(width // 2, width)
        self.second = ConvNorm(width, width, network.make_norm)
        self.pool = MaxPool()
        self.second_neuron = network.make_neuron()
        self.shortcut = network.unit(width // 2, width, kernel=1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, 2 C, H / 2, W / 2]."""
        made: Tensor = self.second_neuron(self.pool(self.second(self.first(x)))) + self.shortcut(x)
        return made


@final
class QKFormer(Transformer):
    """QKFormer (Zhou et al. 2024, arXiv 2403.16552), as its scripts for CIFAR have it: a block of
    token attention at full size and one at half, each with 1/4 and 1/2 of the width, then
    depth - 2 of self-attention; 384 channels, depth 4, 8 heads.

    In all blocks neurons run over time, unlike in those scripts (see `attention.TokenAttention`),
    with which this equals for a batch of one.
    """

    def __init__(self, *, width: int = 384, depth: int = 4, heads: int = 8, **common: Any) -> None:
        super().__init__(width=width, depth=depth, heads=heads, **common)
        quarter, half = width // 4, width // 2
        if depth < 3 or quarter % heads:
            raise ValueError(
                "qkformer has two blocks before its last stage, whose widths are a quarter and "
                "half of width: depth must be >= 3 and width a multiple of 4 x heads, got depth "
                f"{depth}, width {width} and {heads} heads"
            )
        self.stem = ConvNorm(self.in_channels, quarter // 2, self.make_norm)
        self.stem_neuron = self.make_neuron()
        self.second = self.unit(quarter // 2, quarter)
        self.shortcut = self.unit(quarter // 2, quarter, kernel=1)

        def block(kind: Attention, width: int) -> Block:
            attention = self.attention(kind, width, heads)
            return Block(attention, width, self.make_neuron, self.make_norm)

        self.body = Row(
            block(TokenAttention, quarter),
            Halving(self, half),
            block(TokenAttention, half),
            Halving(self, width),
            *(block(SelfAttention, width) for _ in range(depth - 2)),
        )
        self.head = nn.Linear(width, self.num_classes)

    def classify(self, spikes: Tensor) -> Tensor:
        """Logits [T, B, num_classes]."""
        tokens = self.second(spikes) + self.shortcut(spikes)
        logits: Tensor = self.head(global_average(self.body(tokens)))
        return logits
