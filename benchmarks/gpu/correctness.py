"""Whether a device computes what a CPU does. Each check is (what, ok, detail)."""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import torch
from benchmarks.gpu.device import Device

from tempreg import create_model
from tempreg.functional import lif, trt_penalty
from tempreg.models import fused
from tempreg.neurons import LIF
from tempreg.ops import lif_eager
from tempreg.ops.dispatch import resolve_backend, state_dtype
from tempreg.ops.spec import LIFSpec

Check = tuple[str, bool, str]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 8e-3, torch.float16: 1e-3}
LARGE = 40 * 2**30
"""Bytes of free memory that a tensor of 2^31 elements is tried with."""


def checks(device: Device) -> Iterator[Check]:
    """All of them."""
    chosen = resolve_backend(device.backend, device.place.type)
    yield "backend", chosen == device.backend, chosen
    yield from _lif(device)
    yield from _one_pass(device)
    yield from _penalty(device)
    yield from _analyses(device)
    yield from _large(device)
    yield _overflow(device)
    yield _no_compiler()


def _lif(device: Device) -> Iterator[Check]:
    """Spikes exact, gradients close; shapes, timesteps, layouts, resets, surrogates, dtypes."""
    specs = [
        LIFSpec(1.1, reset, surrogate, 0.7)
        for reset, surrogate in ((0.0, "triangle"), (None, "atan"), (-0.2, "sigmoid"))
    ]
    dtypes = (torch.float32, torch.float64, *device.halves)
    for dtype, steps in itertools.product(dtypes, (1, 4, 10, 17)):
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
            moved = x.to(device.place).requires_grad_()
            spikes = lif(moved, tau=tau, backend=device.backend, **spec._asdict())
            spikes.sum().backward()
            assert moved.grad is not None
            wrong += int((spikes.detach().cpu().to(state) != wanted).sum())
            error = (moved.grad.cpu().to(state) - slope).abs().max() / slope.abs().max()
            worst = max(worst, float(error))
        found = f"{wrong} spikes differ, gradient {worst:.1e}"
        yield f"lif {dtype} T {steps}", wrong == 0 and worst <= TOLERANCE[dtype], found


def _one_pass(device: Device) -> Iterator[Check]:
    """Batch norm and neurons in one pass, against one after the other: spikes differ where h is
    within rounding of the threshold. In a dry run there is no one pass, which is said."""
    for dtype, last in itertools.product((torch.float32, *device.halves), (False, True)):
        draws = torch.Generator().manual_seed(0)
        x = 3 * torch.randn(40, 16, 12, 12, generator=draws) + 0.5
        x = x.contiguous(memory_format=torch.channels_last) if last else x
        x = x.to(device.place, dtype).unflatten(0, (10, 4))
        neuron, found, taken = LIF(backend=device.backend), [], False
        for one in (True, False):
            norm, leaf = torch.nn.BatchNorm2d(16).to(device.place), x.detach().requires_grad_()
            if one and fused.applies(leaf, norm, neuron, 10):
                taken, spikes = True, fused.normed_spikes(leaf, norm, 1.0, neuron, 10)
            else:
                spikes = neuron(norm(leaf.flatten(0, 1)).unflatten(0, x.shape[:2]))
            gradients = torch.autograd.grad(spikes.sum(), [leaf, *norm.parameters()])
            found.append([t.detach().cpu().double() for t in (spikes, *gradients, *norm.buffers())])
        apart = float((found[0][0] != found[1][0]).double().mean())
        pairs = list(zip(found[0][1:], found[1][1:], strict=True))
        error = max(float((a - b).norm() / b.norm().clamp(min=1e-30)) for a, b in pairs)
        ok = apart <= (1e-4 if dtype == torch.float32 else 1e-2) and error <= 5e-2
        ok = ok and (taken or device.small)
        told = f"{apart:.1e} of spikes differ, gradient {error:.1e}"
        where = f"one pass {dtype}, {'channels last' if last else 'NCHW'}"
        yield where, ok, told if taken else f"not taken here; {told}"


