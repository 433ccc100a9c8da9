"""Whole runs on a device: repeated, gone on with, used on a CPU; where a step waits; accuracy."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu.device import Device
from safetensors.torch import load_file

from tempreg import runs
from tempreg.config import PRESETS, RunConfig
from tempreg.training import loop
from tempreg.training.progress import Reporter

Found = dict[str, Any]


def settings(device: Device) -> RunConfig:
    """A short run on embedded data."""
    config = PRESETS["nmnist-trt"]()
    size = 24 if device.small else 128
    model, data = replace(config.model, channels=(4, 8)), replace(config.data, train_size=size)
    config = replace(config, device=device.setting, epochs=2, num_steps=3, model=model, data=data)
    return replace(config, workers=0, backend="eager" if device.small else "auto", batch_size=12)


def whole(device: Device) -> Iterator[Found]:
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
            runs.evaluate_run(folder / "a", device=place).accuracy
            for place in (device.setting, "cpu")
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


def waits(device: Device) -> Iterator[Found]:
    """Where the program waits for the device in the steps of two epochs."""
    step, places = loop.GradientStep.__call__, []
    first = itertools.count()

    def watched(self: Any, *args: Any) -> bool:
        if next(first) < 4:  # kernels are compiled, constants sent
            return step(self, *args)
        stopped: list[bool] = []
        places.extend(device.waits(lambda: stopped.append(step(self, *args))))
        return stopped[0]

    loop.GradientStep.__call__ = watched  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as name:
            runs.train(replace(settings(device), epochs=3), Path(name) / "run")
    finally:
        loop.GradientStep.__call__ = step  # type: ignore[method-assign]
    seen = next(first)
    yield {
        "what": "waits",
        "ok": not places and seen > 4,
        "steps": seen - 4,
        "places": sorted(set(places))[:20],
    }


def accuracy(device: Device, cifar: Path | None, seconds: float) -> Iterator[Found]:
    """resnet19 at T 4 on class folders of images, as many epochs as a first one says fit in."""
    what = "resnet19, T 4, CIFAR-10"
    if cifar is None and not device.small:
        yield {"what": what, "ok": True, "left out": "no --cifar FOLDER"}
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if device.small:
            cifar = noise(place / "noise")
        config = for_accuracy(device, str(cifar))
        start = time.monotonic()
        summary = runs.train(config, place / "first")
        took = time.monotonic() - start
        epochs = 2 if device.small else int((seconds - took) / took)
        if epochs > 1:
            summary = runs.train(replace(config, epochs=epochs), place / "run")
    yield {
        "what": what,
        "ok": True,
        "epochs": max(epochs, 1),
        "test_accuracy": summary["test_accuracy"],
        "seconds": summary["seconds"],
    }


def for_accuracy(device: Device, folder: str) -> RunConfig:
    """The paper's settings at T 4; in a dry run of a small network."""
    paper = PRESETS["paper-cifar10"]()
    data = replace(paper.data, name="image-folder", path=folder)
    config = replace(paper, data=data, num_steps=4, device=device.setting, epochs=1, seed=0)
    if device.small:
        model = replace(paper.model, name="csnn", channels=(4, 6))
        few = {"num_steps": 2, "batch_size": 8, "workers": 0, "backend": "eager"}
        return replace(config, model=model, precision="32-true", **few)
    return replace(config, precision="bf16-mixed", batch_size=256)


def noise(folder: Path) -> Path:
    """Two classes of twelve images that show nothing."""
    import numpy as np
    from PIL import Image

    draws = np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = draws.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.jpg")
    return folder
