"""What one LIF layer computes, apart from its input, its state and tau: checked once, here."""

from __future__ import annotations

from typing import NamedTuple, final

from torch import Tensor
from typing_extensions import Unpack

from tempreg.options.field import check_option
from tempreg.options.neuron import NeuronConstants, NeuronOptions
from tempreg.surrogate import DERIVATIVES, SURROGATE_CODES


@final
class LIFSpec(NamedTuple):
    """The constants of a LIF layer.

    Attributes:
        v_threshold: the membrane potential above which (strictly) a neuron spikes.
        v_reset: the potential after a spike (hard reset), or None for a soft reset, which
            subtracts v_threshold.
        surrogate: a name from `tempreg.surrogate.DERIVATIVES`.
        surrogate_param: its width or steepness, > 0.
        detach_reset: whether the reset is a constant to the gradient.
    """

    v_threshold: float = NeuronOptions.v_threshold
    v_reset: float | None = NeuronOptions.v_reset
    surrogate: str = NeuronOptions.surrogate
    surrogate_param: float = NeuronOptions.surrogate_param
    detach_reset: bool = NeuronOptions.detach_reset

    @property
    def coded(self) -> tuple[float, float | None, int, float, bool]:
        """The constants as compiled kernels take them: the surrogate by its number."""
        threshold, reset, surrogate, param, detach = self
        return threshold, reset, SURROGATE_CODES[surrogate], param, detach


@final
class NormLIFSpec(NamedTuple):
    """The constants of a norm and the neurons after it.

    Attributes:
        steps: T, the timesteps that spikes are wanted for.
        tau: of the neurons, >= 1.
        eps: added to the variance, > 0.
        gain: a factor on the norm's output.
        lif: the neurons' other constants.
    """

    steps: int
    tau: float
    eps: float
    gain: float
    lif: LIFSpec


def checked_spec(**constants: Unpack[NeuronConstants]) -> LIFSpec:
    """A `LIFSpec` from a user's values; ValueError says which one is out of range."""
    spec = LIFSpec(**constants)
    for name in ("v_threshold", "v_reset", "surrogate_param"):
        check_option(NeuronOptions, name, getattr(spec, name))
    if spec.surrogate not in DERIVATIVES:
        raise ValueError(
            f"unknown surrogate {spec.surrogate!r}: choose one of {', '.join(DERIVATIVES)}"
        )
    return LIFSpec(
        float(spec.v_threshold),
        None if spec.v_reset is None else float(spec.v_reset),
        spec.surrogate,
        float(spec.surrogate_param),
        bool(spec.detach_reset),
    )


def checked_tau(tau: float) -> float:
    """tau as a float, or ValueError: tau >= 1, because the membrane decays by 1/tau a step."""
    try:
        check_option(NeuronOptions, "tau", tau)
    except ValueError as error:
        raise ValueError(
            f"{error}: the membrane potential is multiplied by 1/tau at each timestep (tau = 1 "
            "never leaks, a larger tau forgets faster)"
        ) from None
    return float(tau)


def split_tau(tau: Tensor | float) -> tuple[Tensor | None, float]:
    """tau as operators take it: a tensor, or None and the number."""
    return (tau, 0.0) if isinstance(tau, Tensor) else (None, tau)


def tau_from(tau: float, beta: float | None) -> float:
    """tau, or 1/beta where the decay factor beta (0 < beta <= 1) is given in its stead."""
    if beta is None:
        return checked_tau(tau)
    if tau != NeuronOptions.tau:
        raise ValueError(f"give tau or beta = 1/tau, not both (got tau={tau!r}, beta={beta!r})")
    if not 0 < beta <= 1:
        raise ValueError(f"beta = 1/tau must be in (0, 1], got {beta!r}")
    return checked_tau(1.0 / beta)
