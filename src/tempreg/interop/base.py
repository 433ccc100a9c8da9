"""What the wrappers of all libraries share: layouts of inputs and outputs, and fresh states.

Shapes: inputs [T, B, F] or [T, B, C, H, W] with time first, or static [B, F] or [B, C, H, W],
which are shown at each of T timesteps; logits [T, B, classes].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tempreg.foreign import described, library_of
from tempreg.interop.states import refuse_kept_states, refuse_left_states


class TimeFirst(nn.Module, ABC):
    """A model of another library whose logits come out as [T, B, classes].

    Every forward pass starts from rest and leaves the model's neurons at rest, and only this
    model's. Subclass it for a library and define the class variables and abstract methods.

    Args:
        model: the model; its parameters are this module's, under "model.".
        num_steps: T, >= 1, of every input and output.
        per_step: whether the model takes one timestep [B, ...] a call and returns its output,
            rather than a whole sequence.
        output: where the logits are in what the model returns, if it returns several things:
            an index, or a key of a dict.
        batch_first: whether the model's outputs are [B, T, classes]. None lets the shape say,
            where T and the batch size differ; what it once said holds from then on.
        num_classes: how many classes the outputs must have; any number if None.

    Raises:
        ValueError: bad arguments, or a model without neurons of this library. When called: an
            input or output of another shape, an ambiguous output, a state that another call of
            the model left.
    """

    library: ClassVar[str]
    checked = True
    """Whether states and calls are watched, whose values a traced program can't look at."""

    def __init__(
        self,
        model: nn.Module,
        *,
        num_steps: int,
        per_step: bool = False,
        output: int | str | None = None,
        batch_first: bool | None = None,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        if num_steps < 1:
            raise ValueError(f"num_steps must be >= 1, got {num_steps}")
        if per_step and batch_first:
            raise ValueError(
                "batch_first is about models that return a whole sequence; with per_step=True "
                "time is put first here: leave batch_first out"
            )
        self.num_steps, self.per_step, self.output = num_steps, per_step, output
        self.batch_first, self.num_classes = batch_first, num_classes
        kinds = {found for m in model.modules() if (found := library_of(m))}
        if kinds - {self.library} or not kinds:
            has = f"neurons of {' and '.join(sorted(kinds))}" if kinds else "no neurons known here"
            raise ValueError(
                f"{type(model).__name__} has {has}, but interop.{self.library.lower()} is for "
                f"models of {self.library}"
            )
        self.model = model

    @abstractmethod
    def steps_alone(self, module: nn.Module) -> bool:
        """Whether this module of the library takes one timestep a call, [B, ...]."""

    @abstractmethod
    def state(self, module: nn.Module) -> dict[str, Tensor]:
        """What a module of the library would start its next call with, where not at rest."""

    @abstractmethod
    def rest(self, module: nn.Module) -> None:
        """Puts one module of the library at rest, without touching tensors of a past graph."""

    def call(self, x: Tensor) -> Any:
        """What the model returns for a whole sequence [T, B, ...]."""
        return self.model(x)

    def step(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        """What the model returns for one timestep [B, ...], and its state where it's explicit."""
        return self.model(x), None

    def forward(self, x: Tensor) -> Tensor:
        """Logits [T, B, classes]; inputs as in `tempreg.interop.base`."""
        shown = self._shown(x)
        if not self.checked:
            return self._unwatched(shown)
        refuse_left_states(self.library, self._layers(), self.state)
        try:
            with self._watching(shown.shape[1]):
                made = self._steps(shown) if self.per_step else self._picked(self.call(shown))
            refuse_kept_states(self.model, shown.shape[1])
        finally:
            for module in self._layers().values():
                self.rest(module)
        logits = made if self.per_step else self._arranged(made, shown.shape[1])
        if self.num_classes not in (None, logits.shape[2]):
            raise ValueError(
                f"{self._name()} gives {logits.shape[2]} outputs at each timestep, but "
                f"num_classes={self.num_classes}: choose the output that holds the logits "
                "(output=...), or correct num_classes"
            )
        return logits

    def _unwatched(self, x: Tensor) -> Tensor:
        """As `forward`, for a copy that is traced: from rest, and nothing is looked at."""
        for module in self._layers().values():
            self.rest(module)
        made = self._steps(x) if self.per_step else self._picked(self.call(x))
        for module in self._layers().values():
            self.rest(module)
        return made.transpose(0, 1) if self.batch_first and not self.per_step else made

    def _steps(self, x: Tensor) -> Tensor:
        """[T, B, classes], one timestep a call."""
        state, made = None, []
        for x_t in x:
            raw, state = self.step(x_t, state)
            made.append(self._picked(raw))
        if made[0].ndim != 2 or made[0].shape[0] != x.shape[1]:
            raise ValueError(
                f"for one timestep {[*x.shape[1:]]} {self._name()} returned "
                f"{[*made[0].shape]}, expected [{x.shape[1]}, classes]: if it takes whole "
                "sequences, leave per_step out"
            )
        return torch.stack(made)

    def _shown(self, x: Tensor) -> Tensor:
        """[T, B, ...]; ValueError for other layouts."""
        if not 2 <= x.ndim <= 5:
            raise ValueError(
                "inputs must be [T, B, F] or [T, B, C, H, W], or static [B, F] or [B, C, H, W], "
                f"got shape {[*x.shape]}"
            )
        if x.ndim % 2 == 0:
            return x.expand(self.num_steps, *x.shape)
        if len(x) != self.num_steps:
            swapped = (
                ": this looks like batch first, pass x.transpose(0, 1)"
                if x.shape[1] == self.num_steps
                else ": time is the first dimension here"
            )
            raise ValueError(
                f"inputs {[*x.shape]} have {len(x)} timesteps, but "
                f"num_steps={self.num_steps}{swapped}"
            )
        return x

    def _picked(self, raw: Any) -> Tensor:
        """The logits among what the model returned."""
        if isinstance(raw, Tensor):
            if self.output is not None:
                raise ValueError(
                    f"{self._name()} returns one tensor {[*raw.shape]}: leave "
                    f"output={self.output!r} out"
                )
            return raw
        if isinstance(raw, (tuple, list, dict)) and self.output is not None:
            try:
                chosen = raw[self.output]  # type: ignore[index]
            except (LookupError, TypeError):
                raise ValueError(
                    f"{self._name()} returns {described(raw)}, which has no output {self.output!r}"
                ) from None
        elif isinstance(raw, list):
            chosen = raw
        else:
            raise ValueError(
                f"{self._name()} returns {described(raw)}: say which of them are the logits, by "
                "output=0, 1, ... (the neurons' outputs of a (spikes, membrane) pair are 0, "
                "their membrane potentials 1)"
            )
        if isinstance(chosen, list) and all(isinstance(step, Tensor) for step in chosen):
            return torch.stack(chosen)
        if not isinstance(chosen, Tensor):
            raise ValueError(
                f"output {self.output!r} of {self._name()} is {described(chosen)}, no tensor of "
                f"logits; it returns {described(raw)}"
            )
        return chosen

    def _arranged(self, made: Tensor, batch: int) -> Tensor:
        """[T, B, classes] of a model's output for a whole sequence."""
        steps, expected = self.num_steps, f"[T={self.num_steps}, B={batch}, classes]"
        if made.shape[:1] == (batch,) and made.ndim == 2:
            raise ValueError(
                f"{self._name()} returned {[*made.shape]}, without timesteps, but {expected} is "
                "needed: return every step's output, before a mean or sum over time; if it takes "
                "one timestep a call, pass per_step=True"
            )
        either = made.ndim == 3
        fits = {
            first
            for first, shape in ((False, (steps, batch)), (True, (batch, steps)))
            if either and made.shape[:2] == shape
        }
        if self.batch_first is None and len(fits) == 2:
            raise ValueError(
                f"{self._name()} returned {[*made.shape]}, and T and the batch size are both "
                f"{steps}, so that the shape can't tell time from batch: say batch_first=False "
                "([T, B, classes]) or batch_first=True ([B, T, classes])"
            )
        if self.batch_first is None and fits:
            self.batch_first = fits.pop()
        elif self.batch_first not in fits:
            hint = "choose another output, or leave out what changes its shape"
            if fits:
                hint = f"time and batch are swapped: say batch_first={fits.pop()}"
            raise ValueError(
                f"{self._name()} returned {[*made.shape]}, expected "
                f"{expected if not self.batch_first else f'[B={batch}, T={steps}, classes]'}: "
                f"{hint}"
            )
        return made.transpose(0, 1) if self.batch_first else made

    def _layers(self) -> dict[str, nn.Module]:
        """The library's layers of neurons, by module path."""
        return {name: m for name, m in self.model.named_modules() if library_of(m)}

    @contextmanager
    def _watching(self, batch: int) -> Iterator[None]:
        """ValueError where a layer takes time for batch or batch for time, which none would say."""
        calls: dict[str, int] = {}
        handles = []

        def seen(name: str) -> Any:
            def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
                calls[name] = calls.get(name, 0) + 1
                if args and isinstance(args[0], Tensor):
                    self._check_call(name, module, args[0], batch)

            return hook

        for name, module in self._layers().items():
            handles.append(module.register_forward_hook(seen(name)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        for name, module in self._layers().items():
            if self.steps_alone(module) and calls.get(name, 0) % self.num_steps:
                raise ValueError(
                    f"{self._kind(name, module)} takes one timestep a call and was called "
                    f"{calls[name]} times for T={self.num_steps}: run it at every timestep; if the "
                    "model takes one timestep a call, pass per_step=True"
                )

    def _check_call(self, name: str, module: nn.Module, given: Tensor, batch: int) -> None:
        if self.steps_alone(module) and len(given) != batch:
            raise ValueError(
                f"{self._kind(name, module)} takes one timestep [B, ...] a call, but was given "
                f"{[*given.shape]} for a batch of {batch}: "
                + (
                    "if the model takes whole sequences, pass per_step=False"
                    if self.per_step
                    else "if the model takes one timestep a call, pass per_step=True"
                )
            )
        if self.per_step and not self.steps_alone(module):
            raise ValueError(
                f"{self._kind(name, module)} takes whole sequences, and would take a batch for "
                "time: pass per_step=False, for a model that takes whole sequences"
            )

    def _kind(self, name: str, module: nn.Module) -> str:
        return f"{name!r} ({self.library}'s {type(module).__name__})"

    def _name(self) -> str:
        return type(self.model).__name__
