"""snnTorch 1.0: models that loop over time themselves and return (spikes, membranes), or take one
timestep a call with hidden states (init_hidden=True)."""

from __future__ import annotations

from typing import Any, ClassVar, final

from torch import Tensor, nn

from tempreg.foreign import library_of
from tempreg.interop import base


@final
class TimeFirst(base.TimeFirst):
    """A snnTorch model with logits [T, B, classes].

    snnTorch's own reset() functions reset the neurons of every model in the process; here it is
    those of this model. Arguments: see `base.TimeFirst`. Of (spikes, membranes) `output` 0 and 1
    choose; each may be a tensor or a list with a tensor for each timestep.
    """

    library: ClassVar[str] = "snnTorch"

    def steps_alone(self, module: nn.Module) -> bool:
        """All of snnTorch's neurons, but those of `snntorch.StateLeaky` and its kind."""
        return not any(cls.__name__ in _SEQUENCES for cls in type(module).__mro__)

    def state(self, module: nn.Module) -> dict[str, Tensor]:
        """Hidden states, of neurons that start from them rather than from an argument."""
        return _states(module) if getattr(module, "init_hidden", False) else {}

    def rest(self, module: nn.Module) -> None:
        """Empty states, which the next call fills with zeros."""
        for name, value in _states(module).items():
            setattr(module, name, value.new_zeros(0))
        if isinstance(vars(module).get("reset"), Tensor):
            del module.reset  # the last step's reset signal, which only holds memory


_SEQUENCES = ("StateLeaky", "AssociativeLeaky")


def reset(model: nn.Module) -> None:
    """Puts the neurons of this model, and of no other, at rest."""
    for module in model.modules():
        if library_of(module) == "snnTorch":
            for name, value in _states(module).items():
                setattr(module, name, value.new_zeros(0))


def _states(module: nn.Module) -> dict[str, Any]:
    """Its states, which are the buffers that a state_dict leaves out."""
    kept = module.state_dict()
    return {n: b for n, b in module.named_buffers(recurse=False) if n not in kept}
