"""Which way to run LIF: names, what can run where, and the one entry point `lif`.

reference   plain autograd loop: any number of derivatives, any device, slow
eager       torch operations with a closed-form backward: any device
compiled    a C kernel on a CPU, a Triton kernel on CUDA
auto        compiled where it can run, else eager (said once, and recorded by a run); on CUDA a
            trial launch decides
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from types import ModuleType
from typing import final, get_args

import torch
from torch import Tensor

from tempreg.errors import RequestError
from tempreg.ops import cbuild, lif_eager, lif_short
from tempreg.ops.lif_autograd import LIFFunction
from tempreg.ops.lif_reference import lif_reference
from tempreg.ops.mapping import call
from tempreg.ops.spec import LIFSpec
from tempreg.ops.trial import TrialFailed, tried
from tempreg.options.neuron import Backend

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BACKENDS: tuple[str, ...] = get_args(Backend)
TRIAL_DEVICE = "cuda"
"""Where the Triton kernels are tried: on the current GPU."""


@final
class BackendUnavailable(RequestError, RuntimeError):
    """The backend that was asked for cannot run here; the message says why."""


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
        try:
            return tried("tempreg.ops.lif_triton", TRIAL_DEVICE)
        except TrialFailed as error:
            raise BackendUnavailable(
                f"backend 'compiled' cannot run on cuda: {error}"
            ) from error.__cause__
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


def check_state(x: Tensor, v0: Tensor) -> None:
    """ValueError or TypeError where v0 [*N] can't be the state before step 0 of x [T, *N]."""
    if v0.dtype not in DTYPES:
        raise TypeError(
            "the state must be a floating-point tensor of 16, 32 or 64 bits, as the membrane "
            f"potential is, got {v0.dtype}"
        )
    if v0.device != x.device:
        raise ValueError(
            f"the state is on {v0.device}, but the input on {x.device}: move one of them with .to()"
        )
    if v0.shape != x.shape[1:]:
        raise ValueError(
            f"the state has shape {[*v0.shape]}, but one timestep of the input has "
            f"{[*x.shape[1:]]}: pass the state that this batch ended with, or none to start"
        )


def lif(
    x: Tensor,
    v0: Tensor | None,
    tau: Tensor | float,
    spec: LIFSpec,
    backend: str = "auto",
    *,
    last: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """Spikes [T, *N] in x's dtype and the last membrane potential [*N] in the state's dtype.

    x is [T, *N] with T >= 1 of a floating dtype, v0 [*N] or None for zeros, tau a number or a
    0-d tensor; x and v0 on one device. ValueError or TypeError say which of these does not hold.
    Without `last` the potential is None, and isn't written where that costs something.
    """
    if v0 is None and not last and lif_short.is_short(x, tau):
        resolve_backend(backend, "cpu")
        in_c = _MODULES.get((backend, "cpu"))
        if in_c is not None and getattr(in_c, "SHORT", False):
            return lif_short.spikes(x, float(tau), spec, in_c), None
    if x.dtype not in DTYPES:
        raise TypeError(
            f"the input current must be a floating-point tensor of 16, 32 or 64 bits, got {x.dtype}"
        )
    if x.ndim < 1 or x.shape[0] < 1:
        raise ValueError(
            f"the input current must have shape [T, ...] with T >= 1 timesteps, got {[*x.shape]}"
        )
    if v0 is not None:
        check_state(x, v0)
    if isinstance(tau, Tensor) and tau.ndim != 0:
        raise ValueError(f"tau must be a number or a 0-d tensor, got shape {[*tau.shape]}")
    dtype = state_dtype(x.dtype)
    if isinstance(tau, Tensor):
        tau = tau.to(device=x.device, dtype=dtype)
    v0 = None if v0 is None else v0.to(dtype)
    name = resolve_backend(backend, x.device.type)
    module = None if name == "reference" else _MODULES[backend, x.device.type]
    if getattr(module, "PLAIN", False):
        keep = (
            getattr(module, "KEEPS", False)
            and torch.is_grad_enabled()
            and any(isinstance(given, Tensor) and given.requires_grad for given in (x, v0, tau))
        )
        spikes, *others = call(LIFFunction, x, v0, tau, spec, module, last, keep)
        return spikes, others[0] if last else None
    out_dtype, x = x.dtype, x.to(dtype)
    v0 = x.new_zeros(()).expand(x.shape[1:]) if v0 is None else v0
    # A tensor, because CUDA divides by a plain number through its rounded reciprocal.
    if not isinstance(tau, Tensor):
        tau = torch.full((), tau, device=x.device, dtype=dtype)
    if module is None:
        spikes, v = lif_reference(x, v0, tau, spec)
    else:
        spikes, v = call(LIFFunction, x, v0, tau, spec, module, True, False)
    return spikes.to(out_dtype), v if last else None
