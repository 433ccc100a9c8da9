"""The penalty on CUDA: a Triton kernel that each tensor of weights goes through once.

It computes what `penalty_operators` computes of all the tensors of a loss together: a launch a
tensor, which writes the slope and, a program, the sum of R over its weights in float64; and one
that adds these up. What is computed with is float32, or float64 for float64 weights.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl
from torch import Tensor

from tempreg.ops.dispatch import state_dtype
from tempreg.ops.layout import is_dense

BLOCK = 1024
"""Weights a program takes."""


# A runtime T, and a table of the constants: one compilation does for every schedule.
@triton.jit(do_not_specialize=["T", "first"])
def penalty_kernel(w, slope, partial, table, first, N, T, STATE: tl.constexpr, BLOCK: tl.constexpr):
    """table: lam / T, and a_t and c_t of each timestep; in float64."""
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = n < N
    x = tl.load(w + n, mask=mask, other=0.0).to(STATE)
    scale = tl.load(table).to(STATE)
    u = tl.abs(x)
    total = tl.zeros([BLOCK], STATE)
    rise = tl.zeros([BLOCK], STATE)
    for t in range(T):
        a = tl.load(table + 1 + 2 * t).to(STATE)
        r = 1.0 / (a + tl.load(table + 2 + 2 * t).to(STATE) * u)
        total += r
        rise += r * (1.0 + a * r)
    if slope is not None:
        tl.store(slope + n, rise * x * scale, mask=mask)
    value = tl.where(mask, total * u * u * scale, 0.0)
    tl.store(partial + first + tl.program_id(0), tl.sum(value.to(tl.float64)))


def _launch(
    tensors: list[Tensor], a: list[float], c: list[float], scale: float, slopes: bool
) -> tuple[Tensor, list[Tensor]]:
    place = tensors[0].device
    table = _table((scale, *(v for pair in zip(a, c, strict=True) for v in pair)), place)
    programs = [triton.cdiv(w.numel(), BLOCK) for w in tensors]
    partial = torch.empty(sum(programs), dtype=torch.float64, device=place)
    made, first = [], 0
    with torch.cuda.device_of(tensors[0]):
        for w, count in zip(tensors, programs, strict=True):
            dtype = state_dtype(w.dtype)
            w = w if is_dense(w.shape, w.stride()) else w.contiguous()
            slope = torch.empty_like(w, dtype=dtype) if slopes else None
            penalty_kernel[(count,)](
                w,
                slope,
                partial,
                table,
                first,
                w.numel(),
                len(a),
                STATE=tl.float64 if dtype == torch.float64 else tl.float32,
                BLOCK=BLOCK,
            )
            first += count
            made += [] if slope is None else [slope]
    return partial.sum(dtype=_dtype(tensors)), made


@functools.lru_cache(maxsize=64)
def _table(values: tuple[float, ...], place: torch.device) -> Tensor:
    """Sent to a device once."""
    return torch.tensor(values, dtype=torch.float64, device=place)


def _dtype(tensors: list[Tensor]) -> torch.dtype:
    return functools.reduce(torch.promote_types, [state_dtype(w.dtype) for w in tensors])


def _shapes(
    tensors: list[Tensor], a: list[float], c: list[float], scale: float, slopes: bool
) -> tuple[Tensor, list[Tensor]]:
    made = [torch.empty_like(w, dtype=state_dtype(w.dtype)) for w in tensors] if slopes else []
    return tensors[0].new_empty((), dtype=_dtype(tensors)), made


_library = torch.library.Library("tempreg", "FRAGMENT")
_library.define(
    "penalty_of_all(Tensor[] w, float[] a, float[] c, float scale, bool slopes)"
    " -> (Tensor, Tensor[])"
)
for _key in ("CUDA", "CPU"):  # on CPU tensors Triton's interpreter runs it
    _library.impl("penalty_of_all", _launch, _key)
torch.library.register_fake("tempreg::penalty_of_all")(_shapes)
