"""The plain L2 penalty that is as strong as TRT's: the control of any claim about its form."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from tempreg.functional import trt_penalty


def matched_l2(
    params: Iterable[Tensor], *, num_steps: int, lam: float, decay: float, eps: float
) -> float:
    """The l2 for which l2 * ||w||^2 has at `params` a gradient as long as that of TRT's R(w).

        l2 = ||dR/dw|| / (2 ||w||)

    Args:
        params: tensors, as they are now: pass freshly drawn weights to match at initialisation.
        num_steps, lam, decay, eps: see `tempreg.functional.trt_penalty`.

    Returns:
        l2 >= 0; lam where all weights are 0, which is the limit.
    """
    weights = [tensor.detach().double().requires_grad_() for tensor in params]
    norm = torch.cat([w.detach().flatten() for w in weights]).norm()
    if norm == 0:
        return lam
    value = trt_penalty(weights, num_steps=num_steps, lam=lam, decay=decay, eps=eps)
    gradients = torch.autograd.grad(value, weights)
    return float(torch.cat([g.flatten() for g in gradients]).norm() / (2 * norm))
