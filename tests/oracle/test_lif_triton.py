"""The Triton kernels of LIF, on a machine without a GPU.

Triton's interpreter runs them on CPU tensors against `lif_reference`, and Triton's compiler
translates them for an NVIDIA GPU, which also refuses what the interpreter lets pass. Whether
the interpreter is in charge is settled when triton is first imported, so each of the two runs
in a process of its own: pytest again on this file, collecting other function names.
"""

import importlib.util
import itertools
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tempreg.ops import layout, lif_eager
from tempreg.ops.lif_autograd import LIFFunction
from tempreg.ops.lif_reference import lif_reference
from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import SURROGATE_CODES

NEURONS = 333  # a full program and a partly masked one
SPECS = [
    LIFSpec(1.1, v_reset, surrogate, 0.7, detach)
    for surrogate, v_reset, detach in itertools.product(
        SURROGATE_CODES, (0.0, -0.2, None), (False, True)
    )
]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


@pytest.mark.parametrize("mode", ["interpreted", "compiled"])
def test_triton_kernels(mode: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("triton") is None:
        pytest.skip("the package 'triton' is not installed")
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("TRITON_INTERPRET", None)
    if mode == "interpreted":
        environment["TRITON_INTERPRET"] = "1"
    child = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider",
         "-o", f"python_functions={mode}_*", __file__],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert child.returncode == 0, child.stdout + child.stderr


def lif_triton() -> types.ModuleType:
    return importlib.import_module("tempreg.ops.lif_triton")


def normal(*shape: int, dtype: torch.dtype, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def assert_like_reference(x: Tensor, v0: Tensor, spec: LIFSpec) -> None:
    """Spikes and last state equal; gradients from both, of x, v0 and (by neuron) tau, close."""
    gs, gv = (normal(*a.shape, dtype=x.dtype, seed=i) for i, a in enumerate((x, v0)))
    tau = torch.tensor(1.7, dtype=x.dtype)
    inputs = [a.detach().requires_grad_() for a in (x, v0, tau.expand(v0.shape))]
    s, v = lif_reference(*inputs, spec)
    expected = torch.autograd.grad((s, v), inputs, (gs, gv))
    s_triton, v_triton = lif_triton().forward(x, v0, tau, spec)
    actual = lif_triton().backward(gs, gv, x, v0, tau, spec)
    assert 0 < s.mean() < 1
    assert torch.equal(s, s_triton)
    assert torch.equal(v, v_triton)
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= TOLERANCE[x.dtype] * theirs.abs().max()


def interpreted_interpreter_runs() -> None:
    assert type(lif_triton()._forward_kernel).__name__ == "InterpretedFunction"


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def interpreted_matches_reference(spec: LIFSpec, dtype: torch.dtype) -> None:
    for steps in (1, 3, 7):
        x = normal(steps, NEURONS, dtype=dtype, seed=2) + 0.5
        assert_like_reference(x, normal(NEURONS, dtype=dtype, seed=3), spec)


@pytest.mark.parametrize("spec", SPECS[::7], ids=str)
def interpreted_reads_repeated_input_in_place(spec: LIFSpec) -> None:
    x = (normal(3, 37, dtype=torch.float64, seed=4) + 0.5).expand(5, 3, 37)
    rows, step = layout.rows(x)
    assert step == 0
    assert rows.data_ptr() == x.data_ptr()
    assert_like_reference(x, torch.zeros(3, 37, dtype=x.dtype), spec)


@pytest.mark.parametrize("spec", SPECS[::7], ids=str)
def interpreted_accepts_any_strides(spec: LIFSpec) -> None:
    x = normal(37, 5, 3, dtype=torch.float64, seed=5).permute(1, 2, 0) + 0.5
    v0 = normal(37, 3, dtype=torch.float64, seed=6).t()
    assert_like_reference(x, v0, spec)
    assert_like_reference(x[:, :1].expand(5, 3, 37), v0, spec)
    assert_like_reference(x[:, :, :1].expand(5, 3, 37)[:1].expand(4, 3, 37), v0, spec)


@pytest.mark.parametrize("spec", SPECS[::7], ids=str)
def interpreted_serves_autograd(spec: LIFSpec) -> None:
    inputs = [
        normal(4, 50, dtype=torch.float64, seed=9).requires_grad_(),
        normal(50, dtype=torch.float64, seed=10).requires_grad_(),
        torch.tensor(1.7, dtype=torch.float64, requires_grad=True),
    ]
    gradients = []
    for s, v in (
        lif_reference(*inputs, spec), LIFFunction.apply(*inputs, spec, lif_triton())
    ):  # fmt: skip
        gradients.append(torch.autograd.grad(s.sum() + v.sum(), inputs))  # gs and gv expanded
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch._dynamo's own
def interpreted_stays_whole_in_torch_compile() -> None:
    x = normal(4, 50, dtype=torch.float64, seed=9).requires_grad_()
    v0, tau = torch.zeros(50, dtype=x.dtype), torch.tensor(2.0, dtype=x.dtype)
    kernels = lif_triton()

    @torch.compile(backend="aot_eager", fullgraph=True)
    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        return LIFFunction.apply(2.0 * x, v0, tau, SPECS[0], kernels)

    gradients = [
        torch.autograd.grad(s.sum() + v.sum(), x)[0]
        for s, v in (run(x), lif_reference(2.0 * x, v0, tau, SPECS[0]))
    ]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter computes with numpy
@pytest.mark.parametrize("spec", SPECS, ids=str)
def interpreted_passes_nan_on(spec: LIFSpec) -> None:
    x = normal(5, 64, dtype=torch.float64, seed=7)
    v0 = normal(64, dtype=torch.float64, seed=8)
    for i, value in enumerate((float("nan"), float("inf"), float("-inf"))):
        x[1, i] = x[4, i + 3] = v0[i + 6] = value
    gs, gv, tau = torch.ones_like(x), torch.ones_like(v0), torch.tensor(2.0, dtype=x.dtype)
    ours = (*lif_triton().forward(x, v0, tau, spec),
            *lif_triton().backward(gs, gv, x, v0, tau, spec))  # fmt: skip
    theirs = (*lif_eager.forward(x, v0, tau, spec),
              *lif_eager.backward(gs, gv, x, v0, tau, spec))  # fmt: skip
    assert theirs[0].isnan().any()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12, equal_nan=True)


