"""Settings by name: two that train on the embedded data, and the paper's four.

The paper's settings are those of its published commands (arXiv 2506.19256): Adam 1e-3, cosine
over 300 epochs, batch 64, v_threshold 1, tau 2, hard reset to 0, triangle surrogate of width 1.
"""

from __future__ import annotations

from collections.abc import Callable

from tempreg.config.schema import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    ObjectiveConfig,
    OptimizerConfig,
    RunConfig,
)


def nmnist_trt() -> RunConfig:
    """TRT on 700 N-MNIST event-camera recordings (embedded), a small network."""
    return RunConfig(
        epochs=20,
        batch_size=32,
        num_steps=6,
        data=DataConfig(name="nmnist", frames="time"),
        augment=AugmentConfig(shift=2),
        model=ModelConfig(name="csnn", channels=(32, 64, 128)),
        objective=ObjectiveConfig(name="trt", lam=1e-5, decay=0.5, eta=0.05),
        optimizer=OptimizerConfig(name="adam", lr=2e-3, warmup_epochs=1.0),
    )


def fashion_trt() -> RunConfig:
    """TRT on 5,000 Fashion-MNIST images (embedded), a small network."""
    return RunConfig(
        epochs=10,
        batch_size=64,
        num_steps=4,
        data=DataConfig(name="fashion-mnist"),
        augment=AugmentConfig(shift=2, flip=True),
        model=ModelConfig(name="csnn", channels=(32, 64, 128)),
        objective=ObjectiveConfig(name="trt", lam=1e-5, decay=0.25, eta=0.05),
        optimizer=OptimizerConfig(name="adam", lr=2e-3, warmup_epochs=1.0),
    )


def _paper(
    *, data: DataConfig, model: ModelConfig, num_steps: int, objective: ObjectiveConfig,
    augment: AugmentConfig | None = None,
) -> RunConfig:  # fmt: skip
    return RunConfig(
        epochs=300,
        batch_size=64,
        num_steps=num_steps,
        precision="16-mixed",
        data=data,
        augment=augment or AugmentConfig(),
        model=model,
        objective=objective,
        optimizer=OptimizerConfig(name="adam", lr=1e-3),
    )


def paper_cifar10() -> RunConfig:
    """The paper's CIFAR-10 setting: ResNet-19, T 6, crop, flip, cutout 16."""
    return _paper(
        data=DataConfig(name="cifar10"),
        model=ModelConfig(name="resnet19"),
        num_steps=6,
        objective=ObjectiveConfig(name="trt", lam=1e-5, decay=0.25, eta=0.05),
        augment=AugmentConfig(shift=4, flip=True, cutout=16),
    )


def paper_imagenet100() -> RunConfig:
    """The paper's ImageNet-100 setting: SEW-ResNet-34 with tau 1, T 4."""
    return _paper(
        data=DataConfig(name="imagenet100", size=224),
        model=ModelConfig(name="sew_resnet34", tau=1.0),
        num_steps=4,
        objective=ObjectiveConfig(name="trt", lam=5e-5, decay=0.5, eta=0.001),
    )


def paper_cifar10dvs() -> RunConfig:
    """The paper's CIFAR10-DVS setting: VGGSNN at 48 x 48, T 10."""
    return _paper(
        data=DataConfig(name="cifar10-dvs", size=48),
        model=ModelConfig(name="vggsnn"),
        num_steps=10,
        objective=ObjectiveConfig(name="trt", lam=5e-5, decay=0.5, eta=0.001),
    )


def paper_ncaltech101() -> RunConfig:
    """The paper's N-Caltech101 setting: VGGSNN at 48 x 48, T 10."""
    return _paper(
        data=DataConfig(name="n-caltech101", size=48),
        model=ModelConfig(name="vggsnn"),
        num_steps=10,
        objective=ObjectiveConfig(name="trt", lam=5e-5, decay=0.5, eta=0.05),
    )


PRESETS: dict[str, Callable[[], RunConfig]] = {
    "nmnist-trt": nmnist_trt,
    "fashion-trt": fashion_trt,
    "paper-cifar10": paper_cifar10,
    "paper-imagenet100": paper_imagenet100,
    "paper-cifar10dvs": paper_cifar10dvs,
    "paper-ncaltech101": paper_ncaltech101,
}
