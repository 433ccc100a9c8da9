"""Which backend runs where, and what is said when one can't."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tempreg.errors import RequestError
from tempreg.ops import dispatch, lif_eager
from tempreg.ops.cbuild import KernelUnavailable, cache_dir, load
from tempreg.ops.dispatch import BackendUnavailable, resolve_backend
from tests.conftest import needs_compiler

USE = "import torch, tempreg; tempreg.functional.lif(torch.randn(2, 3), tau=2.0, backend={!r})"


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_without_a_compiler_auto_says_so_once_and_goes_on(tmp_path: Path) -> None:
    code = USE.format("auto") + "\n" + USE.format("auto").split("; ")[1]
    result = python(code, CC="no-such-compiler", TEMPREG_CACHE_DIR=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("no C compiler was found") == 1
    assert "using backend 'eager'" in result.stderr


def test_without_a_compiler_compiled_is_refused(tmp_path: Path) -> None:
    result = python(USE.format("compiled"), CC="no-such-compiler", TEMPREG_CACHE_DIR=str(tmp_path))
    assert result.returncode == 1
    assert "BackendUnavailable: backend 'compiled' cannot run here: no C compiler" in result.stderr


@needs_compiler
def test_a_compiler_that_fails_is_reported(tmp_path: Path) -> None:
    result = python(
        USE.format("compiled"), CC="false", TEMPREG_CACHE_DIR=str(tmp_path), PATH="/bin:/usr/bin"
    )
    assert result.returncode == 1
    assert "BackendUnavailable" in result.stderr
    assert not list(tmp_path.rglob("*.so"))


def test_what_a_compiler_says_first_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(
        "#!/bin/sh\necho 'a.s: Assembler messages:' >&2\n"
        "echo 'a.s: Fatal error: no space left' >&2\necho 'a.s: Fatal error: no file' >&2\nexit 1\n"
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path / "cache"))
    load.cache_clear()
    with pytest.raises(KernelUnavailable, match=r"could not build lif\.c: .*no space left") as told:
        load("lif")
    assert isinstance(told.value, RequestError)
    load.cache_clear()


@needs_compiler
def test_kernels_are_built_once_and_nothing_else_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path))
    assert cache_dir() == tmp_path
    path = {"TEMPREG_CACHE_DIR": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    for _ in range(2):
        result = python(USE.format("compiled"), **path)
        assert result.returncode == 0, result.stderr
        (built,) = (tmp_path / "kernels").iterdir()
        assert built.name.startswith("lif-")
        stamp = built.stat().st_mtime_ns
    assert built.stat().st_mtime_ns == stamp


@needs_compiler
def test_a_damaged_kernel_is_built_again(tmp_path: Path) -> None:
    settings = {"TEMPREG_CACHE_DIR": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    assert python(USE.format("compiled"), **settings).returncode == 0
    (built,) = (tmp_path / "kernels").iterdir()
    built.write_bytes(b"not a library")
    result = python(USE.format("compiled"), **settings)
    assert result.returncode == 0, result.stderr
    assert [p.name for p in (tmp_path / "kernels").iterdir()] == [built.name]
    assert built.stat().st_size > 1000


@pytest.mark.parametrize("compiler", ["'", ""])
def test_a_compiler_that_is_no_command(compiler: str, tmp_path: Path) -> None:
    result = python(USE.format("auto"), CC=compiler, TEMPREG_CACHE_DIR=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "using backend 'eager'" in result.stderr


@needs_compiler
def test_auto_is_compiled_on_a_cpu() -> None:
    assert resolve_backend("auto", "cpu") == "compiled"


def test_other_devices() -> None:
    with pytest.raises(BackendUnavailable, match="kernels for cpu and cuda"):
        resolve_backend("compiled", "mps")
    with pytest.warns(UserWarning, match="using backend 'eager'"):
        assert resolve_backend("auto", "xpu") == "eager"
    assert resolve_backend("eager", "meta") == "eager"
    with pytest.raises(ValueError, match="unknown backend"):
        resolve_backend("fast", "cpu")


def test_import_does_not_load_dynamo() -> None:
    code = "import sys, torch, tempreg, tempreg.runs; tempreg.LIF()(torch.randn(2, 3)); "
    result = python(
        code + "sys.exit('torch._dynamo' in sys.modules)", PATH="/usr/bin:/bin", HOME="/tmp"
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("backend", ["eager", "compiled"])
def test_cuda_equals_cpu_reference(backend: str) -> None:
    from tempreg.functional import lif

    x = torch.randn(7, 5, 333, dtype=torch.float64)
    grads = []
    for device, name in (("cpu", "reference"), ("cuda", backend)):
        leaf = x.to(device).requires_grad_()
        spikes = lif(leaf, tau=1.7, backend=name)
        spikes.square().sum().backward()
        grads.append((spikes.cpu(), leaf.grad.cpu()))
    assert torch.equal(grads[0][0], grads[1][0])
    torch.testing.assert_close(grads[0][1], grads[1][1])


class OfTriton(Exception):
    """As Triton's own errors, which derive from nothing else."""


