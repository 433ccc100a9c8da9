"""When a run's network answers at equal risk: calibrated on validation, counted on test samples."""

from __future__ import annotations

from tempreg.analysis import Result, early_exits
from tempreg.foreign import sees_later
from tempreg.runs.calibrate import answers_on
from tempreg.runs.material import Material


def run_exits(material: Material) -> dict[str, Result]:
    """On the whole test part, with exits from the whole validation part; nothing where these can't
    be had, which is said."""
    if why := _why_not(material):
        material.say(f"answering early: left out, for {why}")
        return {}
    material.say("answering early at equal risk")
    data, model, chunk = material.data, material.model, material.chunk
    known = answers_on(model, data.validation, chunk)
    logits, targets = answers_on(model, data.test, chunk)
    found = early_exits(logits, targets, calibration=known, seed=material.seed)
    return {"exits-held-out": found}


def _why_not(material: Material) -> str:
    if sees_later(material.model):
        return "psn neurons see later timesteps"
    if not len(material.data.validation):
        return "the run holds no validation data out"
    if material.config.keep == "best":
        return "the validation samples chose the epoch that was kept"
    return ""
