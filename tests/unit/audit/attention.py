"""Spiking attention in small, from the papers' equations.

QK token attention (Zhou et al. 2024, arXiv 2403.16552): queries are summed over a token's channels,
fire, and so choose tokens of the keys; a projection with its neurons follows. Spiking
self-attention (Zhou et al. 2022, arXiv 2209.15425): (Q K^T) V, scaled, without softmax.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.unit.audit.parts import CLASSES, lif


class Unit(nn.Module):
    """A convolution of tokens [T, B, C, N] with batch norm."""

    def __init__(self, channels: int, made: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, made, 1, bias=False)
        self.norm = nn.BatchNorm1d(made)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x.flatten(0, 1))).unflatten(0, x.shape[:2])


class QKBlock(nn.Module):
    """A = spike(sum over channels of Q); A * K is projected, and fires.

    `right` reshapes to [T, B, ...] before the projection's neurons; else they get [T * B, ...].
    """

    def __init__(self, channels: int, *, right: bool) -> None:
        super().__init__()
        self.q, self.k = Unit(channels, channels), Unit(channels, channels)
        self.q_lif, self.k_lif, self.token_lif = lif(), lif(), lif()
        self.proj = nn.Conv1d(channels, channels, 1)
        self.proj_lif = lif()
        self.right = right

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.q_lif(self.q(x)), self.k_lif(self.k(x))
        chosen = self.token_lif(q.sum(dim=2, keepdim=True)) * k
        projected = self.proj(chosen.flatten(0, 1))
        if self.right:
            made: Tensor = self.proj_lif(projected.unflatten(0, x.shape[:2]))
            return made
        wrong: Tensor = self.proj_lif(projected)
        return wrong.unflatten(0, x.shape[:2])

    @staticmethod
    def network(*, right: bool) -> nn.Module:
        """As active as trained ones are: fresh weights of this size leave most neurons silent."""
        torch.manual_seed(1)
        net = Tokens(QKBlock(8, right=right))
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.mul_(3 if parameter.ndim > 1 else 1)
        return net


class SelfAttention(nn.Module):
    """Spiking self-attention with `heads` heads, on [T, B, C, N]."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        for name in "qkv":
            self.add_module(name, Unit(channels, channels))
            self.add_module(f"{name}_lif", lif())
        self.attn_lif, self.proj, self.proj_lif = lif(), Unit(channels, channels), lif()

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            getattr(self, f"{n}_lif")(getattr(self, n)(x)).unflatten(2, (self.heads, -1))
            for n in "qkv"
        )
        attended = (v @ (k.transpose(-2, -1) @ q)) * 0.5
        made: Tensor = self.proj_lif(self.proj(self.attn_lif(attended.flatten(2, 3))))
        return made


class Tokens(nn.Module):
    """Frames to tokens, a block with its shortcut, and a head: [T, B, 2, 6, 6] -> [T, B, 3]."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.embed = nn.Conv2d(2, 8, 2, stride=2)
        self.embed_lif = lif()
        self.block = block
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.embed(x.flatten(0, 1)).flatten(2).unflatten(0, x.shape[:2])
        spikes = self.embed_lif(patches)
        return self.head((spikes + self.block(spikes)).mean(-1))
