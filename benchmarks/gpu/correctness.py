"""Whether a device computes what a CPU does. Each check is (what, ok, detail)."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import torch

from tempreg import analysis, create_model
from tempreg.functional import lif, trt_penalty
from tempreg.objectives import TRTLoss
from tempreg.ops import lif_eager
from tempreg.ops.dispatch import resolve_backend, state_dtype
from tempreg.ops.spec import LIFSpec

Check = tuple[str, bool, str]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 8e-3, torch.float16: 1e-3}
LARGE = 40 * 2**30
"""Bytes of memory that a tensor of 2^31 elements is tried with."""


def checks(device: str) -> Iterator[Check]:
    """All of them, on "cuda" or, to try this program, "cpu"."""
    yield "backend", resolve_backend("auto", device) == "compiled", resolve_backend("auto", device)
    yield from _lif(device)
    yield from _penalty(device)
    yield from _analyses(device)
    if device == "cuda":
        yield from _large()
        yield _overflow()
        yield _no_compiler()


def _lif(device: str) -> Iterator[Check]:
    """Spikes exact, gradients close; shapes, timesteps, layouts, resets, surrogates, dtypes."""
    specs = [
        LIFSpec(1.1, reset, surrogate, 0.7)
        for reset, surrogate in ((0.0, "triangle"), (None, "atan"), (-0.2, "sigmoid"))
    ]
    half = {torch.float16, torch.bfloat16} if device == "cuda" else set()
    for dtype, steps in itertools.product({torch.float32, torch.float64} | half, (1, 4, 10, 17)):
        state, wrong, worst = state_dtype(dtype), 0, 0.0
        for number, (spec, tau) in enumerate(itertools.product(specs, (1.0, 2.0, 1.7))):
            draws = torch.Generator().manual_seed(number)
            x = torch.randn(steps * 2, 5, 9, 7, generator=draws, dtype=torch.float64) + 0.5
            if number % 2:
                x = x.contiguous(memory_format=torch.channels_last)
            x = x.to(dtype).unflatten(0, (steps, 2))
            v0, by = torch.zeros(x.shape[1:], dtype=state), torch.tensor(tau, dtype=state)
            wanted, _ = lif_eager.forward(x.to(state), v0, by, spec)
            ones = torch.ones_like(wanted)
            (slope,) = lif_eager.backward(ones, v0, x.to(state), v0, by, spec, False)
            moved = x.to(device).requires_grad_()
            spikes = lif(moved, tau=tau, backend="compiled", **spec._asdict())
            spikes.sum().backward()
            assert moved.grad is not None
            wrong += int((spikes.detach().cpu().to(state) != wanted).sum())
            error = (moved.grad.cpu().to(state) - slope).abs().max() / slope.abs().max()
            worst = max(worst, float(error))
        found = f"{wrong} spikes differ, gradient {worst:.1e}"
        yield f"lif {dtype} T {steps}", wrong == 0 and worst <= TOLERANCE[dtype], found


def _penalty(device: str) -> Iterator[Check]:
    draws = torch.Generator().manual_seed(0)
    weights = [torch.randn(s, generator=draws, dtype=torch.float64) for s in ((64, 32, 3, 3), (7,))]
    settings = {"num_steps": 10, "lam": 0.3, "decay": 0.5, "eps": 1e-5}
    for dtype in (torch.float32, torch.float64):
        results = []
        for place in ("cpu", device):
            params = [w.to(place, dtype).requires_grad_() for w in weights]
            value = trt_penalty(params, **settings)
            slopes = torch.autograd.grad(3 * value, params)
            results.append([value.detach().cpu(), *(s.cpu() for s in slopes)])
        pairs = zip(*results, strict=True)
        error = max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)
        yield f"penalty {dtype}", error <= TOLERANCE[dtype], f"{error:.1e}"


def _analyses(device: str) -> Iterator[Check]:
    """Of float64 networks: what is left is the order of sums."""
    torch.manual_seed(0)
    x, y = torch.rand(3, 6, 2, 8, 8).double(), torch.arange(6) % 3
    results: list[dict[str, torch.Tensor]] = []
    for place in ("cpu", device):
        torch.manual_seed(0)
        model = create_model(
            "csnn", num_classes=3, in_channels=2, num_steps=3, input_size=8, channels=(4, 6)
        ).to(place, torch.float64)
        data = x.to(place), y.to(place)
        fisher = analysis.fisher_information(model, *data)
        gradients = analysis.temporal_gradients(model, *data, TRTLoss(model))
        results.append(
            {
                "fisher": torch.as_tensor(fisher.per_step),
                "gradients": torch.as_tensor(gradients.norms),
                "spikes": torch.as_tensor(analysis.spikes(model, data[0]).rate),
                "anytime": torch.as_tensor(analysis.anytime(model, *data).accuracy),
            }
        )
    for name, wanted in results[0].items():
        error = float((results[1][name] - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30))
        yield f"analysis {name}", error <= 1e-9, f"{error:.1e}"


def _large() -> Iterator[Check]:
    """More elements than 32 bits count: the last ones are those of a small tensor."""
    free, _ = torch.cuda.mem_get_info()
    if free < LARGE:
        yield "2^31 elements", True, f"left out: {free / 2**30:.0f} GiB free"
        return
    neurons, end = 2**30 + 512, 4096
    x = torch.zeros(2, neurons, device="cuda", dtype=torch.float16)
    x[:, -end:] = torch.randn(2, end, generator=torch.Generator().manual_seed(0)).half().cuda()
    x.requires_grad_()
    spikes = lif(x, tau=2.0, backend="compiled")
    spikes.backward(torch.ones_like(spikes))
    assert x.grad is not None
    small = x[:, -end:].detach().clone().requires_grad_()
    other = lif(small, tau=2.0, backend="compiled")
    other.backward(torch.ones_like(other))
    assert small.grad is not None
    same = torch.equal(spikes[:, -end:], other) and torch.equal(x.grad[:, -end:], small.grad)
    yield "2^31 elements", same and not bool(spikes[:, :-end].any()), f"{2 * neurons:,}"


def _overflow() -> Check:
    """Float16 whose scaled gradient overflows: the step is left out, and the scale falls."""
    model = torch.nn.Linear(4, 4).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    scaler, before = torch.amp.GradScaler("cuda", init_scale=2.0**40), model.weight.clone()
    with torch.autocast("cuda", torch.float16):
        loss = model(torch.full((2, 4), 1e4, device="cuda")).sum()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    ok = torch.equal(before, model.weight) and scaler.get_scale() < 2.0**40
    return "overflow of float16", ok, f"scale {scaler.get_scale():g}"


def _no_compiler() -> Check:
    """Without a C compiler `auto` takes eager, and says why."""
    program = (
        "import warnings; warnings.simplefilter('always');"
        "from tempreg.ops.dispatch import resolve_backend; print(resolve_backend('auto', 'cuda'))"
    )
    with tempfile.TemporaryDirectory() as folder:
        surroundings = {"CC": "/nowhere/cc", "PATH": folder, "TRITON_CACHE_DIR": folder}
        child = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **surroundings},
            capture_output=True,
            text=True,
            check=False,
        )
    ok = child.stdout.strip() == "eager" and "using backend 'eager'" in child.stderr
    return "no compiler", ok, (child.stderr.strip().splitlines() or [""])[0][:200]
