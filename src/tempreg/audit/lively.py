"""Silent layers woken up: what is behind neurons that never fire answers to nothing.

The currents of a silent layer are shifted and scaled by constants until it fires. Constants take no
sample or timestep for another, so what mixes afterwards is the network's own doing.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from tempreg.audit.probe import neurons
from tempreg.audit.subject import Subject
from tempreg.audit.trace import tensors

_SIZES = (1.5, 20.0, 300.0)


@final
class Wake:
    """x -> scale * (x - mean) + shift of a layer's currents, with constants of its first call."""

    def __init__(self, size: float) -> None:
        self.size = size
        self.constants: tuple[Tensor, Tensor] | None = None

    def __call__(self, module: nn.Module, args: Any, kwargs: Any) -> Any:
        """A forward pre-hook."""
        if not args or not isinstance(args[0], Tensor):
            return None
        x = args[0]
        if self.constants is None:
            spread = x.double().std(unbiased=False)
            usable = bool(spread > 0) and bool(spread.isfinite())
            scale = self.size / spread if usable else torch.ones(())
            self.constants = x.double().mean().nan_to_num(), scale.double()
        mean, scale = (c.to(x) for c in self.constants)
        return ((x - mean) * scale + self.size / 3, *args[1:]), kwargs


def silent(subject: Subject) -> list[str]:
    """Layers of neurons that give one value only, over all their calls."""
    model = subject.fresh()
    spread: dict[str, tuple[float, float]] = {}

    def watch(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            made = tensors(output)[0]
            low, high = spread.get(name, (float("inf"), -float("inf")))
            if made.numel():
                spread[name] = min(low, float(made.min())), max(high, float(made.max()))

        return hook

    for name, module in neurons(model).items():
        module.register_forward_hook(watch(name))
    subject.output(subject.inputs, model)
    return [name for name, (low, high) in spread.items() if low == high]


def wake(subject: Subject) -> list[str]:
    """Wake the silent layers of this subject, in all passes from now on; their names."""
    asleep = silent(subject)
    for size in _SIZES:
        still = silent(subject) if subject.wakes else asleep
        if not still:
            break
        # All from here on anew: constants of a later layer depend on what an earlier one gives.
        subject.wakes = {name: Wake(size) for name in {*subject.wakes, *still}}
        subject.output(subject.inputs)
    return asleep
