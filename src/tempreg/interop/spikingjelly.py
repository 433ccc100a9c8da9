"""SpikingJelly 2.0: models in step mode "m", whole sequences with time first, and "s"."""

from __future__ import annotations

from typing import Any, ClassVar, final

from torch import Tensor, nn

from tempreg.foreign import library_of
from tempreg.interop import base


@final
class TimeFirst(base.TimeFirst):
    """A SpikingJelly model with logits [T, B, classes].

    Whether it takes a sequence or one timestep a call is read off its neurons' step mode.

    Args:
        model, num_steps, output, batch_first, num_classes: see `base.TimeFirst`.
        per_step: needed only where some neurons have step mode "s" and others "m".
    """

    library: ClassVar[str] = "SpikingJelly"

    def __init__(
        self,
        model: nn.Module,
        *,
        num_steps: int,
        per_step: bool | None = None,
        output: int | str | None = None,
        batch_first: bool | None = None,
        num_classes: int | None = None,
    ) -> None:
        modes = {m.step_mode for m in _neurons(model).values()}
        if per_step is None:
            if len(modes) > 1:
                raise ValueError(
                    f"{type(model).__name__} has neurons of step modes 's' and 'm': say "
                    "per_step=True if it takes one timestep a call, else per_step=False"
                )
            # Nothing to tell by: the base class refuses a model without neurons.
            per_step = modes == {"s"}
        super().__init__(
            model,
            num_steps=num_steps,
            per_step=per_step,
            output=output,
            batch_first=batch_first,
            num_classes=num_classes,
        )

    def steps_alone(self, module: nn.Module) -> bool:
        """Step mode "s"."""
        return bool(module.step_mode == "s")

    def state(self, module: nn.Module) -> dict[str, Tensor]:
        """Memories that have become tensors, less the values that they are reset to."""
        memories: dict[str, Any] = module._memories  # type: ignore[assignment]
        starts: dict[str, Any] = module._memories_rv  # type: ignore[assignment]
        return {
            name: value - starts[name] if isinstance(starts[name], (float, Tensor)) else value
            for name, value in memories.items()
            if isinstance(value, Tensor)
        }

    def rest(self, module: nn.Module) -> None:
        """Its own reset()."""
        module.reset()  # type: ignore[operator]


def reset(model: nn.Module) -> None:
    """Puts the neurons of this model, and of no other, at rest."""
    for module in _neurons(model).values():
        module.reset()


def _neurons(model: nn.Module) -> dict[str, Any]:
    return {n: m for n, m in model.named_modules() if library_of(m) == "SpikingJelly"}
