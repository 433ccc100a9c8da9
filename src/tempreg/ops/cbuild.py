"""Builds the package's C kernels with the system's compiler, once, and loads them by ctypes.

The shared object goes to a cache folder (TEMPREG_CACHE_DIR, else XDG_CACHE_HOME/tempreg, else
~/.cache/tempreg) under a name that hashes the source, the compiler, its version and flags, and
the processor, is written to a temporary name and renamed, so that several processes may build
at once and a kill leaves nothing half-written. OpenMP symbols are left for the loader to
find in the runtime that torch has already loaded: one thread pool, torch's thread count.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import final

from tempreg.errors import RequestError
from tempreg.files import scratch
from tempreg.surrogate import SURROGATE_CODES

KERNELS = Path(__file__).parent / "kernels"
# Without contraction or fast-math, a kernel's arithmetic is the equations', bit for bit.
BASE_FLAGS = (
    "-O2",
    "-ftree-vectorize",
    "-fvect-cost-model=dynamic",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
)
# Numbers that C and Python must agree on; the sources have them as macros.
DEFINED = {
    # Neurons a block: rows long enough for the prefetcher, few enough bytes for level 2; and the
    # same where rows of a batch norm's numbers lie beside those of the neurons.
    "MOST_BLOCK": 8192,
    "NORM_BLOCK": 2048,
    # Rows of scratch memory for each timestep, where gradients are rounded; elsewhere one.
    "ROUNDED_ROOMS": 2,
    # Weights whose penalty is one partial sum.
    "CHUNK": 8192,
    "SURROGATES": len(SURROGATE_CODES),
    **{name.upper(): code for name, code in SURROGATE_CODES.items()},
}
OPTIONAL_FLAGS = (("-march=native", "-fopenmp"), ("-fopenmp",), ("-march=native",), ())


@final
class KernelUnavailable(RequestError, RuntimeError):
    """No compiled CPU kernel can run here; the message says why."""


def cache_dir() -> Path:
    """Where compiled kernels are kept; KernelUnavailable where there is no such place."""
    if named := os.environ.get("TEMPREG_CACHE_DIR"):
        return Path(named).expanduser()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "tempreg"
    try:
        return Path.home() / ".cache" / "tempreg"
    except RuntimeError as error:
        raise KernelUnavailable(
            f"there is no folder to keep compiled kernels in ({error}): name one in the "
            "environment variable TEMPREG_CACHE_DIR"
        ) from None


@functools.cache
def load(name: str, element: str = "float") -> ctypes.CDLL:
    """The kernels of `name`.c for "float" or "double", built if not built here before.

    One type at a time, because few programs need both and compiling is what a first call waits
    for.

    Raises KernelUnavailable without a C compiler, or where none of its outputs can be loaded.
    """
    try:
        compiler = tuple(shlex.split(os.environ.get("CC", "cc")))
    except ValueError as error:
        raise KernelUnavailable(f"the environment variable CC is no command: {error}") from None
    if not compiler or shutil.which(compiler[0]) is None:
        raise KernelUnavailable(
            f"no C compiler was found (looked for {' '.join(compiler)!r}); install one (on Debian: "
            "apt-get install gcc) or name it in the environment variable CC"
        )
    problems = []
    for optional in OPTIONAL_FLAGS:
        try:
            return _loaded(name, element, compiler, (*BASE_FLAGS, *optional))
        except subprocess.CalledProcessError as error:
            said = (error.stderr or "").strip().splitlines()  # the first error brings about others
            problems.append(next((x for x in said if "rror: " in x), [str(error), *said][-1]))
        except OSError as error:
            problems.append(str(error))
    raise KernelUnavailable(f"{' '.join(compiler)} could not build {name}.c: {problems[-1]}")


@functools.cache
def loads(name: str) -> bool:
    """Whether `load` succeeds: for operations that have another way."""
    try:
        load(name)
    except (KernelUnavailable, OSError):
        return False
    return True


def _loaded(
    name: str, element: str, compiler: tuple[str, ...], flags: tuple[str, ...]
) -> ctypes.CDLL:
    """The library for these flags; one in the cache that doesn't load is built again."""
    defined = (f"-D{name}={value}" for name, value in DEFINED.items())
    flags = (*flags, f"-DELEMENT_{element.upper()}", *defined)
    path = _built(name, compiler, flags)
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        path.unlink(missing_ok=True)
        return ctypes.CDLL(str(_built(name, compiler, flags)))


def _built(name: str, compiler: tuple[str, ...], flags: tuple[str, ...]) -> Path:
    """The path of the shared object for these flags, compiled now if it is not there."""
    digest = sources_digest(name)
    digest.update(repr((compiler, flags, _compiler_version(compiler), processor())).encode())
    target = cache_dir() / "kernels" / f"{name}-{digest.hexdigest()[:20]}.so"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with scratch(target.parent) as folder:
        compiled, linked = folder / "kernel.o", folder / "kernel.so"
        source = KERNELS / f"{name}.c"
        _run(*compiler, *flags, "-c", str(source), "-o", str(compiled))
        # Linked without -fopenmp on purpose: see the module's docstring.
        _run(*compiler, "-shared", str(compiled), "-o", str(linked), "-lm")
        ctypes.CDLL(str(linked))
        linked.replace(target)
    return target


def sources_digest(name: str) -> hashlib._Hash:
    """Of what `name`.c is compiled from; more may be added to it."""
    digest = hashlib.sha256()
    for source in (KERNELS / f"{name}.c", *sorted(KERNELS.glob("*.h"))):
        digest.update(source.read_bytes())
    return digest


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@functools.cache
def _compiler_version(compiler: tuple[str, ...]) -> str:
    return _run(*compiler, "--version")


@functools.cache
def processor() -> str:
    """What -march=native depends on: a cache folder may be shared by unlike machines."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {platform.processor()} {features}"
