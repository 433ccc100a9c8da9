"""What a finished run says of single files; its training data isn't needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tempreg.data.errors import DataError
from tempreg.data.frames.extent import FAR, between, seconds
from tempreg.data.frames.recordings import Recordings
from tempreg.data.layout.class_folders import files_below
from tempreg.data.reading import Reading
from tempreg.foreign import sees_later
from tempreg.options import DataOptions, SourceOptions
from tempreg.options.field import check_option
from tempreg.runs.build import build_options
from tempreg.runs.launch import device_type
from tempreg.runs.own.trust import Trust
from tempreg.runs.read import stored_network
from tempreg.training.arithmetic import arithmetic
from tempreg.training.run_directory import RunDirectoryError

NO_EARLY = (
    "is answered by psn neurons, which see later timesteps: only what stands after the last is an "
    "answer"
)
"""Of `Prediction.doubts`."""
_AT_ONCE = 32
_MOST_WINDOWS = 1_000_000


@final
@dataclass(frozen=True)
class Prediction:
    """The most likely class of one file after each timestep.

    Attributes:
        classes: their names, [T].
        confidences: the softmax of the mean logits so far at that class, [T], in (0, 1].
        ranking: after the last timestep all classes and their confidences, the likeliest first.
        doubts: how the file differs from those that were trained on, a sentence each.
    """

    classes: list[str]
    confidences: list[float]
    ranking: list[tuple[str, float]]
    doubts: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Estimate:
    """The numbers that a network of a regression gives for one file.

    Attributes:
        names: of the D numbers.
        values: after each timestep, the mean of the outputs so far, [T][D].
        doubts: see `Prediction`.
    """

    names: tuple[str, ...]
    values: list[list[float]]
    doubts: tuple[str, ...] = ()


Answer = Prediction | Estimate


@final
@dataclass(frozen=True)
class Window:
    """A part of a recording.

    Attributes:
        start, end: seconds since its first event.
        events: how many there are in it.
        prediction: of these; None where there is none.
    """

    start: float
    end: float
    events: int
    prediction: Answer | None


@final
class Predictor:
    """What a run answers, file by file; `predictor` makes one."""

    def __init__(
        self,
        network: nn.Module,
        classes: tuple[str, ...],
        reading: Reading,
        options: DataOptions,
        device: torch.device | str,
        *,
        numbers: bool = False,
    ) -> None:
        self.network, self.classes, self.numbers = network.to(device), classes, numbers
        self.reading, self.options, self.device = reading, options, device
        self._dtype = next(network.parameters()).dtype
        self._late = (NO_EARLY,) if sees_later(network) else ()

    def __call__(self, file: Path) -> Answer:
        """What the run says of a file.

        Raises:
            DataError: it can't be read as the run's data was, or makes the network overflow.
        """
        if self.reading.kind != "events":
            answer = self._answers(self.reading.read(file, self.options), str(file))[0]
            return replace(answer, doubts=self._late)
        recording = self.reading.recording(file)
        frames = self.reading.frames(recording, self.options, str(file))
        answer = self._answers(frames, str(file))[0]
        return replace(answer, doubts=(*self.reading.doubts(recording, self.options), *self._late))

    def windows(self, file: Path, ms: float) -> Iterator[Window]:
        """What the run says of each `ms` milliseconds of a recording, from its first event on.

        Raises:
            DataError: as of a call; `ms` below 0.001, or more windows than a million.
        """
        try:
            check_option(SourceOptions, "frame_ms", ms, "--window")
        except ValueError as error:
            raise DataError(str(error)) from None
        recording = self.reading.recording(file)
        width = max(1, round(ms * 1000))
        since = recording.t.astype(np.int64) - int(recording.t[0])
        count = int(since[-1]) // width + 1
        if count > _MOST_WINDOWS:
            raise DataError(
                f"{file} lasts {seconds(since[-1] + 1)}, {count:,} windows: take longer"
            )
        bounds = np.searchsorted(since, np.arange(count + 1) * width)
        for begin in range(0, count, _AT_ONCE):
            edges = bounds[begin : begin + _AT_ONCE + 1]
            yield from self._few_windows(file, recording, edges, begin, ms)

    def window_doubt(self, ms: float) -> str | None:
        """A sentence where windows are far longer or shorter than what was trained on."""
        extent = self.reading.extent
        if extent is None or self.reading.kind != "events":
            return None
        least, most = extent.microseconds
        if most >= ms * 1000 / FAR and least <= ms * 1000 * FAR:
            return None
        trained = between(seconds, least, most)
        return f"windows of {seconds(ms * 1000)}, and what was trained on lasts {trained}"

    def _few_windows(
        self,
        file: Path,
        recording: Recordings,
        edges: NDArray[np.int64],
        begin: int,
        ms: float,
    ) -> Iterator[Window]:
        sizes = np.diff(edges)
        part = slice(int(edges[0]), int(edges[-1]))
        offsets = np.concatenate([[0], np.cumsum(sizes[sizes > 0])])
        t, x, y, p = (getattr(recording, name)[part] for name in "txyp")
        answers: Iterator[Answer] = iter(())
        if len(offsets) > 1:
            pieces = Recordings(t, x, y, p, offsets, recording.sensor_size)
            frames = self.reading.frames(pieces, self.options, str(file))
            answers = iter(self._answers(frames, str(file)))
        for place, size in enumerate(sizes.tolist(), begin):
            answer = next(answers) if size else None
            yield Window(place * ms / 1000, (place + 1) * ms / 1000, size, answer)

    def files(self, folder: Path) -> tuple[list[Path], int]:
        """The files of the run's kind anywhere below a folder, and how many others there are.

        Raises:
            DataError: there is none, or the folder can't be read.
        """
        found = files_below(folder, None)
        mine = [path for path in found if path.suffix.lower() in self.reading.suffixes]
        if not mine:
            kind = "recording" if self.reading.kind == "events" else "image"
            raise DataError(f"{folder} holds no {kind}: name files, or a folder that has some")
        return mine, len(found) - len(mine)

    @torch.no_grad()
    def _answers(self, x: Tensor, where: str) -> list[Answer]:
        with arithmetic(torch.device(self.device).type, tf32=False):
            logits = self.network(x.to(self.device, self._dtype))
        if not torch.isfinite(logits).all():
            raise DataError(f"{where}: the network of the run answers with numbers not finite")
        steps = torch.arange(1, len(logits) + 1, device=logits.device)[:, None, None]
        means = logits.cumsum(0) / steps
        if self.numbers:
            return [Estimate(self.classes, each.tolist()) for each in means.unbind(1)]
        shares = means.softmax(dim=-1)
        best, index = shares.max(dim=-1)
        return [self._one(shares[-1, i], best[:, i], index[:, i]) for i in range(logits.shape[1])]

    def _one(self, last: Tensor, best: Tensor, index: Tensor) -> Prediction:
        order = last.sort(descending=True, stable=True)
        ranked = zip(order.indices.tolist(), order.values.tolist(), strict=True)
        return Prediction(
            [self.classes[i] for i in index.tolist()],
            best.tolist(),
            [(self.classes[i], share) for i, share in ranked],
        )


def predictor(path: Path, *, trust_code: bool | Trust = False) -> Predictor:
    """What answers for the run in the folder `path`, file by file; `trust_code`: see `load_run`.

    Raises:
        RunDirectoryError, CheckpointError: the run can't be used.
    """
    config, data, network = stored_network(path, trust_code=trust_code)
    if data.reading is None:
        raise RunDirectoryError(
            f"the data set {data.name} of the run in {path} has no way to read single files"
        )
    options = build_options(config)
    device, numbers = device_type(config), bool(data.numbers)
    return Predictor(network, data.classes, data.reading, options, device, numbers=numbers)
