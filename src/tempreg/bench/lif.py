"""LIF forward and backward: our backends, ReLU and other libraries; first calls apart."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable

import torch
from torch import Tensor

from tempreg.bench.agree import agree
from tempreg.bench.alone import alone as in_a_process
from tempreg.bench.measure import alternate
from tempreg.bench.peers import Peer, present
from tempreg.bench.results import Results
from tempreg.functional import lif

WIDTHS = {"full": (4096, 16_384, 65_536, 1 << 20, 1_000_003), "quick": (65_536, 65_537)}
STEPS = {"full": (4, 8, 16, 32), "quick": (4, 8)}


def alone(what: str, steps: str, neurons: str) -> float:
    """Seconds of a first forward and backward pass in this process, after the imports.

    `what` is "compiled", or "again": the same with another batch size and T after a first call.
    """
    if what == "again":
        _pass(_ours("compiled"), *_problem(4, 1000))
    problem = _problem(int(steps), int(neurons))
    start = time.perf_counter()
    _pass(_ours("compiled"), *problem)
    return time.perf_counter() - start


def _ours(backend: str, detach_reset: bool = False) -> Callable[[Tensor], Tensor]:
    return lambda x: lif(x, tau=2.0, backend=backend, detach_reset=detach_reset)


def _problem(steps: int, neurons: int) -> tuple[Tensor, Tensor]:
    """An input current [T, N] and the gradient of its spikes; about a fifth of them are 1."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(steps, neurons, generator=generator).requires_grad_()
    return x, torch.randn(steps, neurons, generator=generator)


def _pass(function: Callable[[Tensor], Tensor], x: Tensor, upstream: Tensor) -> list[Tensor]:
    """Spikes and the gradient of x."""
    x.grad = None
    spikes = function(x)
    spikes.backward(upstream)
    assert x.grad is not None
    return [spikes, x.grad]


def measure(results: Results, quick: bool) -> None:
    """First calls, then steady state at every T and width."""
    peers = present(results.note)
    _first_calls(results)
    size = "quick" if quick else "full"
    for steps in STEPS[size]:
        for neurons in WIDTHS[size]:
            _steady(results, steps, neurons, peers)
    for peer in peers:
        if peer.name == "SpikingJelly" and not quick:
            _through_a_compiler(results, peer)


def _first_calls(results: Results) -> None:
    """Cold: no kernel was ever built here. Warm: a second process. Again: another shape."""
    for steps in (4, 512):
        with tempfile.TemporaryDirectory() as empty:
            for what in ("cold", "warm", "again"):
                kind = "again" if what == "again" else "compiled"
                found = in_a_process(
                    "lif", kind, str(steps), "20000", environment={"TEMPREG_CACHE_DIR": empty}
                )
                setting = f"T {steps}, 20,000 neurons, {what}"
                results.single("first call", setting, "tempreg, compiled", found, "s")


def _steady(results: Results, steps: int, neurons: int, peers: list[Peer]) -> None:
    setting = f"T {steps}, {neurons:,} neurons"
    x, upstream = _problem(steps, neurons)

    def work(function: Callable[[Tensor], Tensor]) -> Callable[[], list[Tensor]]:
        return lambda: _pass(function, x, upstream)

    fast = {"tempreg, compiled": work(_ours("compiled")), "ReLU": work(torch.relu)}
    slow = {"tempreg, eager": work(_ours("eager")), "tempreg, reference": work(_ours("reference"))}
    ours = fast["tempreg, compiled"]()
    for name, other in slow.items():
        agree(f"LIF, {setting}: compiled and {name}, spikes", ours[:1], other()[:1], 0)
        agree(f"LIF, {setting}: compiled and {name}, gradient", ours[1:], other()[1:], 1e-5)
    for peer in peers:
        slow[peer.name] = work(peer.layer())
        theirs = slow[peer.name]()
        mine = work(_ours("compiled", peer.detach_reset))()
        agree(f"LIF, {setting}: {peer.name}, spikes", mine[:1], theirs[:1], peer.spike_error)
        gradient = max(1e-5, peer.spike_error)
        agree(f"LIF, {setting}: {peer.name}, gradient", mine[1:], theirs[1:], gradient)
    results.times(setting, alternate(fast, rounds=40, budget=8), "ReLU")
    times = alternate({"tempreg, compiled": fast["tempreg, compiled"], **slow}, rounds=9, budget=8)
    results.times(setting, times, "tempreg, compiled")


def _through_a_compiler(results: Results, peer: Peer) -> None:
    """The peer's layer under torch.compile: its first call, and its steady state against ours."""
    steps, neurons = 4, 1 << 20
    x, upstream = _problem(steps, neurons)
    compiled = torch.compile(peer.layer())
    setting = f"T {steps}, {neurons:,} neurons"
    start = time.perf_counter()
    theirs = _pass(compiled, x, upstream)
    name = f"{peer.name}, torch.compile"
    results.single("first call", setting, name, time.perf_counter() - start, "s")
    ours = _ours("compiled")
    agree(f"LIF, {setting}: {name}", _pass(ours, x, upstream), theirs, 1e-5)
    works = {name: lambda: _pass(compiled, x, upstream)}
    works["tempreg, compiled"] = lambda: _pass(ours, x, upstream)
    results.times(setting, alternate(works, rounds=40, budget=8), "tempreg, compiled")
