"""A whole training step against ReLU (the floor), other libraries and our plain twins."""

from __future__ import annotations

import torch
from torch import Tensor

from tempreg.bench.agree import agree
from tempreg.bench.alone import alone as in_a_process
from tempreg.bench.alone import measures_memory, peak_bytes
from tempreg.bench.measure import alternate
from tempreg.bench.networks import SETTINGS, training_step
from tempreg.bench.peers import Peer, present
from tempreg.bench.results import Results

TOLERANCE = 1e-6
"""Of logits and gradients by norm, in float64. In float32, sums in another order move a few h
across the threshold, and every layer multiplies the spikes that differ: equal networks end with
unlike logits."""


def alone(name: str, variant: str) -> int:
    """Peak bytes of two steps, weights' gradients and Adam's averages among them."""
    training_step("tiny", variant).run()  # what is loaded once doesn't count
    step = training_step(name, variant)

    def twice() -> None:
        for _ in range(2):
            step.run()

    return peak_bytes(twice)


def measure(results: Results, quick: bool) -> None:
    """csnn alone, or vggsnn and resnet19: times in turn, then the memory of each."""
    peers = present(results.note, ("SpikingJelly", "snnTorch"))
    for name in ("csnn",) if quick else ("vggsnn", "resnet19"):
        _check(name, peers)
        variants = ["tempreg", "tempreg, plain", "tempreg, reference", "ReLU"]
        variants += [peer.name for peer in peers]
        setting = f"{name}, T {SETTINGS[name].steps}, batch {SETTINGS[name].batch}"
        works = {variant: training_step(name, variant).run for variant in variants}
        times = alternate(works, rounds=9, budget=150)
        del works
        peak = {}
        if measures_memory():
            peak = {variant: float(in_a_process("step", name, variant)) for variant in variants}
        for base in ("ReLU", "tempreg"):
            results.times(setting, times, base)
            if peak:
                results.values("peak memory", setting, peak, base, "bytes")


def _check(name: str, peers: list[Peer]) -> None:
    """Every network's logits and gradients against ours; snnTorch's against a detached reset."""

    def result(variant: str) -> list[Tensor]:
        return training_step(name, variant, torch.float64).run()

    ours = result("tempreg")
    for variant in ("tempreg, plain", "tempreg, reference"):
        agree(f"{name}: tempreg and {variant}", ours, result(variant), TOLERANCE)
    detached = result("tempreg, detached reset")
    for peer in peers:
        theirs = result(peer.name)
        mine = detached if peer.detach_reset else ours
        agree(f"{name}: tempreg and {peer.name}", mine, theirs, TOLERANCE)
