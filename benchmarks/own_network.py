"""An epoch of an own network through tempreg's training loop, as a ratio to a loop by hand.

    python benchmarks/own_network.py [--epochs 40] [--threads 1] [--out FILE.csv]

Both train the network of this file on the embedded N-MNIST recordings, TRT its loss, and validate
after each epoch; both write metrics, weights and the optimizer's state, but only a run's files are
safe from a crash of the machine (fsync), so there are times with them and without. Nothing is
augmented, for a loop by hand would then be no plain loop. Epochs are taken in turn in one process:
while the trainer waits at the end of one of its own, the loop by hand runs the same. Nothing is
reported unless both found the same losses and the same accuracy at every timestep in every epoch,
and ended with the same weights, bit for bit. The first epoch isn't counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import tempreg
from tempreg.bench.results import Disagreement, Results, write
from tempreg.config import PRESETS, RunConfig
from tempreg.config.schema import ModelConfig
from tempreg.data import DataSet, Split
from tempreg.options import AugmentOptions, OptimizerOptions
from tempreg.runs import train
from tempreg.runs.build import build_data
from tempreg.training.evaluate import Evaluation
from tempreg.training.progress import Reporter
from tempreg.training.streams import stream, stream_seed

BATCH, LR = 32, 2e-3
HIDDEN = (16, 64)


class Net(nn.Module):
    """Two convolutions with neurons, and a linear layer of how often these fire."""

    def __init__(self, num_classes: int, in_channels: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, hidden, 3, stride=2, padding=1)
        self.second = nn.Conv2d(hidden, hidden, 3, stride=2, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(hidden) for _ in range(2))
        self.neurons = nn.ModuleList(tempreg.LIF() for _ in range(2))
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for i, conv in enumerate((self.first, self.second)):
            current = self.norms[i](conv(x.flatten(0, 1)))
            x = self.neurons[i](current.unflatten(0, x.shape[:2]))
        logits: Tensor = self.head(x.mean(dim=(3, 4)))
        return logits


class Found(NamedTuple):
    """Of a part of the data: the loss and the accuracy at every timestep."""

    loss: float
    accuracy: list[float]


class ByHand:
    """A training loop as one writes it, in the folder `out`. Final."""

    def __init__(self, config: RunConfig, data: DataSet, out: Path) -> None:
        torch.manual_seed(stream_seed(config.seed, "weights"))
        classes, channels = len(data.classes), data.in_channels
        self.network = Net(classes, channels, **(config.model.own or {}))
        self.criterion = tempreg.TRTLoss(
            self.network,
            lam=config.objective.lam,
            decay=config.objective.decay,
            eta=config.objective.eta,
        )
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=LR)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, config.epochs)
        self.seed, self.out = config.seed, out
        self.train, self.validation = whole(data.train), whole(data.validation)

    def epoch(self, epoch: int) -> tuple[Found, Found]:
        """Train on all, validate, write; `epoch` is from 0."""
        start = time.perf_counter()
        order = torch.randperm(len(self.train[1]), generator=stream(self.seed, "order", epoch))
        found = self._pass(self.train, order, self._step), self._validated()
        self.seconds = time.perf_counter() - start
        self.schedule.step()
        with (self.out / "metrics.jsonl").open("a") as file:
            for split, one in zip(("train", "validation"), found, strict=True):
                file.write(json.dumps({"epoch": epoch, "split": split, **one._asdict()}) + "\n")
        kept = {"model": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(kept, self.out / "checkpoint.pt")
        return found

    def _step(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(x)
        loss = self.criterion(logits, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return logits, loss

    def _validated(self) -> Found:
        self.network.eval()
        with torch.no_grad():
            order = torch.arange(len(self.validation[1]))
            found = self._pass(self.validation, order, self._seen)
        self.network.train()
        return found

    def _seen(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(x)
        return logits, self.criterion(logits, y)

    def _pass(
        self,
        part: tuple[Tensor, Tensor],
        order: Tensor,
        each: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    ) -> Found:
        frames, labels = part
        loss, right = 0.0, 0
        for chosen in order.split(BATCH):
            y = labels[chosen]
            logits, value = each(frames[:, chosen], y)
            loss += value.item() * len(y)
            right = right + (logits.detach().cumsum(0).argmax(-1) == y).sum(1)
        return Found(loss / len(order), [int(n) / len(order) for n in right])


def whole(split: Split) -> tuple[Tensor, Tensor]:
    """All frames, float32 [T, N, C, H, W], and labels [N]."""
    return split.batch(torch.arange(len(split)))


class InTurn(Reporter):
    """Runs an epoch by hand after each of the trainer's, and takes the time of both. Final.

    Args:
        hand: the loop.
        metrics: the file in which the trainer notes its seconds of training and validation.
    """

    def __init__(self, hand: ByHand, metrics: Path) -> None:
        self.hand, self.metrics, self.before = hand, metrics, 0.0
        self.times: dict[str, list[float]] = {"tempreg": [], "by hand": []}
        self.with_files: dict[str, list[float]] = {"tempreg": [], "by hand": []}

    def begin(self, epochs: int, samples: int, done: int) -> None:
        self.start = time.perf_counter()

    def epoch(
        self, number: int, train: Evaluation, validation: Evaluation | None, best: bool
    ) -> None:
        between = time.perf_counter()
        found = self.hand.epoch(number - 1)
        end = time.perf_counter()
        assert validation is not None
        theirs = [Found(one.loss, one.accuracy_per_step) for one in (train, validation)]
        if theirs != list(found):
            raise Disagreement(f"epoch {number}: {theirs} by tempreg, {found} by hand")
        seconds = json.loads(self.metrics.read_text().splitlines()[-1])["seconds"]
        if number > 1:
            self.times["tempreg"].append(seconds - self.before)
            self.times["by hand"].append(self.hand.seconds)
            self.with_files["tempreg"].append(between - self.start)
            self.with_files["by hand"].append(end - between)
        self.before = seconds
        self.start = time.perf_counter()


def measure(results: Results, hidden: int, epochs: int) -> None:
    """The times of one size of the network."""
    preset = PRESETS["nmnist-trt"]()
    config = replace(
        preset,
        epochs=epochs,
        batch_size=BATCH,
        augment=AugmentOptions(),
        model=ModelConfig(name=f"{Path(__file__).resolve()}:Net", own={"hidden": hidden}),
        optimizer=OptimizerOptions(name="adam", lr=LR, warmup_epochs=0.0, cosine="epoch"),
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        hand = ByHand(config, build_data(config), out)
        reporter = InTurn(hand, out / "run" / "metrics.jsonl")
        train(config, out / "run", reporter=reporter)
        ours = load_file(out / "run" / "model.safetensors")
    theirs = {f"model.{name}": value for name, value in hand.network.state_dict().items()}
    if ours.keys() != theirs.keys() or any(not ours[k].equal(theirs[k]) for k in ours):
        raise Disagreement("the weights differ in the end")
    setting = f"{hidden} channels, T {config.num_steps}, batch {BATCH}"
    results.times(setting, reporter.times, "by hand")
    results.times(f"{setting}, with files", reporter.with_files, "by hand")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    results = Results("own")
    for hidden in HIDDEN:
        measure(results, hidden, args.epochs)
    if args.out is not None:
        write(args.out, [vars(row) for row in results.rows])


if __name__ == "__main__":
    sys.exit(main())
