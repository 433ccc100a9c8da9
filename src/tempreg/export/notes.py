"""What a file can't do without: how its input is made, and how its output is read, in words."""

from __future__ import annotations

from collections.abc import Sequence

from tempreg.data.reading import Reading
from tempreg.errors import one_line
from tempreg.export.request import Request
from tempreg.options import DataOptions

_FRAMES = {
    "time": "{T} frames of equal time from its first event to its last",
    "count": "{T} frames of equally many events, to one",
    "number": "{T} frames of floor(N / {T}) of its N events, the rest in the last",
    "published": "{T} frames of floor(N / {T}) of its N events, the rest left out, each cell 0 or "
    "1, of both polarities together in channel 1",
    "duration": "{T} frames of {ms:g} ms from its first event on, later events left out",
}
_NORMALISED = {
    "none": "",
    "max": "; all divided by the recording's largest count",
    "percentile": "; all divided by the 99th percentile of its counts above 0, more cut to 1",
}
READOUT = "the class is the largest mean of the logits over the timesteps"


ESTIMATE = "the answer is their mean over the timesteps"


def notes_of(request: Request, shape: str) -> dict[str, str]:
    """Everything that a user of the file needs, by name.

    Args:
        request: see `Request`.
        shape: of the input, in words.
    """
    steps = "one timestep, called once for each" if request.stateful else "all timesteps at once"
    found = {
        "source": "tempreg",
        "input": f"{shape}: {_values(request)}",
        "prepare": _prepared(request),
        "timesteps": f"{request.network.num_steps}, {steps}",
        "output": f"numbers; {ESTIMATE}" if request.numbers else f"logits; {READOUT}",
        "classes": "\n".join(map(one_line, request.classes)),
    }
    if request.reading is not None and request.reading.kind == "images":
        mean, std = statistics(request.reading)
        found |= {"mean": _listed(mean), "std": _listed(std)}
    return found


def told(notes: dict[str, str]) -> list[str]:
    """The same for a person, a line each."""
    classes = notes["classes"].split("\n")
    named = ", ".join(f"{i} {name}" for i, name in enumerate(classes[:10]))
    more = f" and {len(classes) - 10} more" if len(classes) > 10 else ""
    return [
        f"input: {notes['input']}",
        f"prepare: {notes['prepare']}",
        f"output: {notes['output']}",
        f"{'numbers' if notes['output'].endswith(ESTIMATE) else 'classes'}: {named}{more}",
    ]


def statistics(reading: Reading) -> tuple[list[float], list[float]]:
    """Mean and standard deviation by channel, of pixels in 0 ... 1."""
    scale, offset = _by_channel(reading.scale), _by_channel(reading.offset)
    std = [1 / (255 * s) for s in scale]
    return [-o * s for o, s in zip(offset, std, strict=True)], std


def _by_channel(value: float | Sequence[float]) -> list[float]:
    return list(value) if isinstance(value, Sequence) else [value]


def _values(request: Request) -> str:
    reading = request.reading
    if reading is None:
        return "as the run's data set gives them"
    if reading.kind == "events":
        return "events counted by timestep, polarity (channel 0 OFF, 1 ON) and pixel"
    mean, std = map(_listed, statistics(reading))
    kind = "grey" if reading.in_channels == 1 else "RGB"
    if request.raw:
        return f"{kind}, (pixel / 255 - mean) / std with mean {mean} and std {std}"
    return (
        f"{kind} pixels from 0 to 255 as they are; the file itself standardises them by mean "
        f"{mean} and std {std} of pixels in 0 to 1"
    )


def _prepared(request: Request) -> str:
    reading, options = request.reading, request.options
    if reading is None or options is None:
        return "as the run's data set gives them; a file can't be read as one"
    height, width = reading.input_size
    if reading.kind == "events":
        return _framed(reading, options, request.network.num_steps)
    if not reading.resized:
        return f"images of {width} x {height} pixels"
    side = height if reading.shorter_side is None else reading.shorter_side
    return (
        f"the shorter side to {side} pixels, bilinear with antialiasing; the middle "
        f"{width} x {height} of that"
    )


def _framed(reading: Reading, options: DataOptions, steps: int) -> str:
    said = _FRAMES[options.frames].format(T=steps, ms=options.frame_ms or 0)
    sensor = reading.sensor_size or reading.input_size
    said = f"a recording of {sensor[1]} x {sensor[0]} pixels becomes {said}"
    if reading.input_size != sensor:
        how = "by area, so that sums stay" if options.resize == "area" else "bilinear, antialiased"
        said += f"; resized to {reading.input_size[1]} x {reading.input_size[0]}, {how}"
    return said + _NORMALISED[options.normalise]


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
