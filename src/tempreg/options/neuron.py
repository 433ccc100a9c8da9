"""The settings of a network's neurons, and of what lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict, final

from tempreg.options.field import check_settings, setting
from tempreg.options.sizes import SizeKeywords, SizeOptions

Backend = Literal["auto", "reference", "eager", "compiled"]
"""How neurons are run; see `tempreg.ops.dispatch`."""
Conv = Literal["auto", "dense", "sparse"]
"""How convolutions are run; see `tempreg.models.convolution`."""


@dataclass(frozen=True)
class NeuronOptions:
    """The neurons of a network and the norm before them; equations: `tempreg.functional.lif`."""

    tau: float = setting(
        2.0, "the membrane potential is divided by this at each step", ">= 1, at most 1e18"
    )
    # Within 1e18, and of a width above its inverse, squares are numbers in float32, and an infinite
    # threshold doesn't turn a soft reset into NaN.
    v_threshold: float = setting(
        1.0, "membrane potential above which a neuron spikes", "[-1e18, 1e18]"
    )
    v_reset: float | None = setting(
        0.0, "potential after a spike (null: soft reset)", "[-1e18, 1e18] or null"
    )
    surrogate: Literal["triangle", "sigmoid", "atan", "rectangle"] = setting(
        "triangle", "surrogate gradient"
    )
    surrogate_param: float = setting(1.0, "its width or steepness", "[1e-18, 1e18]")
    neuron: Literal[
        "lif", "plif", "if", "alif", "cuba", "threshold", "psn", "masked_psn", "sliding_psn"
    ] = setting(
        "lif",
        "neuron; plif learns tau, threshold its threshold, psn weights between all timesteps, "
        "masked_psn and sliding_psn of the last ones",
    )
    norm: Literal["bn", "tdbn", "tebn", "tab", "none"] = setting(
        "bn",
        "batch norm, the threshold-dependent one, one with a factor a timestep (tebn), one with "
        "the statistics up to a timestep (tab), or none",
    )
    detach_reset: bool = setting(False, "no gradient through the reset")

    def __post_init__(self) -> None:
        check_settings(self, "model.")


@dataclass(frozen=True)
class StepOptions:
    """Constants of neurons beyond LIF; equations: `tempreg.neurons`."""

    rho: float = setting(0.9, "alif: what is left of a raised threshold a timestep later", "[0, 1]")
    jump: float = setting(0.2, "alif: by how much a spike raises the threshold", ">= 0")
    tau_syn: float = setting(
        2.0, "cuba: the synaptic current is divided by this at each step", ">= 1, at most 1e18"
    )
    order: int = setting(
        4,
        "masked_psn, sliding_psn: timesteps that a spike sees, the last its own",
        ">= 1, at most 10000",
    )


CONSTANTS_OF = {
    "rho": ("alif",),
    "jump": ("alif",),
    "tau_syn": ("cuba",),
    "order": ("masked_psn", "sliding_psn"),
}
"""Which neurons of a network read each of `StepOptions`."""


@dataclass(frozen=True)
class NetworkOptions(SizeOptions, StepOptions, NeuronOptions):
    """A network by name, without its name and what follows from the data."""

    channels: tuple[int, ...] | None = setting(
        None, "csnn and rsnn: channels of each layer", "one or more counts >= 1, at most 65536"
    )
    readout: Literal["logits", "membrane", "last", "attention"] = setting(
        "logits",
        "the answer: the mean of the head's outputs, of a membrane potential that they charge, the "
        "last output alone, or their mean with learned weights",
    )
    dropout: float = setting(0.0, "csnn, vggsnn and rsnn: before the head", "[0, 1)")


class NeuronConstants(TypedDict, total=False):
    """Keyword arguments of what computes a layer, for type checkers; see `NeuronOptions`."""

    v_threshold: float
    v_reset: float | None
    surrogate: str
    surrogate_param: float
    detach_reset: bool


class NeuronKeywords(NeuronConstants, total=False):
    """Keyword arguments of neurons.

    Attributes:
        backend: "auto", "reference", "eager" or "compiled"; see `tempreg.ops.dispatch`.
    """

    backend: str


class LayerKeywords(NeuronKeywords, total=False):
    """Keyword arguments of the neurons of a network, whichever they are; see `StepOptions`."""

    rho: float
    jump: float
    tau_syn: float
    order: int


@final
class NetworkKeywords(SizeKeywords, LayerKeywords, total=False):
    """Keyword arguments of networks; see `NetworkOptions`."""

    tau: float
    neuron: str
    norm: str
    readout: str
    channels: Sequence[int] | None
    dropout: float
