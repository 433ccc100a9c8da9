"""A network that is shown one timestep after the other, and answers as soon as it is sure.

    stream = tempreg.Stream("runs/trt", until=0.95)
    for frames in timesteps:                 # [B, C, H, W] each, or [C, H, W] of one sample
        answer = stream.step(frames)
        if answer.done.all():
            break
    stream.reset()                           # before other samples

Each sample has its own state and its own count of timesteps, so that samples may begin and leave at
any time: `stream.reset([2])` begins a new one in the third place, `stream.keep(~answer.done)` goes
on with those that aren't done, whose frames alone are given from then on.

Of a run on events, a camera's can be given as they come, for one sample at a time:

    for t, x, y, p in camera:                # arrays, microseconds
        for answer in stream.events(t, x, y, p):
            if answer.done:
                ...                          # the next event begins a new sample
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, NamedTuple, final

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from tempreg.analysis.exits import NEVER, Calibration, scores
from tempreg.data.frames.live import LiveFrames
from tempreg.errors import RequestError
from tempreg.runs.build import build_options
from tempreg.runs.calibrate import calibration_of
from tempreg.runs.live import live_frames
from tempreg.runs.own.trust import Trust
from tempreg.runs.read import stored_network
from tempreg.runs.stepping import Stepping, make_stepping

Backend = Literal["auto", "torch", "events"]


@final
class Answer(NamedTuple):
    """What is known after a timestep; B samples.

    Attributes:
        logits: of this timestep, [B, classes].
        mean: of the logits so far, [B, classes]: what the class is decided by.
        probabilities: its softmax, [B, classes]; where the stream is calibrated, at the timestep's
            temperature.
        label: int64 [B], the class so far.
        confidence: its probability, [B], in (0, 1].
        steps: int64 [B], timesteps shown so far.
        done: bool [B]: the confidence (or the score that was calibrated) has reached `until`, or
            all timesteps were shown.
    """

    logits: Tensor
    mean: Tensor
    probabilities: Tensor
    label: Tensor
    confidence: Tensor
    steps: Tensor
    done: Tensor


@final
class Stream:
    """A network, one timestep at a time; see the module's docstring.

    Args:
        network: a finished run's folder, or a network whose neurons are tempreg's (`tempreg.LIF`
            or another of `tempreg.neurons`, anywhere in it), [1, B, ...] -> [1, B, classes]. It
            is put in evaluation mode and must not be trained or run otherwise meanwhile.
        until: the confidence, in (0, 1], from which on a sample is done, or one for each timestep;
            "calibrated": as `tempreg calibrate` found for the run; None: never before the last
            timestep.
        steps: timesteps after which a sample is done at the latest, >= 1; None: those that the
            network was trained with.
        backend: "torch" runs the network's modules; "events" its exported C, built at first use,
            which visits only the inputs that aren't zero, on a CPU, in float32; "auto" takes
            "events" where C can be exported of the network, on a CPU in float32, and a C compiler
            is there. `stream.backend` says which it is.
        trust_code: whether code that the run's folder names may be imported.
        sample_ms, sample_events: of `events`, what a sample is, where the run's frames are parts of
            whole recordings: milliseconds for data.frames time, events for count and number. None:
            the middle between the least and the most that were trained on.

    Raises:
        RequestError: the network has no such neurons, `until` or `steps` is out of range, or
            "events" can't run it here; the message says why.
        RunDirectoryError, CheckpointError: the run can't be used.
    """

    def __init__(
        self,
        network: nn.Module | str | PathLike[str],
        *,
        until: float | Sequence[float] | Literal["calibrated"] | None = None,
        steps: int | None = None,
        backend: Backend = "auto",
        trust_code: bool | Trust = False,
        sample_ms: float | None = None,
        sample_events: int | None = None,
    ) -> None:
        calibration = None
        if until == "calibrated":
            calibration = _calibration(network)
        self.live: LiveFrames | str = (
            "a network by itself: give Stream a run's folder, which says how events become frames"
        )
        if not isinstance(network, nn.Module):
            place = Path(network)
            config, data, network = stored_network(place, trust_code=trust_code)
            if data.numbers:
                raise RequestError(
                    f"the run in {place} answers with numbers, and a stream with classes: give it "
                    "tempreg.load(run), and take the logits of each timestep, or their mean"
                )
            options = build_options(config)
            self.live = live_frames(data.reading, options, sample_ms, sample_events)
        elif sample_ms is not None or sample_events is not None:
            raise RequestError(f"sample_ms and sample_events can't be for {self.live}")
        latest = getattr(network, "num_steps", None) if steps is None else steps
        if not isinstance(latest, int) or latest < 1:
            raise RequestError(
                f"steps must be >= 1, got {latest!r}: after how many timesteps a sample is done"
            )
        self.steps: int = latest
        self._score, self._temperatures = "confidence", torch.ones(self.steps, dtype=torch.float64)
        if calibration is None:
            self.until = _thresholds(until, self.steps)
        else:
            if len(calibration.temperatures) != self.steps:
                raise RequestError(
                    f"the run is calibrated for {len(calibration.temperatures)} timesteps, not "
                    f"{self.steps}"
                )
            self.until = torch.full((self.steps,), calibration.threshold, dtype=torch.float64)
            self._temperatures = torch.tensor(calibration.temperatures, dtype=torch.float64)
            self._score = calibration.score
        parameter = next(network.parameters(), None)
        self._place = None if parameter is None else parameter.device
        self._stepping: Stepping = make_stepping(network.eval(), backend)
        self.backend = self._stepping.name
        self._sum: Tensor | None = None
        self._shown = torch.empty(0, dtype=torch.int64)

    @torch.no_grad()
    def step(self, frames: Tensor) -> Answer:
        """Show one timestep: frames [B, C, H, W], or [C, H, W] of a single sample, scaled as those
        that the network was trained on.

        An error leaves the stream as it was before.

        Raises:
            RequestError: another number of samples than before, frames that are not finite, or that
                are on another device than the network.
            ValueError: a shape that the network doesn't take.
        """
        frames = frames.unsqueeze(0) if frames.ndim == 3 else frames
        if self._sum is not None and len(frames) != len(self._sum):
            raise RequestError(
                f"the stream has {len(self._sum)} samples, and frames of {len(frames)} came: give "
                "a row for each, or call reset() before other samples"
            )
        if self._place not in (None, frames.device):
            raise RequestError(
                f"frames are on {frames.device}, but the stream's network on {self._place}: move "
                "one of them with .to()"
            )
        if not torch.isfinite(frames).all():
            raise RequestError("frames hold a number that is not finite; the stream is unchanged")
        logits = self._stepping.step(frames)
        if self._sum is None:
            self._sum, shown = torch.zeros_like(logits), logits.new_zeros(len(logits)).long()
            self._shown = shown
        self._sum, self._shown = self._sum + logits, self._shown + 1
        return self._answer(logits)

    def events(self, t: ArrayLike, x: ArrayLike, y: ArrayLike, p: ArrayLike) -> list[Answer]:
        """Show events of one sample, binned as in training; the answer after each timestep that
        they end. With one that is done the sample ends, and the next event begins another.

        Args:
            t: microseconds, [N]; in any order within a timestep. `live.dropped` counts what comes
                later, or from outside of the sensor. A clock that goes back by a second begins a
                new sample, as `reset()` does.
            x, y, p: columns, rows, and polarities 0 and 1, [N] each.

        Raises:
            RequestError: the network is of images or no run, its frames need whole recordings, or
                the arrays aren't whole numbers of one length.
        """
        return [*self.each(t, x, y, p)]

    def each(self, t: ArrayLike, x: ArrayLike, y: ArrayLike, p: ArrayLike) -> Iterator[Answer]:
        """As `events`, but each answer as soon as it is known: of events over a long time, as after
        a silence or of a clock that runs wild, there are many. Ask for all of them before you show
        other events."""
        if isinstance(self.live, str):
            raise RequestError(f"events can't be for {self.live}")
        for frames in self.live.push(t, x, y, p):
            answer = self.step(frames)
            if bool(answer.done):
                self._forget()
                self.live.begin()
            yield answer

    def finish(self) -> Answer | None:
        """End the sample of `events`: what its timestep in progress says, None without an event."""
        rest = None if isinstance(self.live, str) else self.live.rest()
        answer = None if rest is None else self.step(rest)
        self.reset()
        return answer

    def _answer(self, logits: Tensor) -> Answer:
        assert self._sum is not None
        mean = self._sum / self._shown[:, None]
        place = self._shown.clamp(max=self.steps) - 1
        probabilities = (mean / self._temperatures.to(mean)[place, None]).softmax(dim=1)
        confidence, label = probabilities.max(dim=1)
        score = torch.from_numpy(scores(probabilities.double().cpu().numpy(), self._score))
        sure = score >= self.until[place.cpu()]
        done = sure.to(place.device) | (self._shown >= self.steps)
        return Answer(logits, mean, probabilities, label, confidence, self._shown, done)

    def reset(self, rows: Sequence[int] | Tensor | None = None) -> None:
        """Forget all samples, whose number and clock may then be others; or begin those at `rows`
        anew."""
        if rows is None or self._sum is None:
            self._forget()
            if not isinstance(self.live, str):
                self.live.forget()
            return
        chosen = torch.as_tensor(rows, dtype=torch.int64, device=self._sum.device)
        self._sum = self._sum.index_fill(0, chosen, 0.0)
        self._shown = self._shown.index_fill(0, chosen, 0)
        self._stepping.begin(chosen)

    def _forget(self) -> None:
        self._sum = None
        self._stepping.forget()

    def keep(self, which: Tensor) -> None:
        """Go on with the samples where `which` (bool [B]) is true; the others leave."""
        if self._sum is None or which.shape != self._shown.shape or which.dtype != torch.bool:
            size = 0 if self._sum is None else len(self._sum)
            raise RequestError(f"keep takes a bool for each of the stream's {size} samples")
        self._sum, self._shown = self._sum[which], self._shown[which]
        self._stepping.keep(which)


def _calibration(network: nn.Module | str | PathLike[str]) -> Calibration:
    found = None if isinstance(network, nn.Module) else calibration_of(Path(network))
    if found is None:
        raise RequestError(
            'until="calibrated" wants a run\'s folder with a calibration.json: `tempreg calibrate '
            "RUN --risk 0.02` makes one"
        )
    return found


def _thresholds(until: float | Sequence[float] | str | None, steps: int) -> Tensor:
    if until is None:
        return torch.full((steps,), NEVER, dtype=torch.float64)
    values = [*until] if isinstance(until, Sequence) else [until]
    values = values * steps if len(values) == 1 else values
    numbers = [v for v in values if isinstance(v, (int, float)) and 0 < v <= 1]
    if len(values) != steps or len(numbers) != steps:
        raise RequestError(
            f"until must be a confidence in (0, 1], or one for each of {steps} timesteps, got "
            f"{until!r}"
        )
    return torch.tensor(numbers, dtype=torch.float64)