def interpreted_accepts_no_neurons() -> None:
    s, v = lif_triton().forward(torch.zeros(3, 0), torch.zeros(0), torch.tensor(2.0), SPECS[0])
    assert s.shape == (3, 0)
    assert v.shape == (0,)


@pytest.mark.parametrize("element", ["fp32", "fp64"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def compiled_divides_exactly_and_fuses_nothing(direction: str, element: str) -> None:
    from triton import compile as translate
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kernel = getattr(lif_triton(), f"_{direction}_kernel")
    for v_reset, surrogate in [(-0.2, 0), (None, 1), (-0.2, 2), (None, 3)]:
        constants = {
            "V_TH": 1.1, "V_RESET": v_reset, "P": 0.7, "SURROGATE": surrogate, "DETACH": False,
            "BLOCK": lif_triton().BLOCK,
        }  # fmt: skip
        constants = {name: constants[name] for name in kernel.arg_names if name in constants}
        integers = dict.fromkeys(("T", "N", "x_step"), "i32")
        signature = {
            name: "constexpr" if name in constants else integers.get(name, f"*{element}")
            for name in kernel.arg_names
        }
        options = {name: value for name, value in lif_triton().LAUNCH.items() if name != "BLOCK"}
        source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
        ptx = translate(source, target=GPUTarget("cuda", 80, 32), options=options).asm["ptx"]
        assert re.search(rf"div\.rn\.f{element[2:]}", ptx)
        if surrogate != 1:  # exp in float64 is a polynomial, written with FMAs
            assert "fma." not in ptx
        assert direction == "forward" or "bar.sync" in ptx
        assert direction == "backward" or not re.search(r"div\.(full|approx)", ptx)
