"""Whole runs on a device: repeated, gone on with, used on a CPU; and where a step waits."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tempreg import runs
from tempreg.config import PRESETS, RunConfig
from tempreg.training import loop
from tempreg.training.progress import Reporter

Found = dict[str, Any]


def settings(device: str) -> RunConfig:
    """A short run on embedded data."""
    config = PRESETS["nmnist-trt"]()
    model, data = replace(config.model, channels=(4, 8)), replace(config.data, train_size=128)
    return replace(config, device=device, epochs=2, num_steps=3, model=model, data=data, workers=0)


def whole(device: str) -> Iterator[Found]:
    """One run, and others compared with it."""
    config = settings(device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        summary = runs.train(config, folder / "a")
        yield {"what": "trains", "ok": summary["train_accuracy"] > 0, "summary": summary["seconds"]}
        for kind, strict in (("as it is", False), ("deterministic", True)):
            again = replace(config, deterministic=strict)
            for copy in ("b", "c"):
                runs.train(again, folder / f"{copy}{strict}")
            apart = difference(*(folder / f"{copy}{strict}" for copy in ("b", "c")))
            yield {"what": f"repeated, {kind}", "ok": apart < 1e-2, "difference": apart}
        with suppress(KeyboardInterrupt):
            runs.train(config, folder / "d", reporter=Stops())
        runs.train(config, folder / "d", resume=True)
        apart = difference(folder / "a", folder / "d")
        yield {"what": "stopped and gone on with", "ok": apart < 1e-2, "difference": apart}
        there, here = (
            runs.evaluate_run(folder / "a", device=place).accuracy for place in (device, "cpu")
        )
        yield {
            "what": "used on a CPU",
            "ok": abs(there - here) <= 0.02,
            "accuracies": [there, here],
        }


class Stops(Reporter):
    """Ends a run after its first epoch. Final."""

    def epoch(self, *_: Any) -> None:
        raise KeyboardInterrupt


def difference(a: Path, b: Path) -> float:
    """Of the weights of two runs, ||a - b|| / ||a||, of the worst tensor."""
    first, second = (load_file(run / "model.safetensors") for run in (a, b))
    return max(
        float((first[k].double() - second[k].double()).norm() / first[k].double().norm())
        for k in first
        if first[k].is_floating_point() and first[k].norm() > 0
    )


def waits(device: str) -> Iterator[Found]:
    """Where the program waits for a GPU in two epochs, as torch warns; none on a CPU."""
    if device != "cuda":
        yield {"what": "waits", "ok": True, "left out": "torch tells of them on CUDA alone"}
        return
    step, places = loop.GradientStep.__call__, []
    first = itertools.count()

    def watched(self: Any, *args: Any) -> bool:
        if next(first) < 4:  # kernels are compiled, constants sent
            return step(self, *args)
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                stop = step(self, *args)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        places.extend(
            f"{w.filename}:{w.lineno}" for w in caught if "synchroniz" in str(w.message).lower()
        )
        return stop

    loop.GradientStep.__call__ = watched  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as name:
            runs.train(settings(device), Path(name) / "run")
    finally:
        loop.GradientStep.__call__ = step  # type: ignore[method-assign]
    yield {"what": "waits", "ok": not places, "places": sorted(set(places))[:20]}
