"""Whole networks against SpikingJelly 2.0's and snnTorch 1.0's of the same weights, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import tempreg
from tempreg.surrogate import Spike
from tests.golden.fill import fill
from tests.interop.framework import needs

STEPS, BATCH, SIZE = 4, 2, 32
KINDS = (nn.Conv1d, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.Linear)


def weighted(model: nn.Module) -> list[Any]:
    return [m for m in model.modules() if isinstance(m, KINDS)]


def filled(layers: list[Any]) -> None:
    with torch.no_grad():
        for index, layer in enumerate(layers):
            weight = fill(tuple(layer.weight.shape), index + 1, 1.0)
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.copy_(2 + 0.4 * weight)
                layer.bias.copy_(0.3 + fill(tuple(layer.bias.shape), index + 501, 0.2))
            else:
                layer.weight.copy_(weight * (2 / layer.weight[0].numel()) ** 0.5)
                if layer.bias is not None:
                    layer.bias.copy_(fill(tuple(layer.bias.shape), index + 501, 0.1))


def check(ours: nn.Module, layers: list[Any], theirs: Callable[[Tensor], Tensor]) -> None:
    """Logits and norms of the weights' gradients: of `ours`, and of `theirs`, which has its
    weights in `layers`, in the order of ours."""
    mine = weighted(ours)
    filled(mine)
    with torch.no_grad():
        for a, b in zip(mine, layers, strict=True):
            b.weight.copy_(a.weight.reshape(b.weight.shape))
            if a.bias is not None:
                b.bias.copy_(a.bias)
            elif b.bias is not None:
                b.bias.zero_()
    x = fill((STEPS, BATCH, 3, SIZE, SIZE), 7, 1.0)
    made = []
    for run, where in ((ours, mine), (theirs, layers)):
        logits = run(x)
        tempreg.RateLoss()(logits, torch.arange(BATCH)).backward()
        made.append((logits.detach(), torch.stack([m.weight.grad.norm() for m in where])))
    (logits, norms), (expected, wanted) = made
    torch.testing.assert_close(logits, expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(norms, wanted, atol=0, rtol=1e-6)
    assert wanted.min() > 0
    assert expected.std(0).max() > 0


def test_spike_driven_transformer() -> None:
    module = needs("spikingjelly.activation_based.model.spike_driven_transformer")
    neuron = needs("spikingjelly.activation_based.neuron")
    surrogate = needs("spikingjelly.activation_based.surrogate")
    theirs = module.SpikeDrivenTransformer(
        T=STEPS, in_channels=3, num_classes=5, embed_dims=32, num_heads=4, depths=2
    ).double()
    theirs.train()
    for node in theirs.modules():
        if isinstance(node, neuron.BaseNode):
            node.surrogate_function = surrogate.Sigmoid(alpha=4.0)
            node.detach_reset = False
            node.v_threshold += 1e-12  # theirs fire at the threshold, ours above it
    ours = tempreg.create_model(
        "spike_driven_transformer",
        num_classes=5, in_channels=3, num_steps=STEPS, width=32, depth=2, heads=4, poolings=4,
        v_threshold=2.0, surrogate="sigmoid", surrogate_param=2.0,
    ).double()  # fmt: skip
    kept: list[Tensor] = []
    theirs.head.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    theirs.head_lif.register_forward_hook(lambda *_: kept.append(_[2]))

    def run(x: Tensor) -> Tensor:
        theirs(x)
        return theirs.head(kept[0])

    check(ours, weighted(theirs), run)


def test_ms_resnet() -> None:
    module = needs("spikingjelly.activation_based.model.ms_resnet")
    neuron = needs("spikingjelly.activation_based.neuron")
    surrogate = needs("spikingjelly.activation_based.surrogate")
    theirs = module.MSResNet(T=STEPS, in_channels=3, num_classes=5, base_channels=8).double()
    for node in theirs.modules():
        if isinstance(node, neuron.BaseNode):
            node.surrogate_function = surrogate.Sigmoid(alpha=2.0)
    ours = tempreg.create_model(
        "ms_resnet18",
        num_classes=5, in_channels=3, num_steps=STEPS, width=8,
        tau=4.0, v_threshold=0.5, surrogate="sigmoid", surrogate_param=2.0, detach_reset=True,
    ).double()  # fmt: skip

    def run(x: Tensor) -> Tensor:
        x = theirs.stem(x)
        for stage in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4):
            x = stage(x)
        return theirs.head(theirs.avgpool(theirs.head_lif(x)).flatten(2))

    check(ours, weighted(theirs), run)


def test_recurrent() -> None:
    snntorch = needs("snntorch")

    def atan(u: Tensor) -> Tensor:
        made: Tensor = Spike.apply(u, 0.0, "atan", 1.0)
        return made

    ours = tempreg.create_model(
        "rsnn", num_classes=5, in_channels=3, num_steps=STEPS, input_size=SIZE, channels=(12, 10),
        tau=1.25, v_threshold=0.2, norm="none", surrogate="atan",
    ).double()  # fmt: skip
    nodes = [
        snntorch.RLeaky(
            1 / 1.25,
            threshold=0.2,
            linear_features=size,
            spike_grad=atan,
            reset_mechanism="zero",
            reset_delay=False,
        ).double()
        for size in (12, 10)
    ]
    first, second, head = (
        nn.Linear(a, b).double() for a, b in ((3 * SIZE * SIZE, 12), (12, 10), (10, 5))
    )

    def run(x: Tensor) -> Tensor:
        spikes = [torch.zeros(BATCH, size, dtype=x.dtype) for size in (12, 10)]
        membranes, made = list(spikes), []
        for frame in x.flatten(2):
            current = first(frame)
            for i, node in enumerate(nodes):
                spikes[i], membranes[i] = node(current, spikes[i], membranes[i])
                current = second(spikes[0])
            made.append(head(spikes[1]))
        return torch.stack(made)

    order = [first, second, nodes[0].recurrent, nodes[1].recurrent, head]
    check(ours, order, run)
