"""What walks with a network of one's own share: its files, a kill between epochs, a study here."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tempreg.study import process
from tests.cli.following import Here
from tests.spoilt import arrays

NET = """
import torch
from torch import nn

import tempreg


class Net(nn.Module):
    def __init__(self, num_classes, in_channels, hidden=4):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, hidden, 3, padding=1)
        self.norm = nn.BatchNorm2d(hidden)
        self.lif = tempreg.LIF()
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x):
        steps, batch = x.shape[:2]
        current = self.norm(self.conv(x.flatten(0, 1))).unflatten(0, (steps, batch))
        return self.head(self.drop(self.lif(current).mean(dim=(3, 4))))
"""
LOSS = """
import torch

import tempreg


class Loss(tempreg.Objective):
    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = gain

    def compute(self, outputs, targets):
        return {"mine": self.gain * torch.nn.functional.cross_entropy(outputs.mean(0), targets)}
"""
DATA = """
import numpy as np


class Items:
    classes = ("dark", "grey", "light")

    def __init__(self, count):
        self.labels = np.arange(count) % 3
        noise = np.random.default_rng(0).random((count, 2, 1, 8, 8))
        self.frames = (noise + self.labels[:, None, None, None, None]).astype(np.float32)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.frames[index], self.labels[index]
"""
SETTINGS = """
epochs: 3
num_steps: 2
batch_size: 8
device: cpu
data: {name: npz, path: own.npz}
model: {name: "my_net:Net", own: {hidden: 6}}
objective: {name: trt}
"""
EVIL = 'from pathlib import Path\n(Path(__file__).parent / "ran").touch()\n'


def own_place(folder: Path) -> Path:
    """The folder, with a network, a loss, a data set and settings, and code that must not run."""
    files = {"my_net.py": NET, "my_loss.py": LOSS, "my_data.py": DATA, "mine.yaml": SETTINGS}
    for name, content in (files | {"evil.py": EVIL}).items():
        (folder / name).write_text(content)
    np.savez(folder / "own.npz", **arrays())
    return folder


class Killed(BaseException):
    """What stands for a kill between two epochs."""


def killed_after_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    def observer(*_: object) -> object:
        def observe(epoch: int, network: object) -> None:
            if epoch == 2:
                raise Killed

        return observe

    monkeypatch.setattr("tempreg.runs.fit.observer_for", observer)


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of a study's runs, for processes of their own take seconds to start."""
    here = SimpleNamespace(Popen=Here, DEVNULL=subprocess.DEVNULL)
    monkeypatch.setattr(process, "subprocess", here)
