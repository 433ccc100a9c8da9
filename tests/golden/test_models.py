"""Whole networks in float64 against numbers from independent implementations.

models.json is by one that was made for it; published.json is by the scripts of the papers
themselves (ZK-Zhou/spikformer 6212689 and zhouchenlin2096/QKFormer c2a00e8, both for CIFAR-10,
BICLab/Spike-Driven-Transformer 3faa822, Ariande1/MS-ResNet 7c5f006), run with SpikingJelly 2.0's
LIFNode (tau 2, sigmoid of steepness 4) as their neuron, MS-ResNet with its own. Those fire at the
threshold, ours above it, so their thresholds were raised by 1e-12: sums of spikes meet it exactly.
QKFormer's have a batch of one, for which its projections' neurons do run over time.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tempreg import RateLoss, create_model
from tests.golden.fill import fill, golden

MODELS = {**golden("models.json"), **golden("published.json")}
SETTINGS = (
    "tau",
    "v_threshold",
    "v_reset",
    "surrogate",
    "surrogate_param",
    "detach_reset",
    "width",
    "depth",
    "heads",
)


@pytest.mark.parametrize("name", MODELS)
def test_network(name: str) -> None:
    case = MODELS[name]
    channels, size = case["input_shape"][:2]
    settings = {key: case[key] for key in SETTINGS if key in case}
    model = create_model(
        name, num_classes=10, in_channels=channels, num_steps=case["T"], input_size=size, **settings
    ).double()
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    shapes = [[type(layer).__name__, list(layer.weight.shape)] for layer in layers]
    assert shapes == case["layers_in_order"]
    assert sum(p.numel() for p in model.parameters()) == case["parameters"]
    for index, layer in enumerate(layers):
        _fill_layer(layer, index, case.get("norm_gain", 1.0))

    batch = case["B"]
    if case["static"]:
        x = fill((batch, *case["input_shape"]), 7, 1.0)
    else:
        x = fill((batch, case["T"], *case["input_shape"]), 7, 1.0).movedim(1, 0)
    logits = model(x)
    loss = RateLoss()(logits, torch.arange(batch) % 10)
    loss.backward()
    expected = torch.tensor(case["logits"], dtype=torch.float64).reshape(batch, case["T"], 10)
    torch.testing.assert_close(logits, expected.movedim(1, 0), atol=1e-9, rtol=0)
    assert loss.item() == pytest.approx(case["loss"], rel=1e-9)
    norms = [layer.weight.grad.norm().item() for layer in layers]
    assert norms == pytest.approx(case["weight_grad_norms"], rel=1e-6)


def _fill_layer(layer: nn.Module, index: int, gain: float) -> None:
    weight = fill(tuple(layer.weight.shape), index + 1, 1.0)
    with torch.no_grad():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.copy_(gain * (1 + 0.2 * weight))
            layer.bias.copy_(0.3 + fill(tuple(layer.bias.shape), index + 501, 0.2))
        else:
            layer.weight.copy_(math.sqrt(2 / layer.weight[0].numel()) * weight)
            if layer.bias is not None:
                layer.bias.copy_(fill(tuple(layer.bias.shape), index + 501, 0.1))
