"""Attention of spikes: no softmax, and products of zeros and ones. Tokens are the places of
[T, B, C, H, W]; each timestep attends to itself alone.

Neurons after attention fire at half the threshold, as published: no norm comes before them.
"""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from tempreg.models.layers import ConvNorm, ConvNormNeuron, NeuronFactory, NormFactory

SCALE = 0.125
"""Of attention's sums, whatever the width: the value of the published scripts."""


def projection(
    inputs: int, outputs: int, make_norm: NormFactory, *, joins: bool = False
) -> ConvNorm:
    """A linear map of each token, then a norm."""
    return ConvNorm(inputs, outputs, make_norm, kernel=1, joins=joins)


def by_head(x: Tensor, heads: int) -> Tensor:
    """[T, B, C, H, W] -> [T, B, heads, C // heads, H * W]."""
    tokens: Tensor = x.flatten(3).unflatten(2, (heads, -1))
    return tokens


@final
class SelfAttention(nn.Module):
    """Spiking self-attention (Zhou et al. 2022, arXiv 2209.15425).

        A = spike(scale (Q K^T) V),  y = spike(norm(W A))

    with spikes Q, K, V of the tokens. Of the two orders of the products, which give the same
    whole numbers, the cheaper is taken.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        half: float,
        make_neuron: NeuronFactory,
        make_norm: NormFactory,
    ) -> None:
        super().__init__()
        self.heads = heads
        for name in ("query", "key", "value"):
            unit = projection(width, width, make_norm)
            self.add_module(name, ConvNormNeuron(unit, make_neuron()))
        self.attention_neuron = make_neuron(v_threshold=half)
        self.out = ConvNormNeuron(projection(width, width, make_norm), make_neuron())

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, C, H, W] of as many tokens."""
        q, k, v = (
            by_head(self.get_submodule(name)(x), self.heads) for name in ("query", "key", "value")
        )
        channels, tokens = q.shape[-2:]
        across = k.transpose(-2, -1)
        summed = (v @ across) @ q if channels < tokens else v @ (across @ q)
        current = (summed * SCALE).flatten(2, 3).unflatten(3, x.shape[3:])
        made: Tensor = self.out(self.attention_neuron(current))
        return made


@final
class TokenAttention(nn.Module):
    """Q-K token attention (Zhou et al. 2024, arXiv 2403.16552).

        A = spike(sum of Q over a head's channels),  y = spike(norm(W (A * K)))

    so that queries choose tokens of the keys. All neurons run over time: the published script
    hands those after self-attention's projection timesteps and samples as one dimension.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        half: float,
        make_neuron: NeuronFactory,
        make_norm: NormFactory,
    ) -> None:
        super().__init__()
        self.heads = heads
        for name in ("query", "key"):
            unit = projection(width, width, make_norm)
            self.add_module(name, ConvNormNeuron(unit, make_neuron()))
        self.attention_neuron = make_neuron(v_threshold=half)
        self.out = ConvNormNeuron(projection(width, width, make_norm), make_neuron())

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, C, H, W] of as many tokens."""
        q, k = (by_head(self.get_submodule(name)(x), self.heads) for name in ("query", "key"))
        chosen = self.attention_neuron(q.sum(dim=3, keepdim=True)) * k
        made: Tensor = self.out(chosen.flatten(2, 3).unflatten(3, x.shape[3:]))
        return made


@final
class SpikeDrivenAttention(nn.Module):
    """Spike-driven self-attention (Yao et al. 2023, arXiv 2307.01694), of a membrane shortcut.

        y = x + norm(W (Q * spike(sum of K * V over tokens)))

    with Q, K, V spikes of spike(x): masks and sums, no product of numbers.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        half: float,
        make_neuron: NeuronFactory,
        make_norm: NormFactory,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.first_neuron = make_neuron()
        for name in ("query", "key", "value"):
            unit = projection(width, width, make_norm)
            self.add_module(name, ConvNormNeuron(unit, make_neuron()))
        self.attention_neuron = make_neuron(v_threshold=half)
        self.out = projection(width, width, make_norm, joins=True)

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, C, H, W] of as many tokens."""
        spikes = self.first_neuron(x)
        q, k, v = (
            by_head(self.get_submodule(name)(spikes), self.heads)
            for name in ("query", "key", "value")
        )
        masked = q * self.attention_neuron((k * v).sum(dim=4, keepdim=True))
        made: Tensor = x + self.out(masked.flatten(2, 3).unflatten(3, x.shape[3:]))
        return made
