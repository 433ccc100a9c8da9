"""Whole training steps of one network with different neurons: ours, ReLU, other libraries'."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg.bench.peers import PEERS
from tempreg.bench.published import DECAY, EPS, ETA, LAM, published_loss
from tempreg.models import SpikingNetwork, create_model
from tempreg.models.layers import over_time
from tempreg.models.vgg import AveragePool
from tempreg.neurons import Neuron
from tempreg.objectives import TRTLoss


@final
class Setting(NamedTuple):
    """What a network is measured with; those with `channels` are a csnn."""

    in_channels: int
    size: int
    steps: int
    batch: int
    channels: tuple[int, ...] | None = None


SETTINGS = {
    "tiny": Setting(2, 8, 2, 2, (4,)),  # to have loaded what is loaded once
    "csnn": Setting(2, 34, 6, 8, (16, 32, 64)),
    "csnn-large": Setting(2, 34, 8, 128, (16, 32, 64)),
    "vggsnn": Setting(2, 48, 10, 8),
    "resnet19": Setting(3, 32, 4, 8),
}
OURS = ("tempreg", "tempreg, plain", "tempreg, reference", "tempreg, detached reset")


def network(name: str, variant: str) -> SpikingNetwork:
    """With the same weights for every variant: one of OURS, "ReLU" or a peer's name."""
    torch.manual_seed(0)
    setting = SETTINGS[name]
    options: dict[str, Any] = {} if setting.channels is None else {"channels": setting.channels}
    model = create_model(
        "csnn" if setting.channels else name,
        num_classes=10,
        in_channels=setting.in_channels,
        num_steps=setting.steps,
        input_size=setting.size,
        detach_reset=variant == "tempreg, detached reset",
        backend="reference" if variant == "tempreg, reference" else "auto",
        **options,
    )
    if variant == "ReLU":
        exchange(model, Neuron, _ignoring(nn.ReLU))
    for peer in PEERS:
        if peer.name == variant:
            exchange(model, Neuron, _ignoring(peer.layer))
            exchange(model, AveragePool, _ignoring(_TorchPool))
    return model


@final
class _TorchPool(nn.Module):
    """2x2 average pooling by torch, as the other libraries' networks have it."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C, H // 2, W // 2]."""
        return over_time(lambda frames: F.avg_pool2d(frames, 2), x)


def _ignoring(make: Callable[[], nn.Module]) -> Callable[[nn.Module], nn.Module]:
    """`make`, whatever the module is that the new one stands for."""
    return lambda _: make()


def exchange(
    model: nn.Module, kind: type[nn.Module], make: Callable[[nn.Module], nn.Module]
) -> None:
    """Put make(module) in the place of every module of this kind."""
    for parent in list(model.modules()):
        for child, module in parent.named_children():
            if isinstance(module, kind):
                setattr(parent, child, make(module))


def inputs(setting: Setting) -> Tensor:
    """Images [B, C, H, W], or event frames [T, B, C, H, W] where there are two channels."""
    generator = torch.Generator().manual_seed(1)
    shape = (setting.batch, setting.in_channels, setting.size, setting.size)
    if setting.in_channels == 2:
        return (torch.rand(setting.steps, *shape, generator=generator) < 0.1).float()
    return torch.randn(shape, generator=generator)


@final
@dataclass
class Step:
    """A training step that can be repeated."""

    model: SpikingNetwork
    steps: int
    batch: int
    run: Callable[[], list[Tensor]]


def training_step(name: str, variant: str, dtype: torch.dtype = torch.float32) -> Step:
    """Forward, objective, backward, Adam; `run` returns logits and gradients.

    Peers' networks see images as T equal frames and have the loss as published, in loops; ours
    and ReLU's have TRTLoss and pass the first layer once.
    """
    setting = SETTINGS[name]
    model, x = network(name, variant).to(dtype), inputs(setting).to(dtype)
    criterion: Callable[[Tensor, Tensor], Tensor]
    if variant in (*OURS, "ReLU"):
        criterion = TRTLoss(model, lam=LAM, decay=DECAY, eps=EPS, eta=ETA)
    else:
        if x.ndim == 4:
            x = x.expand(setting.steps, *x.shape)
        criterion = lambda outputs, targets: published_loss(model, outputs, targets)  # noqa: E731
    step = repeated(model, x, setting.batch, criterion)
    fuse = "0" if variant == "tempreg, plain" else "1"

    def run() -> list[Tensor]:
        os.environ["TEMPREG_FUSE"] = fuse
        return step()

    return Step(model, setting.steps, setting.batch, run)


def repeated(
    model: nn.Module, x: Tensor, batch: int, criterion: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[], list[Tensor]]:
    """Forward, objective, backward, Adam (1e-3); returns logits and gradients."""
    y = torch.arange(batch) % 10
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run() -> list[Tensor]:
        outputs = model(x)
        loss = criterion(outputs, y)
        optimizer.zero_grad()
        loss.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        optimizer.step()
        return [outputs, *gradients]

    return run
