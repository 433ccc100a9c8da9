"""Which way to run LIF: names, what can run where, and the one entry point `lif`.

reference   plain autograd loop: any number of derivatives, any device, slow
eager       torch operations with a closed-form backward: any device
compiled    a C kernel on a CPU, a Triton kernel on CUDA
auto        compiled where it can run, else eager (said once, and recorded by a run)
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from types import ModuleType

import torch
from torch import Tensor

from tempreg.errors import RequestError
from tempreg.ops import cbuild, lif_eager
from tempreg.ops.lif_autograd import LIFFunction
from tempreg.ops.lif_reference import lif_reference
from tempreg.ops.spec import LIFSpec

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BACKENDS = ("auto", "reference", "eager", "compiled")


class BackendUnavailable(RequestError, RuntimeError):
    """The backend that was asked for cannot run here; the message says why. Final."""


# Plain dictionaries rather than functools.cache, which torch.compile looks through.
_RESOLVED: dict[tuple[str, str], str] = {}
_MODULES: dict[tuple[str, str], ModuleType] = {}


def _compiled_module(device_type: str) -> ModuleType:
    """The compiled backend of a device type, or BackendUnavailable with the reason."""
    if device_type == "cpu":
        try:
            cbuild.load("lif")
        except (cbuild.KernelUnavailable, OSError) as error:
            raise BackendUnavailable(f"backend 'compiled' cannot run here: {error}") from error
        return importlib.import_module("tempreg.ops.lif_c")
    if device_type == "cuda":
        if importlib.util.find_spec("triton") is None:
            raise BackendUnavailable(
                "backend 'compiled' cannot run on cuda: the package 'triton' is not installed"
            )
        return importlib.import_module("tempreg.ops.lif_triton")
    raise BackendUnavailable(
        f"backend 'compiled' cannot run on {device_type!r}: it has kernels for cpu and cuda"
    )


def resolve_backend(backend: str, device_type: str) -> str:
    """The backend that `backend` stands for on this device type: never 'auto'.

    Raises ValueError for an unknown name and BackendUnavailable where one that was named
    cannot run. 'auto' falls back to 'eager' with a warning that gives the reason.
    """
    key = (backend, device_type)
    if key not in _RESOLVED:
        _RESOLVED[key], module = _resolve(backend, device_type)
        if module is not None:
            _MODULES[key] = module
    return _RESOLVED[key]


def _resolve(backend: str, device_type: str) -> tuple[str, ModuleType | None]:
    """The name, and the module that has its forward and backward passes (reference has none)."""
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}: choose one of {', '.join(BACKENDS)}")
    if backend == "reference":
        return "reference", None
    if backend == "eager":
        return "eager", lif_eager
    try:
        return "compiled", _compiled_module(device_type)
    except BackendUnavailable as reason:
        if backend == "compiled":
            raise
        warnings.warn(f"{reason}; using backend 'eager', which is slower", stacklevel=3)
        return "eager", lif_eager


def state_dtype(dtype: torch.dtype) -> torch.dtype:
    """The membrane potential's dtype: float32 for half-precision inputs, else the input's."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def lif(
    x: Tensor, v0: Tensor | None, tau: Tensor | float, spec: LIFSpec, backend: str = "auto"
) -> tuple[Tensor, Tensor]:
    """Spikes [T, *N] in x's dtype and the last membrane potential [*N] in the state's dtype.

    x is [T, *N] with T >= 1 of a floating dtype, v0 [*N] or None for zeros, tau a number or a
    0-d tensor. ValueError or TypeError say which of these does not hold.
    """
    if x.dtype not in DTYPES:
        raise TypeError(
            f"the input current must be a floating-point tensor of 16, 32 or 64 bits, got {x.dtype}"
        )
    if x.ndim < 1 or x.shape[0] < 1:
        raise ValueError(
            f"the input current must have shape [T, ...] with T >= 1 timesteps, got {[*x.shape]}"
        )
    if v0 is not None and v0.shape != x.shape[1:]:
        raise ValueError(
            f"the state has shape {[*v0.shape]}, but one timestep of the input has "
            f"{[*x.shape[1:]]}: pass the state that this batch ended with, or none to start"
        )
    if isinstance(tau, Tensor) and tau.ndim != 0:
        raise ValueError(f"tau must be a number or a 0-d tensor, got shape {[*tau.shape]}")
    dtype, out_dtype = state_dtype(x.dtype), x.dtype
    x = x.to(dtype)
    v0 = x.new_zeros(()).expand(x.shape[1:]) if v0 is None else v0.to(dtype)
    # A tensor, because CUDA divides by a plain number through its rounded reciprocal.
    if isinstance(tau, Tensor):
        tau = tau.to(device=x.device, dtype=dtype)
    else:
        tau = torch.full((), tau, device=x.device, dtype=dtype)
    if resolve_backend(backend, x.device.type) == "reference":
        spikes, v = lif_reference(x, v0, tau, spec)
    else:
        module = _MODULES[backend, x.device.type]
        spikes, v = LIFFunction.apply(x, v0, tau, spec, module)
    return spikes.to(out_dtype), v
