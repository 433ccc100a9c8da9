"""Norse 1.1: models called with an explicit state, (outputs, state) = model(inputs, state)."""

from __future__ import annotations

from typing import Any, ClassVar, final

from torch import Tensor, nn

from tempreg.foreign import described
from tempreg.interop import base


@final
class TimeFirst(base.TimeFirst):
    """A Norse model with logits [T, B, classes].

    Every pass starts without a state. With per_step=True, for models of cells, the state that a
    step returns is passed to the next one. Arguments: see `base.TimeFirst`. Of (outputs, state)
    the first is taken; `output` is for models that return anything else, such as two tensors.
    """

    library: ClassVar[str] = "Norse"

    def steps_alone(self, module: nn.Module) -> bool:
        """Norse's cells."""
        return any(cls.__name__ in ("SNNCell", "SNNRecurrentCell") for cls in type(module).__mro__)

    def state(self, module: nn.Module) -> dict[str, Tensor]:
        """None is kept by Norse's modules."""
        return {}

    def rest(self, module: nn.Module) -> None:
        """Nothing to do."""

    def call(self, x: Tensor) -> Any:
        """The outputs; a state beside them is dropped."""
        raw = self.model(x)
        has_state = isinstance(raw, tuple) and len(raw) == 2 and not isinstance(raw[1], Tensor)
        return raw[0] if has_state and self.output is None else raw

    def step(self, x: Tensor, state: Any) -> tuple[Any, Any]:
        """The output of one timestep, and the state for the next."""
        raw = self.model(x) if state is None else self.model(x, state)
        if not isinstance(raw, tuple) or len(raw) != 2:
            raise ValueError(
                f"for one timestep {self._name()} returned {described(raw)}: a Norse model "
                "that takes one timestep a call must return (outputs, state), for its neurons "
                "would start anew at every timestep"
            )
        outputs, state = raw
        return outputs, state
