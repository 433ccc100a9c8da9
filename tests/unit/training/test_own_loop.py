"""What a training step by the trainer does beyond the same step by hand, counted, not timed.

benchmarks/own_network.py takes the times.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import TensorDataset

import tempreg
from tempreg.training.step import GradientStep

STEPS, BATCH, SIZE, CLASSES = 5, 8, 12, 2
Operations = Counter[tuple[str, tuple[int, ...]]]
"""How often each operation was done, by its name and the shape of its first result."""

LOGITS, RIGHT = (STEPS, BATCH, CLASSES), (STEPS, BATCH)
ADDED: Operations = Counter({
    ("arange", (BATCH,)): 1,  # this process's part of the batch
    ("slice", (BATCH,)): 1,
    ("_local_scalar_dense", ()): 1,  # whether the loss is finite
    ("detach", ()): 4,  # the loss, twice, and its two terms
    ("stack", (3,)): 1,
    ("_to_copy", (3,)): 1,
    ("mul_", (3,)): 1,
    ("add_", (3,)): 1,
    ("detach", LOGITS): 1,
    ("cumsum", LOGITS): 1,
    ("argmax", RIGHT): 1,
    ("eq", RIGHT): 1,
    ("alias", RIGHT): 1,
    ("sum", (STEPS,)): 1,
    ("add_", (STEPS,)): 1,
})  # fmt: skip
"""Mostly sums of an epoch's loss, terms and accuracies: nothing as large as a batch."""


class Net(nn.Module):
    """`depth` layers of neurons, and a linear one. It counts how often it is called. Final."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(SIZE, SIZE) for _ in range(depth))
        self.neurons = nn.ModuleList(tempreg.LIF(backend="eager") for _ in range(depth))
        self.head = nn.Linear(SIZE, CLASSES)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        x = x.flatten(2)
        for layer, neuron in zip(self.layers, self.neurons, strict=True):
            x = neuron(layer(x))
        logits: Tensor = self.head(x)
        return logits


class Counting(TorchDispatchMode):
    """Counts operations, those of the backward pass and the optimizer among them. Final."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Operations = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        first = made[0] if isinstance(made, (tuple, list)) and made else made
        shape = tuple(first.shape) if isinstance(first, Tensor) else ()
        self.seen[func.overloadpacket.__name__, shape] += 1
        return made


def by_trainer(
    net: Net, data: TensorDataset, out: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Operations]:
    """The operations of each step of an epoch, once its batch was read."""
    seen = []
    step = GradientStep.__call__

    def watched(
        self: GradientStep, epoch: int, index: int, size: int, loaded: Iterator[Any], *others: Any
    ) -> bool:
        batch, before = next(loaded), net.calls
        with Counting() as counting:
            stop = step(self, epoch, index, size, iter([batch]), *others)
        seen.append(counting.seen)
        assert net.calls - before == 1
        return stop

    with monkeypatch.context() as patch:
        patch.setattr(GradientStep, "__call__", watched)
        tempreg.train(
            model=net,
            data=(data, data),
            objective=tempreg.TETLoss(),
            out=out,
            epochs=1,
            num_steps=STEPS,
            batch_size=BATCH,
            device="cpu",
            settings={"data.validation": 0.0},
        )
    return seen


def by_hand(net: Net, data: TensorDataset) -> Operations:
    """The operations of one step, as one writes it; the second, when Adam has its state."""
    criterion, optimizer = tempreg.TETLoss(), torch.optim.Adam(net.parameters())
    frames, labels = data[:BATCH]
    x = frames.movedim(1, 0).contiguous()
    for _ in range(2):
        with Counting() as counting:
            loss = criterion(net(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return counting.seen


@pytest.mark.parametrize("depth", [1, 4])
def test_a_step_is_that_of_a_loop_by_hand_and_the_sums_of_its_epoch(
    depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same additions at any depth: forward, backward and optimizer do nothing more."""
    torch.manual_seed(0)
    frames, labels = torch.rand(4 * BATCH, STEPS, 1, 3, 4), torch.arange(4 * BATCH) % CLASSES
    data, net = TensorDataset(frames, labels), Net(depth)
    plain = by_hand(copy.deepcopy(net), data)
    assert plain["addmm", (STEPS * BATCH, SIZE)] >= depth  # it sees inside
    seen = by_trainer(net, data, tmp_path / "run", monkeypatch)
    assert len(seen) == 4
    for found in seen[1:]:  # the first has nothing to add its sums to, and makes Adam's state
        assert found - plain == ADDED
        assert plain - found == Counter()
