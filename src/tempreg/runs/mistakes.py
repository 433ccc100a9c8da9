"""The mistakes that a network was surest of, as pictures: their inputs need the data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tempreg.config import read_config
from tempreg.data import DataSet
from tempreg.errors import RequestError
from tempreg.report.page import Picture, Section
from tempreg.report.study_figures import pictures_figure
from tempreg.runs.answers import Answers
from tempreg.runs.build import as_config_errors, build_data
from tempreg.runs.launch import on_one_device
from tempreg.runs.own.trust import NOTHING, CodeNotTrusted
from tempreg.training.run_directory import RunDirectory

SHOWN = 6
"""Mistakes on a page."""
FRAMES = 6
"""Of a recording, at most: evenly over its timesteps."""


def mistakes_section(folder: Path, found: Answers) -> Section | None:
    """None where every answer is right; without the data, what was taken for what, in words."""
    places = found.worst(SHOWN)
    if not len(places):
        return None
    texts = ["The wrong answers that the network was surest of, the surest first."]
    told = [_told(found, int(place)) for place in places]
    try:
        config = on_one_device(read_config(RunDirectory(folder).config))
        NOTHING.check_all(config)
        with as_config_errors():
            data = build_data(config, NOTHING)
    except CodeNotTrusted:
        why = "their pictures are left out, for their data needs code that a page doesn't run"
        return Section("Surest mistakes", [*texts, f"{'; '.join(told)}; {why}."])
    except RequestError as error:
        why = f"their pictures are left out, for the data can't be read here ({error})"
        return Section("Surest mistakes", [*texts, f"{'; '.join(told)}; {why}."])
    rows = _inputs(data, found, places)
    if rows is None:
        why = "their pictures are left out, for the data here is another than was tested"
        return Section("Surest mistakes", [*texts, f"{'; '.join(told)}; {why}."])
    steps, figure = pictures_figure([_frames(row) for row in rows], told)
    kind = (
        ""
        if steps == 1
        else (
            f" Each row is a recording, {steps} of its timesteps from left to right; colours are "
            "polarities."
        )
    )
    picture = Picture(figure, "Surest mistakes", f"{'; '.join(told)}.{kind}")
    return Section("Surest mistakes", texts, pictures=[picture])


def _told(found: Answers, place: int) -> str:
    label, answer = found.classes[found.labels[place]], found.classes[found.answers[place]]
    return f"{label} taken for {answer} ({100 * found.sure[place]:.0f}%)"


def _inputs(
    data: DataSet, found: Answers, places: NDArray[np.int64]
) -> list[NDArray[np.float64]] | None:
    """Of these items, each [T, C, H, W], T = 1 of images; None where the test split is another."""
    at = {int(item): i for i, item in enumerate(data.test.ids)}
    wanted = [at.get(int(found.items[place])) for place in places]
    indices = torch.tensor([i for i in wanted if i is not None], dtype=torch.int64)
    same = len(indices) == len(places) and bool(
        (data.test.targets[indices].numpy() == found.labels[places]).all()
    )
    if not same:
        return None
    x = data.test.inputs(indices).double()
    x = x.unsqueeze(0) if x.ndim == 4 else x
    return [np.asarray(x[:, i].numpy()) for i in range(len(places))]


def _frames(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pictures [K, H, W, 3] in 0 ... 1 of one sample [T, C, H, W]: gray, colour, or polarities."""
    steps = np.unique(np.linspace(0, len(sample) - 1, min(FRAMES, len(sample))).round().astype(int))
    shown = sample[steps]
    low, high = shown.min(), shown.max()
    scaled = (shown - low) / (high - low) if high > low else np.zeros_like(shown)
    channels = [scaled[:, i] for i in range(scaled.shape[1])]
    if len(channels) == 2:  # OFF, ON: blue and orange on black
        off, on = channels
        rgb = (on, (on + off) / 2, off)
    elif len(channels) == 3:
        rgb = (channels[0], channels[1], channels[2])
    else:
        rgb = (scaled.mean(axis=1),) * 3
    return np.stack(rgb, axis=-1)
