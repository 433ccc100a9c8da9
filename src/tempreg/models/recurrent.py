"""`rsnn`: dense layers of recurrent neurons, for input without places, as sound."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, final

from torch import Tensor, nn
from typing_extensions import override

from tempreg.models.base import SpikingNetwork, spatial_size
from tempreg.models.layers import Dropout, NormFactory, normalised, over_time, shown
from tempreg.models.norms import NormOverTime
from tempreg.models.recompute import if_wanted
from tempreg.neurons import RecurrentLIF
from tempreg.options import NetworkOptions, NeuronOptions
from tempreg.options.field import check_option

HIDDEN = (128, 128)
_CONSTANTS = ("tau", "v_threshold", "v_reset", "surrogate", "surrogate_param", "detach_reset")


@final
class LinearNorm(nn.Module):
    """A linear layer without bias, then a norm; with the norm "none", a linear layer with bias."""

    def __init__(self, inputs: int, outputs: int, make_norm: NormFactory) -> None:
        super().__init__()
        after = make_norm(outputs)
        self.linear = nn.Linear(inputs, outputs, bias=isinstance(after, nn.Identity))
        self.norm = after
        self.timed = isinstance(after, NormOverTime)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, F] -> [T, B, F']."""
        if isinstance(self.norm, nn.Identity):
            plain: Tensor = self.linear(x)
            return plain
        current: Tensor = self.linear(x)[..., None, None]
        if self.timed:
            made: Tensor = self.norm(current).flatten(2)
            return made
        return over_time(lambda rows: normalised(self.norm, rows), current).flatten(2)


@final
class RSNN(SpikingNetwork):
    """Dense layers of `RecurrentLIF`, whose spikes come back a timestep later, and a linear head.

    Recurrent weights start as half an orthogonal matrix: what comes back neither grows nor is gone
    at once.

    Args:
        channels: neurons of each layer, None for (128, 128).
        input_size: H = W, or (H, W); frames are flattened.
        dropout: in [0, 1), before the head.
        recurrent: whether spikes come back; else layers have the neurons that `neuron` names.
        neuron: "lif" where they come back: recurrent neurons are of this kind.
        common: see `SpikingNetwork`.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] | None = None,
        input_size: int | tuple[int, int] | None,
        dropout: float = NetworkOptions.dropout,
        recurrent: bool = NetworkOptions.recurrent,
        neuron: str = NeuronOptions.neuron,
        **common: Any,
    ) -> None:
        super().__init__(neuron=neuron, **common)
        check_option(NetworkOptions, "channels", channels, "rsnn's channels")
        check_option(NetworkOptions, "dropout", dropout)
        if recurrent and neuron != "lif":
            raise ValueError(
                f"rsnn's recurrent neurons are LIF, got {neuron}: set neuron to lif, or recurrent "
                "to false for layers without recurrent weights"
            )
        backend = common.get("backend", "auto")
        if recurrent and backend not in ("auto", "reference"):
            raise ValueError(
                f"rsnn's recurrent neurons have the backends auto and reference, got {backend!r}"
            )
        height, width = spatial_size(input_size, "rsnn")
        sizes = [self.in_channels * height * width, *(HIDDEN if channels is None else channels)]
        self.layers = nn.ModuleList()
        self.neurons = nn.ModuleList()
        for inputs, outputs in pairwise(sizes):
            self.layers.append(LinearNorm(inputs, outputs, self.make_norm))
            self.neurons.append(_echoing(outputs, common) if recurrent else self.make_neuron())
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(sizes[-1], self.num_classes)

    @override
    def embed(self, frames: Tensor, steps: int) -> Tensor:
        first: Any = self.layers[0]
        flat = frames.flatten(2)
        made: Tensor = first(shown(flat, steps)) if first.timed else shown(first(flat), steps)
        return made

    def classify(self, spikes: Tensor) -> Tensor:
        """Logits [T, B, num_classes], from the first layer's currents."""
        x = if_wanted(self, self.neurons[0], spikes)
        for layer, neurons in zip(self.layers[1:], self.neurons[1:], strict=True):
            x = if_wanted(self, partial(_charged, layer, neurons), x)
        logits: Tensor = self.head(self.dropout(x))
        return logits


def _charged(layer: nn.Module, neurons: nn.Module, x: Tensor) -> Tensor:
    made: Tensor = neurons(layer(x))
    return made


def _echoing(features: int, common: dict[str, Any]) -> RecurrentLIF:
    layer = RecurrentLIF(features, **{k: v for k, v in common.items() if k in _CONSTANTS})
    nn.init.orthogonal_(layer.recurrent.weight, gain=0.5)
    nn.init.zeros_(layer.recurrent.bias)
    return layer
