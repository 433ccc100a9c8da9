"""What all networks share: the input's layouts and the neurons and norms they are made with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from tempreg.models.layers import ConvNorm, NeuronFactory, NormFactory, norm_factory
from tempreg.neurons import IF, LIF, PLIF, Neuron

NEURONS = ("lif", "plif", "if")


def neuron_factory(kind: str, tau: float, **settings: Any) -> NeuronFactory:
    """Makes one layer's neurons: `kind` is "lif", "plif" or "if" (for which tau must be 1)."""
    if kind == "lif":
        return lambda: LIF(tau=tau, **settings)
    if kind == "plif":
        return lambda: PLIF(tau=tau, **settings)
    if kind == "if":
        if tau != 1:
            raise ValueError(f"neuron 'if' never leaks: set tau=1 (got {tau!r}), or use 'lif'")
        return lambda: IF(**settings)
    raise ValueError(f"unknown neuron {kind!r}: choose one of {', '.join(NEURONS)}")


class SpikingNetwork(nn.Module, ABC):
    """A spiking image or event-frame classifier. Subclass it, set `stem`
    and `stem_neuron`, define `classify`.

    Input is [B, C, H, W], shown at each of `num_steps` timesteps, or [T, B, C, H, W] with any
    T >= 1; output is the logits of each timestep [T, B, num_classes]. A static input passes
    the stem's convolution and norm once, for all timesteps would give the same (running
    statistics then count B rather than T * B images, which changes the unbiased running
    variance by under 1 / (B H W)).

    Keyword arguments, common to all networks: those of `tempreg.create_model`, and
        neuron: "lif", "plif" or "if".
        norm: "bn", "tdbn" for threshold-dependent batch norm, or "none".
        detach_reset, backend: see `tempreg.LIF`.
    """

    stem: ConvNorm
    stem_neuron: Neuron

    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        num_steps: int,
        tau: float = 2.0,
        v_threshold: float = 1.0,
        v_reset: float | None = 0.0,
        surrogate: str = "triangle",
        surrogate_param: float = 1.0,
        neuron: str = "lif",
        norm: str = "bn",
        detach_reset: bool = False,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        for name, value in (
            ("num_classes", num_classes),
            ("in_channels", in_channels),
            ("num_steps", num_steps),
        ):
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        self.num_classes, self.in_channels, self.num_steps = num_classes, in_channels, num_steps
        self.make_neuron: NeuronFactory = neuron_factory(
            neuron,
            tau,
            v_threshold=v_threshold,
            v_reset=v_reset,
            surrogate=surrogate,
            surrogate_param=surrogate_param,
            detach_reset=detach_reset,
            backend=backend,
        )
        self.make_norm: NormFactory = norm_factory(norm, v_threshold)

    @abstractmethod
    def classify(self, spikes: Tensor) -> Tensor:
        """Logits [T, B, num_classes] from the stem's spikes [T, B, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits [T, B, num_classes]; ValueError where the input's shape doesn't fit."""
        if x.ndim not in (4, 5) or x.shape[-3] != self.in_channels:
            raise ValueError(
                f"{type(self).__name__} takes [B, {self.in_channels}, H, W] or "
                f"[T, B, {self.in_channels}, H, W], got shape {[*x.shape]}"
            )
        shown, steps = (x.unsqueeze(0), self.num_steps) if x.ndim == 4 else (x, x.shape[0])
        return self.classify(self.stem.spikes(shown, self.stem_neuron, steps))

    def __getstate__(self) -> dict[str, Any]:
        """Without the factories, which only the constructor needs and pickle can't hold."""
        state = dict(self.__dict__)
        return {k: v for k, v in state.items() if k not in ("make_neuron", "make_norm")}


def spatial_size(input_size: int | tuple[int, int] | None, network: str) -> tuple[int, int]:
    """(H, W) from an edge length or a pair; ValueError where a network needs one and has none."""
    if input_size is None:
        raise ValueError(
            f"{network} has a fixed-size classifier: give input_size, as 48 or (48, 48)"
        )
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    if height < 1 or width < 1:
        raise ValueError(f"input_size must be positive, got {input_size!r}")
    return height, width
