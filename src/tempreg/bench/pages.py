"""Training steps with huge pages asked for, as commands do (tempreg.huge_pages), and without.

A process has to be begun for it, so each time is the least of a few steps of a fresh one.
"""

from __future__ import annotations

from tempreg.bench.alone import alone as in_a_process
from tempreg.bench.alone import measures_memory
from tempreg.bench.measure import seconds
from tempreg.bench.networks import SETTINGS, training_step
from tempreg.bench.results import Disagreement, Results
from tempreg.huge_pages import TUNABLE, TUNABLES, given_to_those_who_ask

WAYS = {
    "huge pages": {TUNABLES: f"{TUNABLE}=1"},
    "pages of 4 KiB": {TUNABLES: f"{TUNABLE}=0"},
}
BASE = "pages of 4 KiB"


def alone(name: str, what: str) -> float:
    """The least seconds of four steps, or a number that all logits and gradients change."""
    step = training_step(name, "tempreg")
    first = step.run()
    if what == "result":
        return sum(float(tensor.detach().double().square().sum()) for tensor in first)
    step.run()
    return min(seconds(step.run) for _ in range(4))


def measure(results: Results, quick: bool) -> None:
    """csnn with a large batch, vggsnn and resnet19: times in turn, then the memory of each."""
    if not given_to_those_who_ask():
        results.note("Not measured: huge pages aren't given to those who ask here.")
        return
    for name in ("csnn",) if quick else ("csnn-large", "vggsnn", "resnet19"):
        found = {in_a_process("pages", name, "result", environment=e) for e in WAYS.values()}
        if len(found) > 1:
            raise Disagreement(f"{name}: huge pages changed the result: {found}")
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(3 if quick else 5):
            for way, environment in WAYS.items():
                times[way].append(in_a_process("pages", name, "time", environment=environment))
        chosen = SETTINGS[name]
        setting = f"{name.partition('-')[0]}, T {chosen.steps}, batch {chosen.batch}"
        results.times(setting, times, BASE)
        if measures_memory():
            peak = {
                w: in_a_process("step", name, "tempreg", environment=e) for w, e in WAYS.items()
            }
            results.values("peak memory", setting, peak, BASE, "bytes")
