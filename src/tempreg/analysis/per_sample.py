"""Squared norms of single samples' weight gradients, layer by layer, without a loop over samples.

A layer's weight gradient for one sample needs only what went into the layer and the gradient of
what came out, both of that sample. Convolutions and linear layers have it as one product of
matrices a timestep; every other layer through `torch.func.vmap`. Exact in eval mode, where no
layer mixes samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap
from torch.nn import functional as F

from tempreg.analysis.capture import Call
from tempreg.foreign import sees_later
from tempreg.unwrap import unwrap


def weight_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Modules with trainable parameters of their own, by path; ValueError for shared parameters."""
    layers: dict[str, nn.Module] = {}
    owners: dict[int, str] = {}
    for name, module in unwrap(model).named_modules():
        own = trainable(module)
        if own:
            layers[name or type(module).__name__] = module
        for parameter in own.values():
            if id(parameter) in owners:
                raise ValueError(
                    f"{owners[id(parameter)]!r} and {name!r} share a parameter: by-layer gradients "
                    "of shared weights are not supported"
                )
            owners[id(parameter)] = name
    if not layers:
        raise ValueError(f"{type(unwrap(model)).__name__} has no trainable parameter")
    return layers


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """A module's own parameters that take a gradient."""
    own = dict(module.named_parameters(recurse=False))
    return {name: parameter for name, parameter in own.items() if parameter.requires_grad}


def by_step(tensor: Tensor, steps: int, batch: int, what: str) -> Tensor:
    """[S, B, ...] of a layer's input or output: S is T, or 1 where it runs once for all steps."""
    if tensor.shape[:1] == (steps * batch,):
        return tensor.reshape(steps, batch, *tensor.shape[1:])
    if tensor.ndim != 4 and tensor.shape[:2] == (steps, batch):
        return tensor
    if tensor.shape[:1] == (batch,):
        return tensor.unsqueeze(0)
    if tensor.shape[:2] in ((1, batch), (steps, batch)):
        return tensor
    raise ValueError(
        f"{what} has shape {[*tensor.shape]}, in which neither [T * B, ...], [T, B, ...] nor "
        f"[B, ...] is found (T={steps}, B={batch})"
    )


def squared_norms(
    name: str,
    module: nn.Module,
    calls: list[Call],
    grads: Sequence[Sequence[Tensor | None]],
    steps: int,
    batch: int,
) -> Tensor:
    """‖∇_w ℓ_n[t]‖² [B, T] of one layer, from its calls and gradients of what they returned.

    grads[k][t] belongs to the k-th call and to the loss of step t. Where none depends on later
    steps, these are left out.
    """
    total: dict[str, Tensor] = {}
    for call, own in zip(calls, grads, strict=True):
        for key, value in _sample_gradients(name, module, call, own, steps, batch).items():
            total[key] = total[key] + value if key in total else value
    result = torch.zeros(batch, steps, dtype=torch.float64)
    for value in total.values():
        norms = torch.linalg.vector_norm(
            value.reshape(batch, steps, -1), dim=2, dtype=torch.float64
        )
        result += norms.square().cpu()
    return result


def _sample_gradients(
    name: str, module: nn.Module, call: Call, grads: Sequence[Tensor | None], steps: int, batch: int
) -> dict[str, Tensor]:
    """[B, T, *shape] for each of the layer's own parameters, of one call; see `squared_norms`."""
    x = by_step(call.args[0], steps, batch, f"the input of {name!r}").detach()
    like = next(g for g in grads if g is not None) if any(g is not None for g in grads) else None
    if like is None:
        return {}
    where = f"the output of {name!r}"
    g = [by_step(torch.zeros_like(like) if v is None else v, steps, batch, where) for v in grads]
    causal = not sees_later(module) and not any(bool(v[t + 1 :].any()) for t, v in enumerate(g))
    if type(module) is nn.Conv2d and module.groups == 1 and _zero_padded(module):
        made = {"bias": torch.stack([v.sum(dim=(0, 3, 4)) for v in g], dim=1)}
        if module.weight.requires_grad:
            made["weight"] = _convolution_weight(module, x, g, causal=causal)
        return {key: made[key] for key in trainable(module)}
    ends = [t + 1 if causal else len(v) for t, v in enumerate(g)]
    each = [_of_one_loss(module, call, x[:end], v[:end]) for end, v in zip(ends, g, strict=True)]
    return {key: torch.stack([made[key] for made in each], dim=1) for key in each[0]}


