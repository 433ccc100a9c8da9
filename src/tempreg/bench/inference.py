"""One recording through a network: latency by timestep, throughput, early exit."""

from __future__ import annotations

from functools import partial
from typing import final

import torch
from torch import Tensor, nn

from tempreg.bench.agree import agree
from tempreg.bench.measure import Work, alternate
from tempreg.bench.networks import SETTINGS, exchange, inputs, network
from tempreg.bench.results import Results
from tempreg.data import Split, load_dataset
from tempreg.models import SpikingNetwork
from tempreg.neurons import Neuron
from tempreg.objectives import TRTLoss

CONFIDENCE = 0.9


@final
class _Carried(nn.Module):
    """A neuron that keeps its state from call to call, until `state` is None again."""

    def __init__(self, neuron: nn.Module) -> None:
        super().__init__()
        self.neuron = neuron
        self.state: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Spikes of the next timesteps."""
        if self.state is None:
            self.state = torch.zeros_like(x[0])
        spikes: Tensor
        spikes, self.state = self.neuron(x, self.state)
        return spikes


@final
class Stepwise:
    """A network that is shown one timestep after another.

    Its neurons are those of `model`, which must not be used otherwise at the same time.
    """

    def __init__(self, model: SpikingNetwork) -> None:
        self.model = model
        exchange(model, Neuron, _Carried)
        self.neurons = [m for m in model.modules() if isinstance(m, _Carried)]

    def logits(self, x: Tensor, confidence: float = 1.0) -> Tensor:
        """[t, B, classes] of x [T, B, ...], up to the first t where all are confident."""
        for neuron in self.neurons:
            neuron.state = None
        outputs: list[Tensor] = []
        for x_t in x.unbind(0):
            outputs.append(self.model(x_t.unsqueeze(0))[0])
            if confidence < 1:
                mean = torch.stack(outputs).mean(dim=0)
                if bool((mean.softmax(dim=1).amax(dim=1) >= confidence).all()):
                    break
        return torch.stack(outputs)


def measure(results: Results, quick: bool) -> None:
    """Fresh networks for latency and throughput, one trained on N-MNIST for early exit."""
    with torch.inference_mode():
        for name in ("csnn",) if quick else ("csnn", "vggsnn", "resnet19"):
            _latency(results, name)
            _throughput(results, name, (1, 8) if quick else (1, 8, 32))
    _early_exit(results, epochs=2 if quick else 8, count=20 if quick else 100)


def _one(name: str) -> Tensor:
    """One recording, frame by frame."""
    setting = SETTINGS[name]
    x = inputs(setting._replace(batch=1))
    return x if x.ndim == 5 else x.expand(setting.steps, *x.shape)


def _latency(results: Results, name: str) -> None:
    """The whole network for the first t timesteps, and step by step with the states carried."""
    x, model = _one(name), network(name, "tempreg").eval()
    stepwise = Stepwise(network(name, "tempreg").eval())
    agree(f"{name}: one recording at once and step by step", [stepwise.logits(x)], [model(x)], 1e-4)
    works: dict[str, Work] = {f"first {t}": partial(model, x[:t]) for t in range(1, len(x) + 1)}
    works["one by one"] = partial(stepwise.logits, x)
    times = alternate(works, rounds=40, budget=30)
    results.times(f"{name}, batch 1, of {len(x)} timesteps", times, f"first {len(x)}")


def _throughput(results: Results, name: str, batches: tuple[int, ...]) -> None:
    model, relu = network(name, "tempreg").eval(), network(name, "ReLU").eval()
    for batch in batches:
        x = inputs(SETTINGS[name]._replace(batch=batch))
        works = {"tempreg": partial(model, x), "ReLU": partial(relu, x)}
        times = alternate(works, rounds=15, budget=20)
        setting = f"{name}, T {SETTINGS[name].steps}, batch {batch}"
        results.times(setting, times, "ReLU")
        rate = batch / min(times["tempreg"])
        results.single("throughput", setting, "tempreg", rate, "recordings/s")


def _early_exit(results: Results, epochs: int, count: int) -> None:
    """Stop at the first timestep with a confidence of 0.9: time, timesteps and accuracy."""
    setting = SETTINGS["csnn"]
    data = load_dataset("nmnist", num_steps=setting.steps)
    model = _trained(network("csnn", "tempreg"), data.train, epochs)
    x, y = data.test.batch(torch.arange(count))
    singles = [x[:, n : n + 1] for n in range(count)]
    whole = model(x).detach().mean(dim=0).argmax(dim=1)
    stepwise = Stepwise(model)
    with torch.inference_mode():
        left = [stepwise.logits(one, CONFIDENCE) for one in singles]
        works = {
            f"exit at {CONFIDENCE}": lambda: [stepwise.logits(one, CONFIDENCE) for one in singles],
            "all timesteps": lambda: [stepwise.logits(one) for one in singles],
        }
        times = alternate(works, rounds=9, budget=30)
    exits = torch.stack([o.mean(dim=0).argmax(dim=1)[0] for o in left])
    where = f"csnn on N-MNIST, {count} recordings one by one"
    results.times(where, times, "all timesteps")
    results.single("timesteps", where, f"exit at {CONFIDENCE}", sum(map(len, left)) / count, "mean")
    for name, classes in ((f"exit at {CONFIDENCE}", exits), ("all timesteps", whole)):
        share = float((classes == y).float().mean())
        results.single("accuracy", where, name, share, "of 1")


def _trained(model: SpikingNetwork, split: Split, epochs: int) -> SpikingNetwork:
    """The network after some epochs of TRT, in evaluation mode."""
    generator = torch.Generator().manual_seed(0)
    criterion = TRTLoss(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for places in torch.randperm(len(split), generator=generator).split(32):
            x, y = split.batch(places)
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
    return model.eval()
