"""The two operations everything else is made of, as plain functions of tensors."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from typing_extensions import Unpack

from tempreg.ops import dispatch
from tempreg.ops.penalty import penalty, penalty_terms
from tempreg.ops.spec import LIFSpec, checked_spec, checked_tau
from tempreg.options import ObjectiveOptions
from tempreg.options.keywords import passes_on_to
from tempreg.options.neuron import NeuronConstants

__all__ = ["lif", "trt_penalty"]


@passes_on_to(LIFSpec)
def lif(
    x: Tensor,
    *,
    tau: float | Tensor,
    backend: str = "auto",
    **constants: Unpack[NeuronConstants],
) -> Tensor:
    """Leaky integrate-and-fire neurons over all timesteps, from a membrane potential of 0.

        h[t] = v[t-1] / tau + x[t]
        s[t] = 1 if h[t] > v_threshold else 0
        v[t] = (1 - s[t]) h[t] + s[t] v_reset      (or h[t] - s[t] v_threshold: soft reset)

    A larger tau forgets faster and tau = 1 never leaks, which is the opposite of the tau of
    SpikingJelly; snnTorch's beta is 1 / tau.

    Args:
        x: input current [T, *N], T >= 1, any floating dtype. Time comes first.
        tau: >= 1, a number or a 0-d tensor (whose gradient is computed).
        v_threshold: spike threshold, in the units of x.
        v_reset: potential after a spike, or None for a soft reset.
        surrogate: "triangle", "sigmoid", "atan" or "rectangle"; see `tempreg.surrogate`.
        surrogate_param: the surrogate's width or steepness, > 0.
        detach_reset: treat the reset as a constant in the backward pass.
        backend: "auto", "reference", "eager" or "compiled"; see `tempreg.ops.dispatch`.

    Returns:
        Spikes [T, *N] in {0, 1} and the dtype of x; NaN where the membrane potential is NaN.
        The membrane potential is float32 for half-precision inputs, else of x's dtype.

    Raises:
        ValueError: a setting is out of range or x has no timestep.
        TypeError: x isn't floating point.
        BackendUnavailable: the named backend can't run here.
    """
    spec = checked_spec(**constants)
    checked = tau if isinstance(tau, Tensor) else checked_tau(tau)
    return dispatch.lif(x, None, checked, spec, backend, last=False)[0]


def trt_penalty(
    params: Iterable[Tensor],
    *,
    num_steps: int,
    lam: float = ObjectiveOptions.lam,
    decay: float = ObjectiveOptions.decay,
    eps: float = ObjectiveOptions.eps,
) -> Tensor:
    """TRT's time-decaying penalty of weights, with a closed-form gradient (arXiv 2506.19256).

        R(w) = (lam / T) sum_t sum_i w_i^2 / (1 + c_t (|w_i| + eps)),   c_t = e^(decay t) - 1

    t runs over 0 ... T - 1. R is strictly convex, about lam w^2 for small weights, and grows
    less than quadratically for large ones. It depends on the weights alone.

    Args:
        params: tensors of any shape, floating dtype and device; used once each.
        num_steps: T >= 1.
        lam: strength, >= 0.
        decay: the delta of the paper, >= 0; at 0 the penalty is lam * sum w^2.
        eps: in [0, 1e6].

    Returns:
        A 0-d tensor, differentiable twice; 0.0 where `params` is empty.

    Raises:
        ValueError: a number is out of range.
    """
    terms = penalty_terms(num_steps, lam, decay, eps)
    tensors = list(params)
    return penalty(tensors, terms) if tensors else torch.zeros(())