def _penalty(device: Device) -> Iterator[Check]:
    draws = torch.Generator().manual_seed(0)
    weights = [torch.randn(s, generator=draws, dtype=torch.float64) for s in ((64, 32, 3, 3), (7,))]
    settings = {"num_steps": 10, "lam": 0.3, "decay": 0.5, "eps": 1e-5}
    for dtype in (torch.float32, torch.float64):
        results = []
        for place in (torch.device("cpu"), device.place):
            params = [w.to(place, dtype).requires_grad_() for w in weights]
            value = trt_penalty(params, **settings)
            slopes = torch.autograd.grad(3 * value, params)
            results.append([value.detach().cpu(), *(s.cpu() for s in slopes)])
        pairs = zip(*results, strict=True)
        error = max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)
        yield f"penalty {dtype}", error <= TOLERANCE[dtype], f"{error:.1e}"


def _analyses(device: Device) -> Iterator[Check]:
    """All of them, of float64 networks: what is left is the order of sums."""
    from tests.every_analysis import ANALYSES, CLASSES, STEPS, Small, numbers

    x = torch.rand(STEPS, 5, 2, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    y = torch.arange(5) % CLASSES
    for name, analyse in ANALYSES.items():
        curvature = name == "surrogate_curvature"  # takes hundreds of passes
        if curvature and importlib.util.find_spec("curvlinops") is None:
            yield f"analysis {name}", True, "left out: curvlinops is not installed"
            continue
        results = []
        for place in (torch.device("cpu"), device.place):
            torch.manual_seed(0)
            model = Small() if curvature else _network(device, place)
            inputs = x[..., :2, :2] if curvature else x
            model = model.to(place, torch.float64)
            found = [*numbers(analyse(model, inputs.to(place), y.to(place)))]
            results.append(torch.tensor(found, dtype=torch.float64))
        error, scale = (results[1] - results[0]).abs(), results[0].abs().clamp(min=1e-6)
        same_nan = torch.equal(*(r.isnan() for r in results))
        worst = float((error / scale).nan_to_num(0.0).max())
        yield f"analysis {name}", same_nan and worst <= 1e-6, f"{worst:.1e}"


def _network(device: Device, place: torch.device) -> torch.nn.Module:
    from tests.every_analysis import CLASSES, STEPS

    backend = device.backend if place == device.place else "auto"
    return create_model(
        "csnn", num_classes=CLASSES, in_channels=2, num_steps=STEPS, input_size=8,
        channels=(4, 6), backend=backend,
    )  # fmt: skip


def _large(device: Device) -> Iterator[Check]:
    """More elements than 32 bits count: the last ones are those of a small tensor."""
    if device.free() < LARGE:
        yield "2^31 elements", True, f"left out: {device.free() / 2**30:.0f} GiB free"
        return
    neurons, end = (2048, 512) if device.small else (2**30 + 512, 4096)
    x = torch.zeros(2, neurons, device=device.place, dtype=torch.float16)
    draws = torch.Generator().manual_seed(0)
    x[:, -end:] = torch.randn(2, end, generator=draws).half().to(device.place)
    x.requires_grad_()
    spikes = lif(x, tau=2.0, backend=device.backend)
    spikes.backward(torch.ones_like(spikes))
    assert x.grad is not None
    small = x[:, -end:].detach().clone().requires_grad_()
    other = lif(small, tau=2.0, backend=device.backend)
    other.backward(torch.ones_like(other))
    assert small.grad is not None
    same = torch.equal(spikes[:, -end:], other) and torch.equal(x.grad[:, -end:], small.grad)
    ok = same and bool(other.any()) and not bool(spikes[:, :-end].any())
    yield "2^31 elements", ok, f"{2 * neurons:,}"


def _overflow(device: Device) -> Check:
    """Float16 whose scaled gradient overflows: the step is left out, and the scale falls."""
    model = torch.nn.Linear(4, 4).to(device.place)
    optimizer = torch.optim.AdamW(model.parameters(), fused=not device.small)
    scaler = torch.amp.GradScaler(device.place.type, init_scale=2.0**40)
    before = model.weight.detach().clone()
    with torch.autocast(device.place.type, torch.float16):
        loss = model(torch.full((2, 4), 1e4, device=device.place)).sum()
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
