"""The settings of a run: what they are, what they may be, and what each means.

Every field's metadata holds its help text. Checks that need only the numbers are made here,
as soon as a configuration exists; no torch is imported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, final

from tempreg.options import (
    AugmentOptions,
    NetworkOptions,
    ObjectiveOptions,
    OptimizerOptions,
    OwnDataOptions,
    OwnNetworkOptions,
    SourceOptions,
    SplitOptions,
)
from tempreg.options.field import check_settings, setting
from tempreg.options.neuron import Backend, Conv
from tempreg.options.passes import Recompute
from tempreg.options.terms import parse_objective

_MOST = {
    "epochs": 1_000_000,
    "batch_size": 1_000_000,
    "num_steps": 10_000,
    "devices": 1024,
    "num_nodes": 1024,
}
"""Beyond these a number is a slip of the keyboard, and would only run out of memory later."""


PrecisionName = Literal["32-true", "bf16-mixed", "16-mixed", "64-true", "auto"]

_OF_ANSWERS = ("rate", "anytime")
"""Objectives of the mean of the logits so far, and of nothing else."""


def _require(ok: bool, sentence: str) -> None:
    if not ok:
        raise ValueError(sentence)


@dataclass(frozen=True)
class _Named:
    """What has a name has it first, in settings files too."""

    name: str


@final
@dataclass(frozen=True)
class DataConfig(OwnDataOptions, SplitOptions, SourceOptions, _Named):
    """Which data, how it is read, and which of its samples a run has."""

    name: str = setting(
        "nmnist", "data set; `tempreg presets` has examples; my_data:Source for your own"
    )

    def __post_init__(self) -> None:
        SourceOptions.__post_init__(self)
        SplitOptions.__post_init__(self)
        OwnDataOptions.__post_init__(self)


@final
@dataclass(frozen=True)
class ModelConfig(OwnNetworkOptions, NetworkOptions, _Named):
    """The network, its neurons, and the weights that it starts from."""

    name: str = setting(
        "csnn",
        "csnn, vggsnn, resnet19, sew_resnet18, sew_resnet34, ms_resnet18, spikformer, "
        "spike_driven_transformer, qkformer, rsnn, or my_net:Net of your own",
    )
    weights: str | None = setting(
        None, "file to start from, safetensors or a state dict, matched by structure"
    )

    def __post_init__(self) -> None:
        NetworkOptions.__post_init__(self)
        OwnNetworkOptions.__post_init__(self)


@final
@dataclass(frozen=True)
class RunConfig:
    """One training run, whole: the same configuration repeats it."""

    seed: int = setting(0, "of weights, order, augmentation and dropout", ">= 0")
    epochs: int = setting(10, "passes over the training data", ">= 1")
    batch_size: int = setting(32, "samples a step, over all devices", ">= 1")
    num_steps: int = setting(6, "timesteps T", ">= 1")
    backend: Backend = setting("auto", "how LIF neurons are run")
    conv: Conv = setting(
        "dense",
        "CPUs: convolutions as torch has them; sparse, by walking the inputs that aren't zero; or "
        "auto, the faster by measurement",
    )
    recompute: Recompute = setting(
        "nothing",
        "memory: what the backward pass computes again, the inside of layers, or time, a square "
        "root of T timesteps at once, which wants model.norm none",
    )
    truncate: int = setting(
        0,
        "gradients go back over the timesteps of a piece alone, of which each has so many, and "
        "norms have their statistics of it (0: over all)",
        ">= 0",
    )
    device: Literal["auto", "cpu", "cuda"] = setting("auto", "auto: cuda where there is one")
    devices: int = setting(1, "processes or GPUs on each node", ">= 1")
    num_nodes: int = setting(1, "machines that train together", ">= 1")
    sync_batch_norm: bool = setting(
        False, "GPUs: batch norm over the batches of all devices together"
    )
    workers: int | None = setting(
        None,
        "processes that read data ahead (0: the training process reads; null: 4 of them for a GPU, "
        "fewer where there are fewer cores, and none for a CPU)",
        "[0, 256] or null",
    )
    precision: PrecisionName = setting(
        "32-true",
        "of the arithmetic; losses are always computed in float32 or better; auto, for CPUs: "
        "bf16-mixed where half a second of trials says that it is faster, else 32-true",
    )
    tf32: bool = setting(
        True,
        "GPUs: convolutions of float32 in TF32, with 10 bits of mantissa, as torch has them; "
        "analyses and predictions never are",
    )
    deterministic: bool = setting(
        False, "GPUs: operations that give the same bits each time, where torch has them"
    )
    eval_precision: Literal["same", "32-true"] = setting(
        "same", "of evaluation: as in training, or float32"
    )
    keep: Literal["last", "best", "best-on-test"] = setting(
        "last",
        "weights to keep and test: of the last epoch, or the best on validation; best-on-test "
        "repeats a published protocol, and its number is marked as not to be believed",
    )
    patience: int = setting(
        0,
        "stop after so many epochs without a better validation accuracy (0: never); the learning "
        "rate falls as for all epochs, and keep best keeps the best one's weights",
        ">= 0",
    )
    balance: bool = setting(
        False, "train on each class equally often: of rarer ones samples come several times"
    )
    test_every: int = setting(
        0,
        "evaluate the test split too after every so many epochs, to see overfitting; nothing is "
        "chosen by it (0: at the end alone)",
        ">= 0",
    )
    fisher_every: int = setting(
        0,
        "measure the Fisher information after the first and every so many epochs (0: never)",
        ">= 0",
    )
    snapshot_every: int = setting(
        0, "keep the weights after the first and every so many epochs (0: none)", ">= 0"
    )
    tensorboard: bool = setting(False, "write the metrics for TensorBoard too")
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    model: ModelConfig = field(default_factory=ModelConfig)
    objective: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)

    def __post_init__(self) -> None:
        check_settings(self)
        for name, most in _MOST.items():
            value = getattr(self, name)
            _require(value <= most, f"{name} must be <= {most}, got {value}")
        processes = self.devices * self.num_nodes
        _require(
            self.batch_size >= processes,
            f"batch_size ({self.batch_size}) must be at least devices"
            + (f" ({self.devices})" if self.num_nodes == 1 else f" x num_nodes ({processes})"),
        )
        _require(
            self.eval_precision == "same" or self.precision != "64-true",
            "eval_precision 32-true is for mixed precision, not for precision 64-true",
        )
        _require(
            not (self.balance and self.objective.weigh_classes),
            "balance shows rarer classes more often, and objective.weigh_classes weighs them more: "
            "leave one of them out",
        )
        if self.data.validation == 0:
            _require(
                self.keep != "best",
                "data.validation 0 leaves no data to choose the best epoch by: set keep last",
            )
            _require(
                self.patience == 0,
                "data.validation 0 leaves no data to stop by: set patience 0",
            )
        _require(
            self.keep != "best-on-test" or self.data.validation == 0,
            "keep best-on-test is for protocols that hold no validation data out: set "
            "data.validation 0 with it, or keep best, which chooses on validation",
        )
        self._check_readout()
        self._check_passes()
        _require(
            not self.sync_batch_norm or self.model.norm == "bn",
            f"sync_batch_norm goes with model.norm bn, got {self.model.norm}",
        )
        _require(
            self.optimizer.warmup_epochs <= self.epochs,
            f"optimizer.warmup_epochs ({self.optimizer.warmup_epochs}) is more than epochs "
            f"({self.epochs})",
        )

    def _check_passes(self) -> None:
        timed = {"truncate": self.truncate > 0, "recompute time": self.recompute == "time"}
        for name in (name for name, asked in timed.items() if asked):
            _require(
                self.model.neuron != "psn",
                f"{name} goes from one timestep to the next, and a psn neuron sees later ones: "
                "take masked_psn or sliding_psn",
            )
            _require(
                self.devices * self.num_nodes == 1,
                f"{name} is for one process: leave it out, or devices and num_nodes at 1",
            )
        _require(
            self.precision != "auto" or self.devices * self.num_nodes == 1,
            "precision auto is for one process, for several may find different ones: name one",
        )
        if self.recompute == "time":
            _require(
                not self.truncate,
                "truncate computes pieces again by itself, and by smaller ones there is nothing to "
                "gain: leave recompute time out",
            )
            _require(
                self.model.norm == "none",
                "recompute time takes a few timesteps at once, and statistics of model.norm "
                f"{self.model.norm} are of all of them: take recompute layers, or model.norm none",
            )
        if self.truncate:
            _require(
                self.model.norm not in ("tebn", "tab"),
                f"truncate begins with pieces in the middle, and model.norm {self.model.norm} is "
                "trained from the first timestep on: take bn, tdbn or none",
            )
            _require(
                not self.data.unequal or self.model.norm == "none",
                "with data.unequal a piece may be padding alone, of which a norm has no "
                "statistics: leave truncate out, or take model.norm none",
            )
        _require(
            self.recompute != "layers" or not self.sync_batch_norm,
            "sync_batch_norm would have its processes meet again in what recompute layers repeats: "
            "leave one of them out",
        )

    def _check_readout(self) -> None:
        objective = parse_objective(self.objective.name)
        _require(
            self.model.readout != "last"
            or (objective.base in _OF_ANSWERS and "mse" not in objective.additions),
            f"objective {self.objective.name} looks at each timestep's logits alone, and with "
            "model.readout last these are only what a timestep changes in the answer: take "
            f"{' or '.join(_OF_ANSWERS)}, which look at answers",
        )
