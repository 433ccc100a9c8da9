"""What one LIF layer computes, apart from its input, its state and tau: checked once, here."""

from __future__ import annotations

from typing import NamedTuple

from tempreg.surrogate import DERIVATIVES

LARGEST = 1e18
"""Constants of a neuron lie within it, and widths above its inverse: squares are numbers in
float32 then, and an infinite threshold doesn't turn a soft reset into NaN."""


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

    v_threshold: float = 1.0
    v_reset: float | None = 0.0
    surrogate: str = "triangle"
    surrogate_param: float = 1.0
    detach_reset: bool = False


def checked_spec(
    v_threshold: float,
    v_reset: float | None,
    surrogate: str,
    surrogate_param: float,
    detach_reset: bool,
) -> LIFSpec:
    """A `LIFSpec` from a user's values; ValueError says which one is out of range and why."""
    if not abs(v_threshold) <= LARGEST:
        raise ValueError(
            f"v_threshold must be a finite number, at most {LARGEST:g} in size, got {v_threshold!r}"
        )
    if v_reset is not None and not abs(v_reset) <= LARGEST:
        raise ValueError(
            f"v_reset must be a finite number, at most {LARGEST:g} in size (hard reset), or None "
            f"(soft reset), got {v_reset!r}"
        )
    if surrogate not in DERIVATIVES:
        raise ValueError(f"unknown surrogate {surrogate!r}: choose one of {', '.join(DERIVATIVES)}")
    if not 1 / LARGEST <= surrogate_param <= LARGEST:
        raise ValueError(
            f"surrogate_param must be a number > 0, from {1 / LARGEST:g} to {LARGEST:g}, got "
            f"{surrogate_param!r}"
        )
    return LIFSpec(
        float(v_threshold),
        None if v_reset is None else float(v_reset),
        surrogate,
        float(surrogate_param),
        bool(detach_reset),
    )


def checked_tau(tau: float) -> float:
    """tau as a float, or ValueError: tau >= 1, because the membrane decays by 1/tau a step."""
    if not 1 <= tau <= LARGEST:
        raise ValueError(
            f"tau must be a finite number >= 1, at most {LARGEST:g}, got {tau!r}: the membrane "
            "potential is multiplied by 1/tau at each timestep (tau = 1 never leaks, a larger tau "
            "forgets faster)"
        )
    return float(tau)


def tau_from(tau: float, beta: float | None, *, default: float = 2.0) -> float:
    """tau, or 1/beta where the decay factor beta (0 < beta <= 1) is given in its stead."""
    if beta is None:
        return checked_tau(tau)
    if tau != default:
        raise ValueError(f"give tau or beta = 1/tau, not both (got tau={tau!r}, beta={beta!r})")
    if not 0 < beta <= 1:
        raise ValueError(f"beta = 1/tau must be in (0, 1], got {beta!r}")
    return checked_tau(1.0 / beta)
