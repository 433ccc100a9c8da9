"""Any objective, with TRT's two additions: an MSE to the target, and a penalty of the weights."""

from __future__ import annotations

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
            terms["penalty"] = trt_penalty(
                self.penalised_parameters().values(),
                num_steps=len(outputs),
                lam=self.lam,
                decay=self.decay,
                eps=self.eps,
            )
        return terms
