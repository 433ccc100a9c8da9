"""C kernels as functions of tensors: what all of them have in common.

    kernel("pool", "average_pool", x.dtype)(x, out, planes, height, width, threads)

Which arguments a function takes stands in its C source alone, and is read from there.
"""

from __future__ import annotations

import ctypes
import functools
import re
import threading
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from tempreg.ops import cbuild

ELEMENTS = {torch.float32: "float", torch.float64: "double"}
"""What kernels are compiled for."""
NARROW = ELEMENTS | {torch.bfloat16: "bfloat16"}
"""What lif, norm_lif and pool are compiled for: of bfloat16 they compute in float32."""
PARALLEL_FROM = 32_768
"""Elements of LIF from which threads are worth starting."""
SCRATCH_BYTES = 512 * 1024
"""A thread's room for the membrane potentials of one block: it should fit a level-2 cache."""


_ROOM = threading.local()


@final
class _Pointer:
    """How ctypes hands over a tensor or an array: by the place of its first element."""

    @classmethod
    def from_param(cls, value: Any) -> Any:
        """The address of a tensor's memory; of an array its own; None is null."""
        return ctypes.c_void_p(value.data_ptr()) if isinstance(value, Tensor) else value


_TYPES = {"int64_t": ctypes.c_int64, "int": ctypes.c_int, "double": ctypes.c_double}


@functools.cache
def kernel(library: str, name: str, dtype: torch.dtype) -> Callable[..., None]:
    """The function `name` of kernels/`library`.c for tensors of `dtype`, a key of `NARROW`.

    It reads and writes memory in order: tensors must be contiguous, but where their steps are
    arguments. Raises KernelUnavailable where the library can't be built.
    """
    function: Callable[..., None] = _function(library, name, dtype, _Pointer)
    return function


@functools.cache
def by_address(library: str, name: str, dtype: torch.dtype) -> Callable[..., None]:
    """The same, which takes addresses in the place of tensors: sooner called."""
    function: Callable[..., None] = _function(library, name, dtype, ctypes.c_void_p)
    return function


def _function(library: str, name: str, dtype: torch.dtype, pointer: type) -> Any:
    function = cbuild.load(library, NARROW[dtype])[f"{name}_{NARROW[dtype]}"]
    function.argtypes, function.restype = _argument_types(name, pointer), None
    return function


def _argument_types(name: str, pointer: type = _Pointer) -> list[Any]:
    """Of the only function of that name in the sources, by its declaration there."""
    text = "".join(path.read_text() for path in sorted(cbuild.KERNELS.glob("*.h")))
    (arguments,) = re.findall(rf"^void NAME\({name}\)\(([^)]*)\)", text, re.MULTILINE)
    split = [argument.split() for argument in arguments.replace("*", " * ").split(",")]
    return [pointer if "*" in words else _TYPES[words[0]] for words in split]


def computed_in(dtype: torch.dtype) -> torch.dtype:
    """What a kernel for tensors of `dtype` computes in, and has states, statistics and sums in."""
    return torch.float32 if dtype == torch.bfloat16 else dtype


def threads_for(elements: int, start: int = 65_536) -> int:
    """How many threads a pass over so many elements is worth, where it is worth them from
    `start` on: below, starting them costs more than it saves."""
    return torch.get_num_threads() if elements >= start else 1


def room_for(x: Tensor, steps: int, neurons: int, threads: int, most: int) -> tuple[Tensor, int]:
    """Room for each thread's membrane potentials of a block, in what x is computed in; and its
    size.

    It is held from one call to the next, for to get it anew took as long as a small layer's pass,
    and lent until the next call of the same Python thread.
    """
    dtype = computed_in(x.dtype)
    steps = steps if dtype == x.dtype else steps * cbuild.DEFINED["ROUNDED_ROOMS"]
    fitting = max(16, SCRATCH_BYTES // (dtype.itemsize * steps))
    block = max(1, min(most, fitting, -(-neurons // threads)))
    size, held = threads * steps * block, getattr(_ROOM, "tensors", {})
    if dtype not in held or len(held[dtype]) < size:
        _ROOM.tensors = held | {dtype: x.new_empty(size, dtype=dtype)}
    return _ROOM.tensors[dtype], block
