"""Whether kernels run on a GPU: one small launch decides, for nothing else can tell.

Triton needs a C compiler when it first runs, a folder that it can write to, a GPU that its compiler
knows, and a driver that loads what it makes; each fails in its own way, and at the first launch.
"""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Callable
from types import ModuleType
from typing import final

import torch

from tempreg.errors import one_line, out_of_memory
from tempreg.ops import lif_eager
from tempreg.ops.spec import LIFSpec

_OF_MACHINES = (
    OSError,  # a cache that can't be written to, a library that isn't there
    ImportError,  # a triton that was built for another system
    RuntimeError,  # no C compiler, no driver, no kernel image for this GPU
    subprocess.SubprocessError,  # a C compiler or ptxas that fails
    AssertionError,  # Triton where it finds no libcuda
    LookupError,  # LLVM where it doesn't know the GPU
    AttributeError,
    TypeError,
    ValueError,  # versions of Triton with other functions
)
_MOST = 300
Launched = Callable[[ModuleType, str], bool]
"""Whether a module's kernels on a device give the spikes that the equations have."""


@final
class TrialFailed(Exception):
    """The kernels don't run here; the message says why."""


def tried(name: str, device: str, launched: Launched | None = None) -> ModuleType:
    """The module `name`, once its kernels have run on a few neurons of `device`: those of a LIF
    backend, or as `launched` runs them.

    TrialFailed where they can't be compiled, loaded or launched, or give other spikes.
    """
    try:
        module = importlib.import_module(name)
        with torch.no_grad():
            same = (launched or _launched)(module, device)
    except Exception as error:
        if out_of_memory(error) or not _tells_of_the_machine(error):
            raise
        raise TrialFailed(f"a trial launch failed ({_words(error)})") from error
    if not same:
        raise TrialFailed("a trial launch gave other spikes than the equations have")
    return module


def _launched(module: ModuleType, device: str) -> bool:
    """Whether forward and backward run, and the spikes are those of the plain operations."""
    spec = LIFSpec()
    x = torch.tensor([[0.4, 0.8, 1.2], [0.9, 0.7, 0.1]], device=device)
    v0, tau = torch.zeros(3, device=device), torch.full((), 2.0, device=device)
    spikes, v = module.forward(x, v0, tau, spec)
    module.backward(torch.ones_like(x), torch.ones_like(v0), x, v0, tau, spec)
    wanted, last = lif_eager.forward(x.cpu(), v0.cpu(), tau.cpu(), spec)
    # Copies wait for the device, which tells of some faults only then.
    return torch.equal(spikes.cpu(), wanted) and torch.equal(v.cpu(), last)


def _tells_of_the_machine(error: Exception) -> bool:
    """Whether an error is one that machines without what Triton needs are known for."""
    of_triton = any(kind.__module__.partition(".")[0] == "triton" for kind in type(error).__mro__)
    return of_triton or isinstance(error, _OF_MACHINES)


def _words(error: Exception) -> str:
    """The kind of an error and its first line; of a command that failed, what it said."""
    said = str(error)
    if isinstance(error, subprocess.CalledProcessError) and error.stderr:
        told = error.stderr
        said = told.decode(errors="replace") if isinstance(told, bytes) else str(told)
    lines = [line for line in said.splitlines() if line.strip()]
    kind = type(error).__name__
    return f"{kind}: {one_line(lines[0])[:_MOST]}" if lines else kind
