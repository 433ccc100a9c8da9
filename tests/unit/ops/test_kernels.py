"""C kernels as Python calls them: numbers that both know, arguments, and the stack."""

from __future__ import annotations

import ctypes
import re

import pytest
import torch

from tempreg.functional import lif
from tempreg.ops import cbuild, ckernel, lif_c, norm_c
from tempreg.ops.ckernel import kernel
from tempreg.ops.norm_lif import norm_lif
from tempreg.ops.spec import LIFSpec, NormLIFSpec
from tempreg.surrogate import SURROGATE_CODES
from tests.conftest import needs_compiler

SOURCES = {path.name: path.read_text() for path in cbuild.KERNELS.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", cbuild.DEFINED)
def test_a_number_of_both_languages_is_written_in_python_alone(name: str) -> None:
    assert any(re.search(rf"\b{name}\b", text) for text in SOURCES.values())
    assert not any(re.search(rf"#define {name}\b", text) for text in SOURCES.values())


@needs_compiler
def test_another_surrogate_needs_code_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cbuild.DEFINED["SURROGATES"] == len(SURROGATE_CODES) == 4
    monkeypatch.setitem(cbuild.DEFINED, "SURROGATES", 5)
    cbuild.load.cache_clear()
    with pytest.raises(cbuild.KernelUnavailable, match="know four surrogates"):
        cbuild.load("lif")
    cbuild.load.cache_clear()


def test_arguments_are_those_of_the_source() -> None:
    pointer, long, real = ckernel._Pointer, ctypes.c_int64, ctypes.c_double
    assert ckernel._argument_types("average_pool") == [pointer] * 2 + [long] * 3 + [ctypes.c_int]
    wanted = [pointer, long, pointer, pointer, long, pointer, pointer, real, ctypes.c_int]
    assert ckernel._argument_types("penalty") == wanted
    with pytest.raises(ValueError, match="not enough values"):
        ckernel._argument_types("absent")


@needs_compiler
def test_a_kernel_takes_what_its_source_says() -> None:
    x, out = torch.randn(1, 4, 4), torch.zeros(1, 2, 2)
    with pytest.raises(TypeError, match="at least 6 arguments"):
        kernel("pool", "average_pool", x.dtype)(x, out)
    with pytest.raises(ctypes.ArgumentError):
        kernel("pool", "average_pool", x.dtype)(x, out, "1", 4, 4, 1)


@needs_compiler
@pytest.mark.parametrize("surrogate", SURROGATE_CODES)
def test_a_block_that_is_too_large_does_not_overrun_the_stack(
    surrogate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller may ask for any block; the kernels have room for MOST_BLOCK and NORM_BLOCK."""
    x = torch.randn(3, 1, 2, 130, 130, generator=torch.Generator().manual_seed(0))
    spec = LIFSpec(surrogate=surrogate)

    def gradients() -> list[torch.Tensor]:
        leaf = x.clone().requires_grad_()
        tau = torch.tensor(1.7, requires_grad=True)
        spikes = lif(leaf, tau=tau, surrogate=surrogate, backend="compiled")
        normed = norm_lif(leaf, None, None, None, NormLIFSpec(3, 1.7, 1e-5, 1.0, spec))[0]
        return [
            *torch.autograd.grad(spikes.square().sum(), [leaf, tau]),
            *torch.autograd.grad(normed.square().sum(), leaf),
        ]

    wanted = gradients()
    neurons = x[0].numel()
    assert neurons > max(cbuild.DEFINED["MOST_BLOCK"], cbuild.DEFINED["NORM_BLOCK"])
    for module in (lif_c, norm_c):
        monkeypatch.setattr(
            module,
            "room_for",
            lambda x, steps, neurons, threads, most: (
                x.new_empty(threads * steps * neurons), neurons
            ),
        )  # fmt: skip
    for found, expected in zip(gradients(), wanted, strict=True):
        torch.testing.assert_close(found, expected)
