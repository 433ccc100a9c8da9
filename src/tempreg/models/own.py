"""A network that tempreg doesn't know from inside: time is put first, and its output is checked."""

from __future__ import annotations

import inspect
from typing import Any, final

from torch import Tensor, nn
from typing_extensions import override

from tempreg.foreign import described
from tempreg.models.padding import held, lengths_of, only


@final
class OwnNetwork(nn.Module):
    """Any module that takes [T, B, C, H, W] and returns logits [T, B, num_classes].

    A static input [B, C, H, W] is shown at each of `num_steps` timesteps, without a copy. The
    module's parameters are this one's, under "model.".

    Of sequences of unequal length (`padded`) it is given their `lengths`, int64 [B], where its
    forward takes an argument of that name; what it says after a sequence's end counts for nothing.

    Args:
        model: the module.
        num_classes, in_channels: >= 1, of its output and its input.
        num_steps: T of static inputs, >= 1; others bring their own.
        output: where the logits are in what it returns, if that is several things: an index, or
            the key of a dict.

    Raises:
        ValueError: when called, for an input or output of another shape.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        num_classes: int,
        in_channels: int,
        num_steps: int,
        output: int | str | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.num_classes, self.in_channels, self.num_steps = num_classes, in_channels, num_steps
        self.output = output
        self.padded = False
        self.takes_lengths = "lengths" in inspect.signature(model.forward).parameters

    @override
    def forward(self, x: Tensor) -> Tensor:
        if x.ndim not in (4, 5) or x.shape[-3] != self.in_channels:
            raise ValueError(
                f"{self._name()} takes [B, {self.in_channels}, H, W] or "
                f"[T, B, {self.in_channels}, H, W], got shape {[*x.shape]}"
            )
        shown = x.expand(self.num_steps, *x.shape) if x.ndim == 4 else x
        if not self.padded or x.ndim == 4:
            return self._checked(self.model(shown), shown)
        lengths = lengths_of(x)
        given = {"lengths": lengths} if self.takes_lengths else {}
        with only(lengths, len(x)):
            return held(self._checked(self.model(shown, **given), shown), lengths)

    def _checked(self, made: Any, shown: Tensor) -> Tensor:
        """The logits of what the module returned, which must have their shape."""
        if self.output is not None:
            made = self._picked(made)
        if (
            not isinstance(made, Tensor)
            or made.ndim != 3
            or made.shape[:2] != shown.shape[:2]
            or made.shape[2] != self.num_classes
        ):
            raise ValueError(self._refusal(made, shown))
        return made

    def _name(self) -> str:
        return type(self.model).__name__

    def _picked(self, made: Any) -> Any:
        try:
            return made[self.output]
        except (LookupError, TypeError):
            raise ValueError(
                f"{self._name()} returns {described(made)}, which has no output {self.output!r}"
            ) from None

    def _refusal(self, made: Any, shown: Tensor) -> str:
        """What is wrong with an output, and what to do."""
        steps, batch = shown.shape[:2]
        wanted = f"[T={steps}, B={batch}, classes={self.num_classes}]"
        said = f"{self._name()} returns {described(made)} for an input {[*shown.shape]}"
        if isinstance(made, (tuple, list, dict)):
            return (
                f"{said}, where logits {wanted} are needed: return them alone, or say which output "
                "they are, as --model.wrap-options '{output: 0}'"
            )
        if not isinstance(made, Tensor):
            return f"{said}, where logits {wanted} are needed"
        if made.shape[:2] == (batch, steps) and made.ndim == 3 and steps != batch:
            return f"{said}, with time and batch swapped: return it .transpose(0, 1), as {wanted}"
        if made.shape == (batch, self.num_classes):
            return (
                f"{said}, without timesteps: return the logits of every timestep, {wanted}, before "
                "a mean or sum over time"
            )
        if made.shape[:2] == (steps, batch) and made.ndim == 3:
            return (
                f"{said}: the data has {self.num_classes} classes, and the last dimension must "
                "have as many; ask for num_classes in the signature of its __init__"
            )
        return f"{said}, where logits {wanted} are needed: the logits of every timestep, time first"
