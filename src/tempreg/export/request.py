"""What a format is asked to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import Tensor

from tempreg.data.reading import Reading, by_channel
from tempreg.models.base import SpikingNetwork
from tempreg.options import DataOptions


@final
@dataclass(frozen=True)
class Request:
    """A network, and where to.

    Attributes:
        network: in evaluation mode, in float32.
        file: to replace, in a folder that exists.
        input_size: (H, W) of the network's inputs.
        events: whether each timestep has a frame of its own; else one image is shown at all.
        classes: their names, in the order of the logits.
        stateful: whether one timestep is asked for, and not all; only of a format that has it.
        scale, offset: the network's inputs are x * scale + offset of pixels or counts x; one value,
            or one a channel.
        thresholds, temperatures: by timestep, the confidence from which on it answers, and what
            mean logits are divided by for it; empty: it answers after the last.
        prefix: of the names in C.
        int8: whole numbers in place of float32; only of a format that has it.
        reading: how a file becomes an input; None: the data set can't say.
        options: how the run's data was read; with `reading`.
        numbers: whether the outputs are numbers, of a regression, and no logits.
        raw: images go in as the network takes them, standardised; else as pixels of 0 to 255.
    """

    network: SpikingNetwork
    file: Path
    input_size: tuple[int, int]
    events: bool
    classes: tuple[str, ...]
    stateful: bool = False
    scale: float | Sequence[float] = 1.0
    offset: float | Sequence[float] = 0.0
    thresholds: Sequence[float] = ()
    temperatures: Sequence[float] = ()
    prefix: str = "net"
    int8: bool = False
    reading: Reading | None = None
    options: DataOptions | None = None
    raw: bool = False
    numbers: bool = False

    @property
    def scaling(self) -> tuple[float | Tensor, float | Tensor] | None:
        """What pixels are multiplied by, and what is added, where the file does so itself."""
        reading = self.reading
        if self.raw or reading is None or reading.kind != "images":
            return None
        return by_channel(self.scale), by_channel(self.offset)
