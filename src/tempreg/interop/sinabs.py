"""sinabs 3.1: models that have batch first inside, as [B, T, ...], or [B * T, ...] where their
neurons are "squeeze" layers."""

from __future__ import annotations

from typing import Any, ClassVar, final

from torch import Tensor, nn

from tempreg.foreign import library_of
from tempreg.interop import base


@final
class TimeFirst(base.TimeFirst):
    """A sinabs model with logits [T, B, classes].

    It is given [B * T, ...] if it has squeeze layers and no FlattenTime, else [B, T, ...], and
    must return [B * T, classes] or [B, T, classes]. Squeeze layers want num_timesteps=T rather
    than a batch_size, so that the last, smaller batch of an epoch fits too.

    Args:
        model, num_steps, output, num_classes: see `base.TimeFirst`.
    """

    library: ClassVar[str] = "sinabs"

    def __init__(
        self,
        model: nn.Module,
        *,
        num_steps: int,
        output: int | str | None = None,
        num_classes: int | None = None,
    ) -> None:
        super().__init__(
            model, num_steps=num_steps, output=output, num_classes=num_classes, batch_first=True
        )
        opened = any(type(m).__name__ == "FlattenTime" for m in model.modules())
        self.flat = bool(_squeezed(model)) and not opened
        self.inside = BatchFirst(num_steps)

    def steps_alone(self, module: nn.Module) -> bool:
        """None of sinabs' layers does."""
        return False

    def state(self, module: nn.Module) -> dict[str, Tensor]:
        """Membrane potentials and currents of an earlier call."""
        return _states(module)

    def rest(self, module: nn.Module) -> None:
        """Empty states; reset_states() would write zeros into a graph that is still needed."""
        for name, value in _states(module).items():
            setattr(module, name, value.new_zeros(0))

    def call(self, x: Tensor) -> Any:
        """What the model returns, [B * T, classes] as [B, T, classes]."""
        steps, batch = x.shape[:2]
        for name, layer in _squeezed(self.model).items():
            if layer.num_timesteps not in (-1, steps) or layer.batch_size not in (-1, batch):
                raise ValueError(
                    f"the squeeze layer {name!r} was made for batch_size={layer.batch_size} and "
                    f"num_timesteps={layer.num_timesteps} (-1: any), but gets {batch} samples of "
                    f"{steps} timesteps, and would mix the two: make it with num_timesteps={steps}"
                )
        self.inside.batch = batch
        given = x.transpose(0, 1)
        made = self.model(given.flatten(0, 1) if self.flat else given)
        if not self.checked:  # traced: the statistic that sinabs keeps would be left in the graph
            for module in self._layers().values():
                vars(module).pop("firing_rate", None)
        if isinstance(made, Tensor) and made.ndim == 2 and made.shape[0] == batch * steps:
            return made.unflatten(0, (batch, steps))
        return made


@final
class BatchFirst:
    """The layout inside a sinabs model, which analyses of its layers turn to time first.

    Tensors are [B, T, ...] or [B * T, ...] inside; any other, which has no time, stays as it is.

    Attributes:
        steps: T.
        batch: the samples of the forward pass that runs, or ran last.
    """

    def __init__(self, steps: int) -> None:
        self.steps, self.batch = steps, 0

    def to_time_first(self, x: Tensor) -> Tensor:
        """[B, T, ...] -> [T, B, ...], or [B * T, ...] -> [T * B, ...]."""
        return self._swapped(x, x, self.batch, self.steps)

    def from_time_first(self, x: Tensor, like: Tensor) -> Tensor:
        """The way back, to the layout of `like`."""
        return self._swapped(x, like, self.steps, self.batch)

    def _swapped(self, x: Tensor, like: Tensor, outer: int, inner: int) -> Tensor:
        """The first two dimensions, [outer, inner] or both in one as in `like`, swapped."""
        # With T = 1, [B, 1, F] and [B, C, H, W] are told apart by their number of dimensions.
        apart = like.shape[:2] == (self.batch, self.steps)
        if apart and (self.steps > 1 or like.ndim % 2):
            return x.transpose(0, 1)
        if like.shape[:1] != (self.batch * self.steps,):
            return x
        unfolded: Tensor = x.unflatten(0, (outer, inner))
        return unfolded.transpose(0, 1).flatten(0, 1)


def reset(model: nn.Module) -> None:
    """Puts the layers of this model, and of no other, at rest."""
    for module in model.modules():
        if library_of(module) == "sinabs":
            for name, value in _states(module).items():
                setattr(module, name, value.new_zeros(0))


def _states(module: nn.Module) -> dict[str, Any]:
    return dict(module.named_buffers(recurse=False))


def _squeezed(model: nn.Module) -> dict[str, Any]:
    return {
        name: module
        for name, module in model.named_modules()
        if any(cls.__name__ == "SqueezeMixin" for cls in type(module).__mro__)
    }
