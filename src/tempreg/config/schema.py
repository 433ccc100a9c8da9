"""The settings of a run: what they are, what they may be, and what each means.

Every field's metadata holds its help text. Checks that need only the numbers are made here,
as soon as a configuration exists; no torch is imported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tempreg.config.objective_names import parse_objective

_MOST = {
    "epochs": 1_000_000,
    "batch_size": 1_000_000,
    "num_steps": 10_000,
    "devices": 1024,
    "num_nodes": 1024,
}
"""Beyond these a number is a slip of the keyboard, and would only run out of memory later."""


def _setting(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


def _require(ok: bool, sentence: str) -> None:
    if not ok:
        raise ValueError(sentence)


@dataclass(frozen=True)
class DataConfig:
    """Which data, and how events become frames."""

    name: str = _setting("nmnist", "data set; `tempreg presets` has examples")
    path: str | None = _setting(None, "its folder or file (null: where it is usually kept)")
    frames: Literal["time", "count", "duration"] = _setting(
        "time", "event frames of equal time, of equally many events, or of data.frame_ms each"
    )
    frame_ms: float | None = _setting(None, "with frames duration: milliseconds a frame, > 0")
    normalise: Literal["none", "max", "percentile"] = _setting(
        "none", "divide each recording's frames by their largest count or a high percentile"
    )
    size: int | None = _setting(None, "resize to this height and width (null: as recorded)")
    resize: Literal["area", "paper"] = _setting(
        "area", "area conserves events; paper: as the published scripts resize CIFAR10-DVS"
    )
    validation: float = _setting(
        0.1, "share of training data held out where no split is official, in (0, 1)"
    )
    split_seed: int = _setting(0, "of splits that are drawn, >= 0")
    cache: bool = _setting(True, "keep event frames on disk")
    train_size: int | None = _setting(
        None, "train on so many samples, drawn by split_seed (null: on all)"
    )
    folds: int = _setting(0, "pool all splits for cross-validation with so many folds (0: don't)")
    fold: int = _setting(0, "which fold is tested, 0 ... folds - 1")

    def __post_init__(self) -> None:
        _require(self.size is None or self.size >= 1, f"data.size must be >= 1, got {self.size}")
        _require(
            0 < self.validation < 1, f"data.validation must be in (0, 1), got {self.validation}"
        )
        _require(self.split_seed >= 0, f"data.split_seed must be >= 0, got {self.split_seed}")
        _require(
            self.train_size is None or self.train_size >= 1,
            f"data.train_size must be >= 1 or null, got {self.train_size}",
        )
        _require(
            self.folds == 0 or self.folds >= 2, f"data.folds must be 0 or >= 2, got {self.folds}"
        )
        _require(
            0 <= self.fold < max(1, self.folds),
            f"data.fold must be in 0 ... folds - 1, got {self.fold} of {self.folds}",
        )
        if self.frames == "duration":
            _require(
                self.frame_ms is not None and self.frame_ms > 0,
                f"data.frames duration needs data.frame_ms > 0, got {self.frame_ms}",
            )


@dataclass(frozen=True)
class AugmentConfig:
    """Random changes of training batches."""

    shift: int = _setting(0, "move by up to this many pixels; blank ones enter (padded crop)")
    rotate: float = _setting(0.0, "turn by up to this many degrees")
    shear: float = _setting(0.0, "shear by up to this many degrees")
    nda: bool = _setting(False, "one of shift, rotation and shear for each sample, as NDA does")
    flip: bool = _setting(False, "mirror left to right with probability 1/2")
    rand: int = _setting(0, "images: RandAugment of this magnitude, 1 to 29 (0: don't)")
    drop: bool = _setting(False, "event frames: lose a span of time, an area, or events by chance")
    jitter: float = _setting(0.0, "event frames: probability that events move by a timestep")
    cutout: int = _setting(0, "edge of a random square that is set to 0")
    mixup: float = _setting(0.0, "mix samples in pairs: alpha of Beta(alpha, alpha), 0: don't")
    cutmix: float = _setting(0.0, "take a box from another sample: alpha likewise, 0: don't")

    def __post_init__(self) -> None:
        for name in ("shift", "cutout", "mixup", "cutmix"):
            value = getattr(self, name)
            _require(value >= 0, f"augment.{name} must be >= 0, got {value}")
        for name, most in (("rotate", 180), ("shear", 89), ("rand", 29), ("jitter", 1)):
            value = getattr(self, name)
            _require(0 <= value <= most, f"augment.{name} must be in [0, {most}], got {value}")


@dataclass(frozen=True)
class ModelConfig:
    """The network and its neurons."""

    name: str = _setting("csnn", "csnn, vggsnn, resnet19, sew_resnet18 or sew_resnet34")
    tau: float = _setting(2.0, "the membrane potential is divided by this at each step, >= 1")
    v_threshold: float = _setting(1.0, "membrane potential above which a neuron spikes")
    v_reset: float | None = _setting(0.0, "potential after a spike (null: soft reset)")
    surrogate: Literal["triangle", "sigmoid", "atan", "rectangle"] = _setting(
        "triangle", "surrogate gradient"
    )
    surrogate_param: float = _setting(1.0, "its width or steepness, > 0")
    neuron: Literal["lif", "plif", "if"] = _setting("lif", "neuron; plif learns tau")
    norm: Literal["bn", "tdbn", "none"] = _setting(
        "bn", "batch norm, the threshold-dependent one, or none"
    )
    detach_reset: bool = _setting(False, "no gradient through the reset")
    channels: tuple[int, ...] | None = _setting(None, "csnn only: channels of each layer")
    dropout: float = _setting(0.0, "csnn and vggsnn: before the head, in [0, 1)")
    weights: str | None = _setting(
        None, "file to start from, safetensors or a state dict, matched by structure"
    )

    def __post_init__(self) -> None:
        _require(self.tau >= 1, f"model.tau must be >= 1, got {self.tau}")
        _require(
            self.surrogate_param > 0,
            f"model.surrogate_param must be > 0, got {self.surrogate_param}",
        )
        _require(0 <= self.dropout < 1, f"model.dropout must be in [0, 1), got {self.dropout}")
        _require(
            self.channels is None or (len(self.channels) > 0 and min(self.channels) >= 1),
            f"model.channels must be one or more counts >= 1, got {self.channels}",
        )


@dataclass(frozen=True)
class ObjectiveConfig:
    """The loss. TRT and TET have strengths of their own, for they mean different things."""

    name: str = _setting(
        "trt", "rate, step, smooth, tet, anytime or trt; with terms added, as step+mse+l2"
    )
    lam: float = _setting(1e-5, "TRT: strength of the penalty, >= 0 (l2 is matched to it)")
    decay: float = _setting(0.5, "TRT: the penalty's delta, >= 0")
    eps: float = _setting(1e-5, "TRT: the penalty's epsilon, >= 0")
    eta: float = _setting(0.05, "TRT: share of the MSE to the one-hot target, in [0, 1]")
    select: Literal["paper", "weights"] = _setting(
        "paper", "TRT: penalise all but biases, or only parameters of 2 and more dimensions"
    )
    tet_lam: float = _setting(0.05, "TET: share of the MSE, in [0, 1]")
    tet_means: float = _setting(1.0, "TET: the value logits are pulled to")
    smoothing: float = _setting(0.1, "smooth: share of each target spread over classes, in [0, 1)")
    distill: float = _setting(0.5, "kd: share of the distillation, in [0, 1)")

    def __post_init__(self) -> None:
        parse_objective(self.name)
        for name in ("lam", "decay", "eps"):
            value = getattr(self, name)
            _require(value >= 0, f"objective.{name} must be >= 0, got {value}")
        for name in ("eta", "tet_lam"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"objective.{name} must be in [0, 1], got {value}")
        for name in ("smoothing", "distill"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"objective.{name} must be in [0, 1), got {value}")


@dataclass(frozen=True)
class OptimizerConfig:
    """Gradient steps."""

    name: Literal["adam", "adamw", "sgd"] = _setting("adamw", "adam, adamw or sgd")
    lr: float = _setting(1e-3, "highest learning rate; it decays to 0 along a cosine")
    weight_decay: float = _setting(0.0, "the optimizer's own, >= 0 (L2 for adam and sgd)")
    momentum: float = _setting(0.9, "sgd only, in [0, 1)")
    warmup_epochs: float = _setting(0.0, "epochs of linear warm-up, may be a fraction")
    clip_norm: float | None = _setting(None, "clip the gradient's norm to this (null: don't)")

    def __post_init__(self) -> None:
        _require(0 < self.lr <= 1e30, f"optimizer.lr must be > 0, at most 1e30, got {self.lr}")
        _require(
            0 <= self.weight_decay <= 1e30,
            f"optimizer.weight_decay must be >= 0, at most 1e30, got {self.weight_decay}",
        )
        _require(
            0 <= self.momentum < 1, f"optimizer.momentum must be in [0, 1), got {self.momentum}"
        )
        _require(
            self.warmup_epochs >= 0,
            f"optimizer.warmup_epochs must be >= 0, got {self.warmup_epochs}",
        )
        _require(
            self.clip_norm is None or self.clip_norm > 0,
            f"optimizer.clip_norm must be > 0 or null, got {self.clip_norm}",
        )


@dataclass(frozen=True)
class RunConfig:
    """One training run, whole: the same configuration repeats it."""

    seed: int = _setting(0, "of weights, order, augmentation and dropout, >= 0")
    epochs: int = _setting(10, "passes over the training data, >= 1")
    batch_size: int = _setting(32, "samples a step, over all devices, >= 1")
    num_steps: int = _setting(6, "timesteps T, >= 1")
    backend: Literal["auto", "reference", "eager", "compiled"] = _setting(
        "auto", "how LIF neurons are run"
    )
    device: Literal["auto", "cpu", "cuda"] = _setting("auto", "auto: cuda where there is one")
    devices: int = _setting(1, "processes or GPUs on each node, >= 1")
    num_nodes: int = _setting(1, "machines that train together, >= 1")
    sync_batch_norm: bool = _setting(
        False, "GPUs: batch norm over the batches of all devices together"
    )
    workers: int = _setting(0, "processes that read data ahead (0: the training process reads)")
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true"] = _setting(
        "32-true", "of the arithmetic; losses are always computed in float32 or better"
    )
    keep: Literal["last", "best"] = _setting(
        "last", "weights to keep and test: of the last epoch, or the best on validation"
    )
    fisher_every: int = _setting(
        0, "measure the Fisher information after the first and every so many epochs (0: never)"
    )
    snapshot_every: int = _setting(0, "keep the weights of every so many epochs (0: none)")
    tensorboard: bool = _setting(False, "write the metrics for TensorBoard too")
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)

    def __post_init__(self) -> None:
        _require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")
        for name, most in _MOST.items():
            value = getattr(self, name)
            _require(value >= 1, f"{name} must be >= 1, got {value}")
            _require(value <= most, f"{name} must be <= {most}, got {value}")
        for name in ("fisher_every", "snapshot_every"):
            value = getattr(self, name)
            _require(value >= 0, f"{name} must be >= 0, got {value}")
        _require(0 <= self.workers <= 256, f"workers must be in [0, 256], got {self.workers}")
        processes = self.devices * self.num_nodes
        _require(
            self.batch_size >= processes,
            f"batch_size ({self.batch_size}) must be at least devices"
            + (f" ({self.devices})" if self.num_nodes == 1 else f" x num_nodes ({processes})"),
        )
        _require(
            not self.sync_batch_norm or self.model.norm == "bn",
            f"sync_batch_norm goes with model.norm bn, got {self.model.norm}",
        )
        _require(
            self.optimizer.warmup_epochs <= self.epochs,
            f"optimizer.warmup_epochs ({self.optimizer.warmup_epochs}) is more than epochs "
            f"({self.epochs})",
        )