OfTriton.__module__ = "triton.compiler.errors"
FAULTS = [
    (RuntimeError("Failed to find C compiler. Please specify via CC environment variable."),
     "RuntimeError: Failed to find C compiler"),
    (subprocess.CalledProcessError(1, "gcc", stderr=b"main.c:1: fatal error: cuda.h\nmore"),
     "CalledProcessError: main.c:1: fatal error: cuda.h)"),
    (PermissionError(13, "Permission denied", "/root/.triton/cache"), "/root/.triton/cache"),
    (OfTriton("at 3:4: not supported"), "OfTriton: at 3:4: not supported"),
    (IndexError("map::at"), "IndexError: map::at"),
    (RuntimeError("CUDA error: no kernel image is available for execution\non the device"),
     "no kernel image is available for execution)"),
    (AssertionError(), "AssertionError)"),
    (ImportError("/lib/libc.so.6: version `GLIBC_2.34' not found"), "GLIBC_2.34"),
]  # fmt: skip


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Kernels of CUDA that are eager ones; a test breaks them. They are tried on the CPU."""
    fake: Any = ModuleType("tempreg.ops.lif_triton")
    fake.forward, fake.backward = lif_eager.forward, lif_eager.backward
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr(dispatch.importlib.util, "find_spec", lambda name: fake)
    monkeypatch.setattr(dispatch, "TRIAL_DEVICE", "cpu")
    monkeypatch.setattr(dispatch, "_RESOLVED", {})
    monkeypatch.setattr(dispatch, "_MODULES", {})
    return fake


def raising(error: Exception) -> Any:
    def launch(*_: object) -> None:
        raise error

    return launch


@pytest.mark.parametrize("which", ["forward", "backward"])
@pytest.mark.parametrize(("error", "said"), FAULTS, ids=lambda value: type(value).__name__)
def test_a_gpu_that_kernels_do_not_run_on(
    triton: Any, error: Exception, said: str, which: str
) -> None:
    setattr(triton, which, raising(error))
    with pytest.raises(BackendUnavailable) as refused:
        resolve_backend("compiled", "cuda")
    assert "backend 'compiled' cannot run on cuda: a trial launch failed (" in str(refused.value)
    assert said in str(refused.value)
    assert isinstance(refused.value, RequestError)
    with pytest.warns(UserWarning, match="using backend 'eager'") as told:
        found = [resolve_backend("auto", "cuda") for _ in range(2)]
    assert found == ["eager", "eager"]
    (warning,) = told
    assert said in str(warning.message)
    assert dispatch._MODULES["auto", "cuda"] is lif_eager


def test_a_gpu_that_kernels_run_on(triton: Any) -> None:
    assert resolve_backend("auto", "cuda") == resolve_backend("compiled", "cuda") == "compiled"
    assert dispatch._MODULES["auto", "cuda"] is triton


def test_a_gpu_that_computes_something_else(triton: Any) -> None:
    triton.forward = lambda x, *_: (torch.zeros_like(x), x[0])
    with pytest.raises(BackendUnavailable, match="other spikes than the equations have"):
        resolve_backend("compiled", "cuda")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("out of memory"), KeyboardInterrupt()])
def test_what_is_not_the_backends_fault_is_not_taken_for_it(triton: Any, error: Exception) -> None:
    triton.forward = raising(error)
    with pytest.raises(type(error)):
        resolve_backend("auto", "cuda")
