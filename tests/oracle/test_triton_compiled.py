"""The Triton kernels as Triton's compiler translates them for NVIDIA GPUs, read from its output."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tempreg.ops.spec import LIFSpec
from tests.oracle.triton_child import run_again

BITS = {"fp16": 16, "bf16": 16, "fp32": 32, "fp64": 64}
INTEGERS = ("T", "N", "x_step", "g_step", "first")
STATES = ("v0", "v_last", "gv", "gv0", "gtau", "tau", "kept")
ARCHITECTURES = (80, 90, 100)


def test_kernels_for_gpus(tmp_path: Path) -> None:
    run_again(__file__, "compiled", tmp_path)


def kernel(name: str) -> Any:
    module = "penalty_triton" if name == "penalty_kernel" else "lif_triton_kernels"
    return getattr(importlib.import_module(f"tempreg.ops.{module}"), name)


def translated(
    name: str,
    element: str,
    steps: int,
    architecture: int,
    *,
    spec: LIFSpec = LIFSpec(),  # noqa: B008 - it never changes
    tau: float | None = 2.0,
    everything: bool = False,
    aligned: bool = True,
) -> Any:
    """A kernel for `steps` timesteps; with `everything`, all that nobody may ask for is asked for.

    `aligned` is what Triton finds out of large layers: addresses and counts that 16 divides.
    """
    import triton.language as tl
    from triton import compile as translate
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from tempreg.ops import lif_triton, penalty_triton
    from tempreg.ops.lif_triton_kernels import CHUNK, UNROLLED

    found = kernel(name)
    state = "fp64" if element == "fp64" else "fp32"
    block = lif_triton.block(lif_triton.torch.float64 if element == "fp64" else None)
    constants = {
        "STEPS": steps if steps <= UNROLLED else None, "TAU": tau,
        "LAYER": lif_triton.layer(spec, tau), "STATE": getattr(tl, f"float{BITS[state]}"),
        "BLOCK": penalty_triton.BLOCK if name == "penalty_kernel" else block, "CHUNK": CHUNK,
    }  # fmt: skip
    if not everything:
        constants |= dict.fromkeys(("v0", "v_last", "gv", "gv0", "gtau"))
    if tau is not None:
        constants["tau"] = None
    if steps <= UNROLLED or (name == "forward_kernel" and not everything):
        constants["kept"] = None
    names = found.arg_names
    constants = {key: value for key, value in constants.items() if key in names}
    wide = {"slope": state, "partial": "fp64", "table": "fp64", **dict.fromkeys(STATES, state)}
    signature = {
        key: "constexpr" if key in constants
        else "i32" if key in INTEGERS else f"*{wide.get(key, element)}"
        for key in names
    }  # fmt: skip
    undivided = {*constants, "T", "tau", "first"}
    divided = [i for i, key in enumerate(names) if key not in undivided]
    attributes = {(i,): [["tt.divisibility", 16]] for i in divided} if aligned else None
    source = ASTSource(fn=found, signature=signature, constexprs=constants, attrs=attributes)
    options = {} if name == "penalty_kernel" else lif_triton.LAUNCH
    return translate(source, target=GPUTarget("cuda", architecture, 32), options=options).asm


def resources(ptx: str, folder: Path) -> tuple[int, int]:
    """Registers of a thread, and bytes of them that went to memory, as the assembler says."""
    from triton.backends import nvidia

    assert nvidia.__file__ is not None
    (folder / "kernel.ptx").write_text(ptx)
    found = re.search(r"\.target (\w+)", ptx)
    assert found is not None
    tool = Path(nvidia.__file__).parent / "bin" / "ptxas-blackwell"
    said = subprocess.run(
        [tool, "-v", f"-arch={found[1]}", "kernel.ptx", "-o", "kernel.cubin"],
        cwd=folder, capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    registers, spilled = (re.findall(p, said) for p in (r"Used (\d+) reg", r"(\d+) bytes spill s"))
    return int(registers[0]), int(spilled[0])


def widths(ptx: str, what: str, element: str) -> set[int]:
    """Bits that each load ("ld") or store ("st") of a thread moves at once."""
    found = re.findall(rf"{what}\.global(?:\.\w+)*?(?:\.v(\d))?\.b(\d+)\s", ptx)
    return {int(count or 1) * int(bits) for count, bits in found}


@pytest.mark.parametrize("element", BITS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def compiled_moves_vectors_and_spills_nothing(
    architecture: int, element: str, tmp_path: Path
) -> None:
    width = 64 if BITS[element] == 16 else 128  # four neurons a thread, or two of float64
    long = {80: 40, 90: 12, 100: 40}[architecture]  # its potentials are kept, in float32 or wider
    for steps, loads in (({80: 10, 90: 4, 100: 10}[architecture], {width}), (long, {width, 128})):
        for name in ("forward_kernel", "backward_kernel"):
            made = translated(name, element, steps, architecture)
            assert made["cubin"][:4] == b"\x7fELF"
            backward = name == "backward_kernel"
            assert widths(made["ptx"], "ld", element) == (loads if backward else {width})
            assert widths(made["ptx"], "st", element) == {width}
            assert "bar.sync" not in made["ptx"]  # nothing passes between threads
            registers, spilled = resources(made["ptx"], tmp_path)
            assert spilled == 0
            assert registers <= 200


def compiled_everything_spills_nothing_either(tmp_path: Path) -> None:
    for steps, tau in ((10, None), (40, 1.7)):
        made = translated("backward_kernel", "fp32", steps, 90, tau=tau, everything=True)
        assert resources(made["ptx"], tmp_path)[1] == 0


def compiled_counts_that_16_does_not_divide_are_taken_one_by_one() -> None:
    made = translated("forward_kernel", "fp32", 4, 80, aligned=False)
    assert widths(made["ptx"], "ld", "fp32") == {32}


@pytest.mark.parametrize("element", ["fp32", "fp64", "fp16"])
@pytest.mark.parametrize("steps", [3, 12])
@pytest.mark.parametrize("name", ["forward_kernel", "backward_kernel"])
def compiled_divides_exactly_and_fuses_nothing(name: str, steps: int, element: str) -> None:
    state = 64 if element == "fp64" else 32
    for v_reset, surrogate in ((-0.2, "triangle"), (None, "sigmoid"), (-0.2, "atan")):
        spec = LIFSpec(1.1, v_reset, surrogate, 0.7)
        ptx = translated(name, element, steps, 80, spec=spec, tau=None, everything=True)["ptx"]
        assert re.search(rf"div\.rn\.f{state}", ptx)
        if surrogate != "sigmoid":  # exp in float64 is a polynomial, written with FMAs
            assert "fma." not in ptx
        assert "bar.sync" not in ptx
        assert name == "backward_kernel" or not re.search(r"div\.(full|approx)", ptx)


@pytest.mark.parametrize("tau", [1.0, 2.0, 1.7])
def compiled_a_power_of_two_is_not_divided_by(tau: float) -> None:
    ptx = translated("forward_kernel", "fp32", 4, 80, tau=tau)["ptx"]
    assert ("div." in ptx) == (tau == 1.7)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def compiled_penalty(architecture: int, tmp_path: Path) -> None:
    for element in ("fp32", "bf16", "fp64"):
        made = translated("penalty_kernel", element, 6, architecture)
        assert resources(made["ptx"], tmp_path)[1] == 0
        assert max(widths(made["ptx"], "st", element)) >= 128
