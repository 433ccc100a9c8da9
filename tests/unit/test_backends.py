"""Which backend runs where, and what is said when one can't."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tempreg.errors import RequestError
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