def _of_one_loss(module: nn.Module, call: Call, x: Tensor, g: Tensor) -> dict[str, Tensor]:
    """[B, *shape] for each of the layer's own parameters, from the steps that a loss depends on."""
    wanted = trainable(module)
    if type(module) is nn.Linear:
        batch = x.shape[1]
        flat_x, flat_g = (v.movedim(1, 0).reshape(batch, -1, v.shape[-1]) for v in (x, g))
        both = {"weight": flat_g.mT @ flat_x, "bias": flat_g.sum(dim=1)}
        return {key: both[key] for key in wanted}
    if type(module) is nn.BatchNorm2d and module.running_mean is not None:
        both = _norm(module, x, g)
        return {key: both[key] for key in wanted}
    return _any_layer(module, call, x, g)


def _zero_padded(module: nn.Conv2d) -> bool:
    return module.padding_mode == "zeros" and not isinstance(module.padding, str)


def _convolution_weight(module: nn.Conv2d, x: Tensor, g: list[Tensor], *, causal: bool) -> Tensor:
    """[B, T, *weight]: the patches of each timestep, made once, times every loss's gradients."""
    shape, padding = module.weight.shape, module.padding
    assert not isinstance(padding, str)
    weight = x.new_zeros(len(g), x.shape[1], shape[0], shape[1:].numel())
    once = len(x) == 1 < len(g)  # the layer runs once for all timesteps
    for s, x_s in enumerate(x):
        patches = F.unfold(x_s, module.kernel_size, module.dilation, padding, module.stride)
        # Of a causal network, earlier losses don't depend on this timestep.
        for t in range(s if causal and not once else 0, len(g)):
            weight[t].baddbmm_(g[t][s].flatten(2), patches.mT)  # [B, O, L] @ [B, L, C k k]
    return weight.movedim(0, 1)


def _norm(module: nn.BatchNorm2d, x: Tensor, g: Tensor) -> dict[str, Tensor]:
    """Of the scale and the offset of a batch norm with its running statistics: [B, C] each."""
    assert module.running_mean is not None
    assert module.running_var is not None
    summed = g.flatten(3).sum(dim=-1).sum(dim=0)
    products = torch.linalg.vecdot(g.flatten(3), x.flatten(3)).sum(dim=0)
    inverse = (module.running_var + module.eps).rsqrt()
    return {"weight": (products - module.running_mean * summed) * inverse, "bias": summed}


def _any_layer(module: nn.Module, call: Call, x: Tensor, g: Tensor) -> dict[str, Tensor]:
    """Through vmap over samples, each in the layout that the layer was called with."""
    flat = call.args[0].ndim == x.ndim - 1
    parameters = {name: p.detach() for name, p in trainable(module).items()}

    def one(x_n: Tensor, g_n: Tensor) -> dict[str, Tensor]:
        def output(values: dict[str, Tensor]) -> Tensor:
            own = x_n if flat else x_n.unsqueeze(1)
            made: Any = functional_call(module, values, (own, *call.args[1:]), call.kwargs)
            first: Tensor = made[0] if isinstance(made, (tuple, list)) else made
            return first

        pull: Any = vjp(output, parameters)[1]
        gradients: dict[str, Tensor] = pull(g_n if flat else g_n.unsqueeze(1))[0]
        return gradients

    result: dict[str, Tensor] = vmap(one, in_dims=(1, 1))(x, g)
    return {name: each.detach() for name, each in result.items()}  # of layers within it, too
