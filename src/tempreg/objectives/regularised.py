"""Any objective, with TRT's two additions: an MSE to the target, and a penalty of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tempreg.functional import trt_penalty
from tempreg.objectives.base import Objective, one_hot
from tempreg.objectives.select import Select, selected_parameters
from tempreg.ops.penalty import penalty_terms
from tempreg.options import ObjectiveOptions
from tempreg.options.field import check_option
from tempreg.unwrap import unwrap


class Regularised(Objective):
    """(1 - eta) base + eta mean_t MSE(o[t], onehot(y)) + R(w). Subclass it to fix the base.

    R is the penalty of `tempreg.functional.trt_penalty`, with T the number of steps in the
    outputs; at decay=0 it is lam * ||w||^2, plain L2. The terms are those of the base, `mse`
    and `penalty`, each with its factor. The loss holds a reference to the model and looks its
    parameters up at each call, so freezing some later takes effect. It is the module's own
    parameters that are penalised: under `torch.func.functional_call` use lam=0 and add
    `trt_penalty` of yours. Copy the loss together with its model, for a copy of it alone
    brings a model of its own.

    Args:
        base: the objective; its `time_dim` is taken over.
        model: the network whose weights are penalised, bare or wrapped (DDP, torch.compile,
            Fabric); its parameters are not registered here.
        lam: strength of the penalty, >= 0; 0 leaves it out.
        decay: the penalty's delta, >= 0.
        eps: the penalty's epsilon, in [0, 1e6].
        eta: share of the MSE, in [0, 1]; 0 leaves it out.
        select: "paper", "weights" or a callable; see `selected_parameters`.

    Raises:
        ValueError: a number out of range, an unknown policy, or one that selects nothing.
    """

    def __init__(
        self,
        base: Objective,
        model: nn.Module,
        *,
        lam: float = 0.0,
        decay: float = ObjectiveOptions.decay,
        eps: float = ObjectiveOptions.eps,
        eta: float = 0.0,
        select: Select = "paper",
    ) -> None:
        super().__init__(time_dim=base.time_dim)
        penalty_terms(1, lam, decay, eps)
        check_option(ObjectiveOptions, "eta", eta)
        self.base = base
        self.lam, self.decay, self.eps, self.eta, self.select = lam, decay, eps, eta, select
        self._model = (unwrap(model),)  # in a tuple, so that it's no submodule of the loss
        self._kept: dict[object, Tensor] | None = None  # R by what it depends on
        if lam > 0 and not self.penalised_parameters():
            raise ValueError(
                f"select={select!r} selects no trainable parameter of "
                f"{type(self._model[0]).__name__}: choose another policy, or lam=0 for no penalty"
            )

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """As the base checks them."""
        self.base.check(outputs, targets)

    def arranged(self, targets: Tensor, outputs: Tensor) -> Tensor:
        """As the base takes them."""
        return self.base.arranged(targets, outputs)

    def part(self, targets: Tensor, length: int, chosen: Tensor) -> Tensor:
        """As the base takes them."""
        return self.base.part(targets, length, chosen)

    def penalised_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters that R covers at present, by name: none where all are frozen."""
        return selected_parameters(self._model[0], self.select)

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The terms, weighted; those with the factor 0 are left out."""
        base = self.base.compute(outputs, targets)
        terms = {name: (1 - self.eta) * term for name, term in base.items()}
        if self.eta > 0:
            error = outputs - one_hot(outputs, targets)
            terms["mse"] = self.eta * error.square().mean()
        if self.lam > 0:
            terms["penalty"] = self._penalty(len(outputs))
        return terms

    def _penalty(self, num_steps: int) -> Tensor:
        """R, or what `penalty_once` has kept of it."""
        weights = self.penalised_parameters()
        if self._kept is None or torch.is_grad_enabled():
            return self._computed(weights, num_steps)
        key = num_steps, tuple(map(_state, weights.values()))
        if key not in self._kept:
            self._kept[key] = self._computed(weights, num_steps)
        return self._kept[key]

    def _computed(self, weights: Mapping[str, Tensor], num_steps: int) -> Tensor:
        how = {"lam": self.lam, "decay": self.decay, "eps": self.eps}
        return trt_penalty(weights.values(), num_steps=num_steps, **how)


def _state(w: Tensor) -> tuple[int, int]:
    """Another one after each change in place; a tensor of inference mode can't have any."""
    return id(w), -1 if w.is_inference() else w._version


@contextmanager
def penalty_once(objective: Objective) -> Iterator[None]:
    """Inside, no weights are written to through `.data`: so that without gradients, as in an
    evaluation, the penalties in the objective are computed once for each T, and kept.

    Weights that change otherwise, as an optimizer changes them, are noticed.
    """
    parts = [part for part in objective.modules() if isinstance(part, Regularised)]
    for part in parts:
        part._kept = {}
    try:
        yield
    finally:
        for part in parts:
            part._kept = None
