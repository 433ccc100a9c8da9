"""A finished run and the samples that it is analysed on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import Tensor, nn

from tempreg.analysis.gradient_sums import Loss
from tempreg.config import RunConfig
from tempreg.data import DataSet
from tempreg.objectives import Objective, RateLoss, SquaredLoss, TETLoss, TRTLoss
from tempreg.objectives.squared import Supervise
from tempreg.runs.build import build_model
from tempreg.runs.own.trust import Trust
from tempreg.training.checkpoint import restore_weights
from tempreg.training.run_directory import RunDirectory

Say = Callable[[str], None]


@final
@dataclass(frozen=True)
class Material:
    """A finished run and the samples to analyse it on.

    Attributes:
        path, config, data, model: the run; the model is in eval mode on `device`.
        objective: that it was trained with.
        epoch: whose weights were kept.
        inputs, targets: the chosen samples of one split, never augmented, always in one order.
        held_out: as many samples of the test split, or all of it.
        seed: of everything that an analysis draws.
        chunk: samples at once.
        estimator, labels: of the Fisher information, see `fisher_information`.
        draws, gains: of the weight noise, see `flatness`.
        brief: what arms of a study are compared by, and no more: without other objectives,
            snapshots but that of epoch 1, held-out Fisher information and planes; but with the
            published estimator beside, and flatness on held-out samples.
        say: told what is being computed.
        trust: which code that the run names may be imported.
    """

    path: Path
    config: RunConfig
    data: DataSet
    model: nn.Module
    objective: Objective
    epoch: int
    inputs: Tensor
    targets: Tensor
    held_out: tuple[Tensor, Tensor]
    seed: int
    chunk: int
    estimator: str
    labels: str
    draws: int
    gains: bool
    brief: bool
    say: Say
    trust: Trust

    def objectives(self) -> dict[str, Loss]:
        """Rate, per-step cross-entropy, TET and TRT, with the settings of the run; of numbers,
        squared errors of the mean, of each timestep and of the mean so far."""
        if self.data.numbers:
            named: dict[str, Supervise] = {"rate": "mean", "step": "step", "anytime": "anytime"}
            return {name: SquaredLoss(supervise=of) for name, of in named.items()}
        s = self.config.objective
        return {
            "rate": RateLoss(),
            "step": TETLoss(lam=0.0),
            "tet": TETLoss(lam=s.tet_lam, means=s.tet_means),
            "trt": TRTLoss(
                self.model, lam=s.lam, decay=s.decay, eps=s.eps, eta=s.eta, select=s.select
            ),
        }

    def snapshots(self) -> dict[str, nn.Module]:
        """Networks as they were after some epochs, by name; see --snapshot-every."""
        files = RunDirectory(self.path).checkpoint.parent.glob("epoch-*.safetensors")
        return {file.stem: self._network(file) for file in sorted(files)}

    def at_epoch(self, epoch: int) -> nn.Module | None:
        """The network as it was after an epoch; None where that wasn't kept."""
        file = RunDirectory(self.path).snapshot(epoch)
        return self._network(file) if file.is_file() else None

    def _network(self, file: Path) -> nn.Module:
        model = build_model(self.config, self.data, self.trust).to(self.inputs)
        restore_weights(model, file)
        return model.eval()
