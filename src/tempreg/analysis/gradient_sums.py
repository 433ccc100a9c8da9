"""What temporal gradients are made of, added up over the chunks of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn

from tempreg.analysis.capture import (
    Call,
    chunks,
    logits_of,
    over_time,
    recording,
)
from tempreg.analysis.factors import lagged_factors, products, temporal_factors
from tempreg.analysis.per_sample import weight_layers
from tempreg.analysis.weight_shares import parts_by_step
from tempreg.foreign import is_spiking, library_of
from tempreg.models.norms import NormOverTime
from tempreg.models.padding import lengths_for
from tempreg.models.readout import Readout
from tempreg.neurons import Neuron, StepNeuron
from tempreg.objectives.base import Objective
from tempreg.unwrap import unwrap

Loss = Callable[[Tensor, Tensor], Tensor]
"""(outputs [T, B, C], targets [B]) -> scalar: any `tempreg.Objective`, or a function."""
NEURONS = 20_000
"""Pairs of sample and neuron, evenly spaced, that the factors' quantiles are taken over."""


def loss_of(
    objective: Loss, model: nn.Module, inputs: Tensor, outputs: Tensor, targets: Tensor
) -> Tensor:
    """The objective's loss; where sequences end at different timesteps, each up to its own."""
    lengths = lengths_for(model, inputs)
    if lengths is None or not isinstance(objective, Objective):
        return objective(outputs, targets)
    loss: Tensor = objective(outputs, targets, lengths)
    return loss


def split_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers whose weight gradients can be split by time: all but neurons with learnable
    constants, and readouts and norms that know the timestep, whose parts depend on when it is."""
    layers = weight_layers(model).items()
    return {
        n: m
        for n, m in layers
        if not (is_spiking(m) or library_of(m) or isinstance(m, (Readout, NormOverTime)))
    }


def is_ours(module: nn.Module) -> bool:
    """Whether a neuron's equation is known here."""
    return isinstance(module, (Neuron, StepNeuron))


@final
class GradientSums:
    """Squares and parts added up over chunks."""

    def __init__(
        self,
        model: nn.Module,
        neurons: dict[str, nn.Module],
        layers: dict[str, nn.Module],
        inputs: Tensor,
        targets: Tensor,
        objective: Loss,
        chunk: int,
    ) -> None:
        self.neurons, self.layers = neurons, layers
        self.parameters = dict(unwrap(model).named_parameters())
        with torch.no_grad():
            logits = [logits_of(model, x, y) for x, y in chunks(inputs, targets, chunk)]
        leaf = torch.cat(logits, dim=1).requires_grad_()
        self.steps, self.samples = leaf.shape[:2]
        with torch.enable_grad():
            loss = loss_of(objective, model, inputs, leaf, targets)
        inputs = repeated(model, inputs, self.steps)
        direct = [p for p in self.parameters.values() if p.requires_grad]
        of_logits, *others = torch.autograd.grad(loss, [leaf, *direct], allow_unused=True)
        if of_logits is None:
            raise ValueError("the objective doesn't depend on the outputs")
        names = [n for n, p in self.parameters.items() if p.requires_grad]
        self.penalty = dict(zip(names, others, strict=True))
        self.squares: dict[str, Tensor] = {
            name: torch.zeros(self.steps + 1, self.steps, dtype=torch.float64) for name in neurons
        }
        self.factors: dict[str, list[list[Tensor]]] = {name: [] for name in neurons}
        self.parts: dict[str, Tensor] = {}
        size = min(chunk, self.samples)
        for (x, _), seed in zip(
            chunks(inputs, targets, size), of_logits.split(size, dim=1), strict=True
        ):
            self._chunk(model, x, seed)

    def _chunk(self, model: nn.Module, x: Tensor, seed: Tensor) -> None:
        """Add one chunk, whose logits have the gradient `seed` [T, B, C]."""
        batch = seed.shape[1]
        with (
            torch.enable_grad(),
            recording(model, self.layers) as made,
            recording(model, self.neurons, split_input=True) as fired,
        ):
            logits = logits_of(model, x)
        currents = [call.args[0] for calls in fired.values() for call in calls]
        outputs = [call.output for calls in made.values() for call in calls]
        weights = [p for p in self.parameters.values() if p.requires_grad]
        every = torch.autograd.grad(
            logits, [*currents, *outputs, *weights], seed, retain_graph=True, allow_unused=True
        )
        self._add_squares(fired, every[: len(currents)], batch, row=0)
        for t in range(self.steps if self.neurons else 0):
            only = torch.zeros_like(seed)
            only[t] = seed[t] * self.steps
            grads = torch.autograd.grad(
                logits, currents, only, retain_graph=t + 1 < self.steps, allow_unused=True
            )
            self._add_squares(fired, grads, batch, row=t + 1)
        self._add_factors(fired, batch)
        left = iter(every[len(currents) :])
        expected = dict(zip(self.penalty, every[len(currents) + len(outputs) :], strict=True))
        for name, module in self.layers.items():
            own = [next(left) for _ in made[name]]
            parts = parts_by_step(name, module, made[name], own, self.steps, batch)
            for key, value in parts.items():
                full = f"{name}.{key}" if f"{name}.{key}" in self.parameters else key
                _check_sum(full, value.sum(dim=0), expected[full])
                self.parts[full] = self.parts.get(full, 0) + value

    def _add_squares(
        self, fired: dict[str, list[Call]], grads: tuple[Tensor | None, ...], batch: int, row: int
    ) -> None:
        left = iter(grads)
        for name, calls in fired.items():
            own = [next(left) for _ in calls]
            filled = [
                torch.zeros_like(c.args[0]) if g is None else g
                for c, g in zip(calls, own, strict=True)
            ]
            if filled:
                by_time = over_time(name, filled, self.steps, batch)
                self.squares[name][row] += by_time.flatten(1).double().square().sum(dim=1).cpu()

    def _add_factors(self, fired: dict[str, list[Call]], batch: int) -> None:
        for name, calls in fired.items():
            neuron = self.neurons[name]
            if not calls or self.steps < 2 or not is_ours(neuron):
                continue
            made: list[Tensor] = []
            x = over_time(name, [c.args[0].detach() for c in calls], self.steps, batch)
            every = max(1, x[0].numel() // max(1, NEURONS * batch // self.samples))
            if isinstance(neuron, Neuron):
                found = temporal_factors(neuron, x.flatten(1)[:, ::every])
                made = [products(found, lag) for lag in range(1, self.steps)]
            elif isinstance(neuron, StepNeuron):
                made = [f.flatten(1)[:, ::every] for f in lagged_factors(neuron, x)]
            self.factors[name].append([each.double().cpu() for each in made])


def repeated(model: nn.Module, inputs: Tensor, steps: int) -> Tensor:
    """A static input of a tempreg network as [T, B, C, H, W]; all others as they are."""
    from tempreg.models import SpikingNetwork

    if isinstance(unwrap(model), SpikingNetwork) and inputs.ndim == 4:
        return inputs.expand(steps, *inputs.shape)
    return inputs


def _check_sum(name: str, parts: Tensor, whole: Tensor | None) -> None:
    """ValueError where a weight acts on the loss in a way that its layer's calls don't show."""
    whole = torch.zeros_like(parts) if whole is None else whole.double()
    gap = float((parts - whole).norm()) / (float(whole.norm()) or 1.0)
    if gap > 1e-3:  # False for NaN, which says that the layer has no timesteps
        raise ValueError(
            f"the gradient of {name!r} is not the sum over its layer's calls: the weight is used "
            "elsewhere too, so its timesteps can't be told apart"
        )
