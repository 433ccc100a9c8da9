"""Convolutions that walk non-zeros, beside torch's: one at a time, and in trained networks.

A network is trained for a hundred steps on N-MNIST's recordings, so that its densities are real
ones, and is then compared with the same one that has ReLU in place of its neurons, whose
convolutions are torch's.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from tempreg.bench.agree import agree
from tempreg.bench.measure import Work, alternate
from tempreg.bench.networks import exchange, repeated
from tempreg.bench.results import Results
from tempreg.data import Split, load_dataset
from tempreg.models import SpikingNetwork, create_model
from tempreg.models.convolution import CONVOLUTIONS, convolved
from tempreg.models.layers import ConvNorm, choose_convolutions
from tempreg.neurons import Neuron
from tempreg.objectives import TRTLoss
from tempreg.ops.sparse_conv import density

SIZE = 34
STEPS = {"csnn": 6, "vggsnn": 10, "resnet19": 4}
"""Timesteps of each network."""
BATCH, TRAINED = 8, 100
LAYERS = ((64, 128, 34), (128, 256, 17), (256, 256, 17), (512, 512, 8), (512, 512, 4))
"""Channels of input and result, and height: of 3x3 convolutions as in vggsnn on N-MNIST."""
DENSITIES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


def measure(results: Results, quick: bool) -> None:
    """Single convolutions at every density, then the networks."""
    convolutions(results, LAYERS[-1:] if quick else LAYERS, images=4 if quick else 40)
    for name in ("csnn",) if quick else ("vggsnn", "resnet19"):
        data = load_dataset("nmnist", num_steps=STEPS[name])
        networks(results, name, trained(name, data.train, 3 if quick else TRAINED), data.train)


def convolutions(results: Results, layers: tuple[tuple[int, int, int], ...], images: int) -> None:
    """The result and the gradient of the weights of one, sparse and auto, over torch's."""
    draws = torch.Generator().manual_seed(0)
    for inputs, outputs, size in layers:
        conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        places = torch.rand(images, inputs, size, size, generator=draws)
        for share in DENSITIES:
            x = (places < share).float()
            passes = partial(_forward_and_weights, conv, x)
            if share:
                agree(f"{share} of {inputs}", passes("sparse"), passes("dense"), 1e-5)
            works: dict[str, Work] = {way: partial(passes, way) for way in CONVOLUTIONS}
            if share == 1:  # where auto runs what dense does: how far the same work is from itself
                works["dense, again"] = partial(passes, "dense")
            times = alternate(works, rounds=9, budget=6)
            where = f"{inputs} to {outputs} channels, {size} x {size}, {images} images, {share:.0%}"
            results.times(where, times, "dense")


def _forward_and_weights(conv: nn.Conv2d, x: Tensor, way: str) -> list[Tensor]:
    conv.weight.grad = None
    out = convolved(conv, x, way)
    out.backward(torch.ones_like(out))
    assert conv.weight.grad is not None
    return [out.detach(), conv.weight.grad]


def fresh(name: str) -> SpikingNetwork:
    """With the seed's weights, for N-MNIST's recordings."""
    torch.manual_seed(0)
    return create_model(name, num_classes=10, in_channels=2, num_steps=STEPS[name], input_size=SIZE)


def trained(name: str, split: Split, steps: int) -> SpikingNetwork:
    """After so many steps of TRT with Adam (1e-3)."""
    model = fresh(name)
    choose_convolutions(model, "auto")
    criterion = TRTLoss(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    draws = torch.Generator().manual_seed(0)
    for _ in range(steps):
        x, y = split.batch(torch.randint(len(split), (BATCH,), generator=draws))
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
    return model


def networks(results: Results, name: str, model: SpikingNetwork, split: Split) -> None:
    """A training step and inference of the trained network, each way, over ReLU's."""
    x, _ = split.batch(torch.arange(BATCH))
    where = f"{name}, T {STEPS[name]}, batch {BATCH}"
    for layer, share in _densities(model, x).items():
        results.single("density", where, layer, share, "of 1")
    models = {way: fresh(name) for way in (*CONVOLUTIONS, "ReLU")}
    for way, each in models.items():
        each.load_state_dict(model.state_dict())
        if way == "ReLU":
            exchange(each, Neuron, lambda _: nn.ReLU())
        else:
            choose_convolutions(each, way)
    with torch.inference_mode():
        works: dict[str, Work] = {way: partial(each.eval(), x) for way, each in models.items()}
        results.times(f"{where}, inference", alternate(works, rounds=9, budget=25), "ReLU")
    steps: dict[str, Work] = {
        way: repeated(each.train(), x, BATCH, TRTLoss(each)) for way, each in models.items()
    }
    results.times(f"{where}, training step", alternate(steps, rounds=9, budget=60), "ReLU")


def _densities(model: SpikingNetwork, x: Tensor) -> dict[str, float]:
    """The share of inputs that aren't zero, by convolution."""
    found: dict[str, float] = {}
    with torch.no_grad():
        handles = [
            unit.conv.register_forward_pre_hook(
                lambda _, given, layer=layer: found.update({layer: density(given[0])})
            )
            for layer, unit in model.named_modules()
            if isinstance(unit, ConvNorm)
        ]
        model.eval()(x)
    for handle in handles:
        handle.remove()
    return found
