"""What a run makes of events that come one after another."""

from __future__ import annotations

from tempreg.data.errors import DataError
from tempreg.data.frames.live import LiveFrames
from tempreg.data.reading import Reading
from tempreg.errors import RequestError
from tempreg.options import DataOptions


def live_frames(
    reading: Reading | None,
    options: DataOptions,
    sample_ms: float | None,
    sample_events: int | None,
) -> LiveFrames | str:
    """Frames as the run's, or in words why there can't be any.

    Raises:
        RequestError: a sample's length was given, and there can't be any or it can't be that.
    """
    asked = sample_ms is not None or sample_events is not None
    if reading is None or reading.kind != "events":
        why = "a run that was trained on images, which have no time"
        if asked:
            raise RequestError(f"sample_ms and sample_events can't be for {why}")
        return why
    try:
        return LiveFrames(
            reading.sensor_size or reading.input_size,
            options,
            extent=reading.extent,
            sample_ms=sample_ms,
            sample_events=sample_events,
        )
    except DataError as error:
        if asked:
            raise RequestError(str(error)) from None
        return f"this run: {error}"
