"""Batch norm and LIF in one pass as Triton's compiler translates it for NVIDIA GPUs."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from tempreg.ops.spec import LIFSpec
from tests.oracle.test_triton_compiled import BITS, resources, widths
from tests.oracle.triton_child import run_again

INTEGERS = ("rows", "channels", "inner", "parts", "N", "g_step", "count")
OF_X = ("x", "s", "gs", "gx")
WANTED: dict[str, dict[str, None]] = {
    "sums": {"gx": None, "found": None},
    "gradient": {"partial": None},
    "both": {"found": None},  # where statistics are given
    "": {},
}
"""Of `backward_kernel`: the arguments that are None."""


def test_norm_kernels_for_gpus(tmp_path: Path) -> None:
    run_again(__file__, "compiled", tmp_path)


def translated(name: str, element: str, architecture: int, last: bool, wanted: str = "") -> Any:
    """A kernel for ten timesteps of large layers, whose addresses and counts 16 divides."""
    import triton.language as tl
    from triton import compile as translate
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from tempreg.ops import lif_triton, norm_triton

    kernel = getattr(importlib.import_module("tempreg.ops.norm_triton_kernels"), name)
    state = "fp64" if element == "fp64" else "fp32"
    tile = lif_triton.block(norm_triton.torch.float64 if element == "fp64" else None)
    across = norm_triton.CHANNELS if last else tile
    height = tile // across * (norm_triton.TALLER if name == "statistics_kernel" else 1)
    constants = {
        "STEPS": 10, "ONCE": False, "TAU": 2.0, "LAYER": lif_triton.layer(LIFSpec(), 2.0),
        "NORM": (1e-5, 1.0), "STATE": getattr(tl, f"float{BITS[state]}"), "LAST": last,
        "R": height, "K": across, "FACTOR": 0.1, "BLOCK": norm_triton.PARTS,
        **WANTED[wanted], **({"inner": 1} if last else {}),
    }  # fmt: skip
    names = kernel.arg_names
    constants = {key: value for key, value in constants.items() if key in names}
    signature = {
        key: "constexpr" if key in constants
        else "i32" if key in INTEGERS else f"*{element if key in OF_X else state}"
        for key in names
    }  # fmt: skip
    undivided = {*constants, "rows", "parts", "count"}
    divided = [i for i, key in enumerate(names) if key not in undivided]
    attributes = {(i,): [["tt.divisibility", 16]] for i in divided}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    target = GPUTarget("cuda", architecture, 32)
    return translate(source, target=target, options=lif_triton.LAUNCH).asm


@pytest.mark.parametrize(("architecture", "element", "last"), [
    (80, "fp16", False), (80, "fp32", True), (90, "fp32", False), (90, "bf16", True),
    (100, "fp64", False), (100, "fp32", True),
])  # fmt: skip
def compiled_moves_vectors_and_spills_nothing(
    architecture: int, element: str, last: bool, tmp_path: Path
) -> None:
    """x is read and results are written in vectors; narrower are numbers of channels and parts."""
    width, number = 64 if BITS[element] == 16 else 128, max(BITS[element], 32)
    of_channels = {128 if last else number}
    for name, wanted, written in (
        ("statistics_kernel", "", {number}), ("forward_kernel", "", {width}),
        ("backward_kernel", "sums", {number}), ("backward_kernel", "gradient", {width}),
    ):  # fmt: skip
        made = translated(name, element, architecture, last, wanted)
        ptx = made["ptx"]
        assert made["cubin"][:4] == b"\x7fELF"
        if name == "statistics_kernel":
            assert widths(ptx, "ld", element) == {128}
        else:
            assert widths(ptx, "ld", element) == {width} | of_channels
        assert widths(ptx, "st", element) == written
        assert resources(ptx, tmp_path)[1] == 0
        assert not re.search(r"\b(atom|red)\.", ptx)  # the same sums every time
        assert "fma." not in ptx
        assert ("bar.sync" in ptx) == (written == {number})  # of sums alone


def compiled_what_puts_parts_together(tmp_path: Path) -> None:
    for name, element in (("combined_kernel", "fp32"), ("summed_kernel", "fp64")):
        made = translated(name, element, 90, False)
        assert made["cubin"][:4] == b"\x7fELF"
        assert resources(made["ptx"], tmp_path)[1] == 0
        assert not re.search(r"\b(atom|red)\.", made["ptx"])


def compiled_backward_of_given_statistics(tmp_path: Path) -> None:
    made = translated("backward_kernel", "fp32", 80, False, "both")
    assert resources(made["ptx"], tmp_path)[1] == 0
