"""What all networks share: the input's layouts and the neurons and norms they are made with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from torch import Tensor, nn
from typing_extensions import Unpack

from tempreg.models.layers import ConvNorm, NeuronFactory, NormFactory, norm_factory
from tempreg.models.padding import held, lengths_of, only
from tempreg.models.readout import make_readout
from tempreg.models.recompute import if_wanted
from tempreg.neurons import Layer
from tempreg.neurons.equations import ALIF, CubaLIF, ThresholdLIF
from tempreg.neurons.lif import IF, LIF, PLIF, Neuron
from tempreg.neurons.parallel import PSN, MaskedPSN, SlidingPSN
from tempreg.neurons.steps import StepNeuron
from tempreg.options.keywords import passes_on_to
from tempreg.options.neuron import (
    CONSTANTS_OF,
    LayerKeywords,
    NetworkOptions,
    NeuronKeywords,
    NeuronOptions,
    StepOptions,
)


def _never_leaking(*, tau: float, **settings: Unpack[NeuronKeywords]) -> IF:
    if tau != 1:
        raise ValueError(f"neuron 'if' never leaks: set tau=1 (got {tau!r}), or use 'lif'")
    return IF(**settings)


def _learning_its_threshold(*, tau: float, backend: str, **constants: Any) -> ThresholdLIF:
    return ThresholdLIF(tau=tau, **constants)  # autograd's loop, which is "reference", alone


NEURONS: dict[str, Callable[..., Neuron | StepNeuron]] = {
    "lif": LIF,
    "plif": PLIF,
    "if": _never_leaking,
}
"""By the names that networks take; each is made with tau and the arguments of `Neuron`."""
STEPPED: dict[str, Callable[..., StepNeuron]] = {
    "alif": ALIF,
    "cuba": CubaLIF,
    "threshold": _learning_its_threshold,
}
"""Those of other equations, whose backend is "auto" or "reference"; each is made with its own of
`StepOptions`, too. `RecurrentLIF` is none: it joins the features of a vector, and these are maps.
"""
PARALLEL: dict[str, Callable[..., Layer]] = {
    "psn": PSN,
    "masked_psn": MaskedPSN,
    "sliding_psn": lambda num_steps, **settings: SlidingPSN(**settings),
}
"""Those without leak and reset; each is made with T, its threshold and surrogate, and an order."""


def neuron_factory(
    kind: str, tau: float, num_steps: int, **settings: Unpack[LayerKeywords]
) -> NeuronFactory:
    """Makes one layer's neurons, for a network of num_steps: `kind` is of `NEURONS` ("if" wants a
    tau of 1), `STEPPED` or `PARALLEL`.

    ValueError for another, or for a constant or a backend that it doesn't have.
    """
    known = (*NEURONS, *STEPPED, *PARALLEL)
    if kind not in known:
        raise ValueError(f"unknown neuron {kind!r}: choose one of {', '.join(known)}")
    given: dict[str, Any] = dict(settings)
    for item in fields(StepOptions):
        if kind in CONSTANTS_OF[item.name]:
            continue
        if (value := given.pop(item.name, item.default)) != item.default:
            users = " and ".join(CONSTANTS_OF[item.name])
            raise ValueError(
                f"{item.name} {value} is a constant of the neuron {users}, and this network's is "
                f"{kind}: leave it out, or change the neuron"
            )
    if kind in NEURONS:
        return lambda **changed: NEURONS[kind](tau=tau, **{**given, **changed})
    backend = given.setdefault("backend", "auto")
    if backend not in ("auto", "reference"):
        raise ValueError(f"the neuron {kind} has the backends auto and reference, got {backend!r}")
    if kind in STEPPED:
        return lambda **changed: STEPPED[kind](tau=tau, **{**given, **changed})
    del given["backend"]
    for name in ("tau", "v_reset", "detach_reset"):
        usual = getattr(NeuronOptions, name)
        value = tau if name == "tau" else given.pop(name, usual)
        if value != usual:
            raise ValueError(
                f"the neuron {kind} neither leaks nor is reset, so it has no {name}: leave it at "
                f"{usual}, got {value}"
            )
    return lambda **changed: PARALLEL[kind](num_steps=num_steps, **{**given, **changed})


class SpikingNetwork(nn.Module, ABC):
    """A spiking image or event-frame classifier. Subclass it, set `stem`
    and `stem_neuron`, define `classify`; or, where no neurons follow a first convolution, `embed`.

    Input is [B, C, H, W], shown at each of `num_steps` timesteps, or [T, B, C, H, W] with any
    T >= 1; output is the logits of each timestep [T, B, num_classes]. A static input passes
    the stem's convolution and norm once, for all timesteps would give the same (running
    statistics then count B rather than T * B images, which changes the unbiased running
    variance by under 1 / (B H W)).

    Keyword arguments, common to all networks: those of `tempreg.create_model`, and
        neuron: "lif", "plif", "if", "alif", "cuba", "threshold", "psn", "masked_psn" or
            "sliding_psn"; see `tempreg.neurons`.
        rho, jump: of "alif"; tau_syn: of "cuba"; order: of "masked_psn" and "sliding_psn".
        norm: "bn", "tdbn" for threshold-dependent batch norm, "tebn" and "tab" for those that know
            the timestep (see `tempreg.models.norms`), or "none".
        readout: "logits", "membrane", "last" or "attention"; see `tempreg.models.readout`.
        detach_reset, backend: see `tempreg.LIF`.
    """

    padded: bool = False
    """Whether inputs hold sequences of unequal length; see `tempreg.models.padding`."""
    recomputes: bool = False
    """Whether the backward pass computes layers again; see `tempreg.models.recompute`."""
    stem: ConvNorm
    stem_neuron: Layer

    @passes_on_to(StepOptions)
    @passes_on_to(Neuron.__init__)
    def __init__(
        self,
        *,
        num_classes: int,
        in_channels: int,
        num_steps: int,
        tau: float = NeuronOptions.tau,
        neuron: str = NeuronOptions.neuron,
        norm: str = NeuronOptions.norm,
        readout: str = NetworkOptions.readout,
        **keywords: Unpack[LayerKeywords],
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
        self.make_neuron: NeuronFactory = neuron_factory(neuron, tau, num_steps, **keywords)
        threshold = keywords.get("v_threshold", NeuronOptions.v_threshold)
        self.make_norm: NormFactory = norm_factory(norm, threshold, num_steps)
        self.readout = make_readout(readout, tau=tau, num_steps=num_steps)

    def embed(self, frames: Tensor, steps: int) -> Tensor:
        """What `classify` gets, of `steps` timesteps, from as many, or one that is shown at all."""
        return self.stem.spikes(frames, self.stem_neuron, steps)

    @abstractmethod
    def classify(self, spikes: Tensor) -> Tensor:
        """The head's outputs [T, B, num_classes], from the stem's spikes [T, B, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits [T, B, num_classes]; ValueError where the input's shape doesn't fit."""
        if x.ndim not in (4, 5) or x.shape[-3] != self.in_channels:
            raise ValueError(
                f"{type(self).__name__} takes [B, {self.in_channels}, H, W] or "
                f"[T, B, {self.in_channels}, H, W], got shape {[*x.shape]}"
            )
        shown, steps = (x.unsqueeze(0), self.num_steps) if x.ndim == 4 else (x, x.shape[0])
        if not self.padded or x.ndim == 4:
            return self._read(shown, steps)
        if any(isinstance(module, PSN) for module in self.modules()):
            raise ValueError(
                "psn neurons would let what is padded move the timesteps before it: take "
                "masked_psn or sliding_psn"
            )
        lengths = lengths_of(x)
        with only(lengths, steps):
            return held(self._read(shown, steps), lengths)

    def _read(self, shown: Tensor, steps: int) -> Tensor:
        logits = self.classify(if_wanted(self, self.embed, shown, steps))
        return logits if self.readout is None else self.readout(logits)

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
