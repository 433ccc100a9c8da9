"""Weights of networks as plain PyTorch and SpikingJelly lay them out, matched by structure."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg import create_model
from tempreg.models import SpikingNetwork, WeightsError, load_weights
from tempreg.models.vgg import VGGSNN_LAYERS


def drawn(model: nn.Module) -> nn.Module:
    """Every tensor unlike any other."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            low, high = (0.5, 1.5) if tensor.ndim == 1 else (-0.1, 0.1)
            tensor.uniform_(low, high, generator=generator)
        else:
            tensor.fill_(len(name))
    return model.eval()


class ForeignVGG(nn.Module):
    """Convolutions with biases, as published for event data; time is folded into the batch."""

    def __init__(self) -> None:
        super().__init__()
        units, channels = [], 2
        for layer in VGGSNN_LAYERS:
            if isinstance(layer, int):
                conv = nn.Conv2d(channels, layer, 3, padding=1)
                units.append(nn.Sequential(conv, nn.BatchNorm2d(layer)))
                channels = layer
        self.features = nn.ModuleList(units)
        self.classifier = nn.Linear(512, 3)

    def forward(self, x: Tensor) -> Tensor:
        """One timestep: with a rest at 0, spikes are the currents above 1."""
        units = iter(self.features)
        for layer in VGGSNN_LAYERS:
            x = F.avg_pool2d(x, 2) if layer == "P" else (next(units)(x) > 1).float()
        return self.classifier(x.flatten(1))


class ForeignBlock(nn.Module):
    """SEW block under other names; the shortcut is registered first or last."""

    def __init__(self, inputs: int, channels: int, stride: int, shortcut_first: bool) -> None:
        super().__init__()

        def shortcut() -> None:
            if stride != 1 or inputs != channels:
                self.downsample = nn.Sequential(
                    nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
                )

        if shortcut_first:
            shortcut()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        if not shortcut_first:
            shortcut()

    def forward(self, x: Tensor) -> Tensor:
        first = (self.bn1(self.conv1(x)) > 1).float()
        second = (self.bn2(self.conv2(first)) > 1).float()
        return second + ((self.downsample(x) > 1).float() if hasattr(self, "downsample") else x)


class ForeignSEW18(nn.Module):
    def __init__(self, shortcut_first: bool) -> None:
        super().__init__()
        self.fc = nn.Linear(512, 3)  # registered first: only the order of equal shapes counts
        self.conv1 = nn.Conv2d(2, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        blocks, inputs = [], 64
        for channels, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            for first in (True, False):
                s = stride if first else 1
                blocks.append(ForeignBlock(inputs, channels, s, shortcut_first))
                inputs = channels
        self.layers = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d((self.bn1(self.conv1(x)) > 1).float(), 3, 2, 1)
        return self.fc(self.layers(x).mean((-2, -1)))


def one_step(name: str, size: int) -> SpikingNetwork:
    return create_model(name, num_classes=3, in_channels=2, num_steps=1, input_size=size).eval()


def frames(size: int) -> Tensor:
    return (torch.rand(3, 2, size, size, generator=torch.Generator().manual_seed(2)) < 0.4).float()


@torch.no_grad()
def test_a_vgg_with_biases_gives_the_same_outputs() -> None:
    theirs, ours, x = drawn(ForeignVGG()), one_step("vggsnn", 16), frames(16)
    report = load_weights(ours, theirs.state_dict())
    assert report.matched[0] == ("features.0.0", "stem.conv")
    assert len(report.matched) == 9
    assert not report.missing
    assert not report.unused
    torch.testing.assert_close(ours(x)[0], theirs(x), rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("shortcut_first", [False, True])
def test_a_residual_network_whatever_its_order(shortcut_first: bool) -> None:
    theirs, ours, x = drawn(ForeignSEW18(shortcut_first)), one_step("sew_resnet18", 32), frames(32)
    load_weights(ours, theirs.state_dict())
    expected = theirs(x)
    assert expected.std(0).min() > 0
    torch.testing.assert_close(ours(x)[0], expected, rtol=1e-5, atol=1e-5)


def test_resnet19_from_its_own_layers_under_other_names() -> None:
    theirs, ours = drawn(one_step("resnet19", 8)), one_step("resnet19", 8)
    renamed = {
        name.replace("unit.", "layer.").replace("body", "blocks"): tensor
        for name, tensor in theirs.state_dict().items()
    }
    report = load_weights(ours, {**renamed, "sn1.w": torch.tensor(0.3)})
    assert report.ignored == ["sn1.w"]
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name


def test_a_module_registered_twice_is_taken_once() -> None:
    theirs, ours = drawn(one_step("csnn", 11)), one_step("csnn", 11)
    state = dict(theirs.state_dict())
    twice = {f"again.{name}": tensor for name, tensor in state.items()}
    load_weights(ours, {**state, **twice})
    assert torch.equal(ours.head.weight, theirs.head.weight)


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    ours = one_step("csnn", 11)
    before = {name: t.clone() for name, t in ours.state_dict().items()}
    other = create_model("csnn", num_classes=7, in_channels=2, num_steps=1, input_size=11)
    with pytest.raises(WeightsError, match=r"fits head \[3, 128\].*no place for head \[7, 128\]"):
        load_weights(ours, other.state_dict())
    with pytest.raises(WeightsError, match=r"hold no layers|nothing in them"):
        load_weights(ours, {})
    assert all(torch.equal(before[name], t) for name, t in ours.state_dict().items())
    report = load_weights(ours, other.state_dict(), partial=True)
    assert (report.missing, report.unused) == (["head"], ["head"])
    assert torch.equal(ours.stem.conv.weight, other.stem.conv.weight)


def test_norms_that_could_be_anyones_are_refused() -> None:
    ours = create_model(
        "csnn", num_classes=3, in_channels=2, num_steps=1, input_size=8, channels=(4, 4)
    )
    state = ours.state_dict()
    convs = {name: t for name, t in state.items() if "conv" in name}
    norms = {name: t for name, t in state.items() if "norm" in name}
    with pytest.raises(WeightsError, match=r"which layer the batch norm 'stem\.norm' follows"):
        load_weights(ours, {**convs, **norms})


def test_files(tmp_path: Path) -> None:
    theirs = drawn(one_step("csnn", 11))
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": theirs.state_dict(), "epoch": 3}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        ours = one_step("csnn", 11)
        load_weights(ours, tmp_path / name)
        assert torch.equal(ours.head.weight, theirs.head.weight)
    torch.save(theirs, tmp_path / "whole.pt")
    (tmp_path / "noise.pt").write_bytes(b"noise")
    (tmp_path / "noise.safetensors").write_bytes(b"noise")
    for name in ("whole.pt", "noise.pt", "noise.safetensors"):
        with pytest.raises(WeightsError, match=r"objects that may run code|can't be read"):
            load_weights(one_step("csnn", 11), tmp_path / name)
    with pytest.raises(WeightsError, match="no weights file"):
        load_weights(one_step("csnn", 11), tmp_path / "none.pt")


def checkpoint(network: nn.Module) -> dict[str, object]:
    """All that the paper's scripts put into checkpoint_*.pth, with its own names, after a step."""
    optimizer = torch.optim.Adam(network.parameters())
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3)
    loss = sum(p.sum() for p in network.parameters())
    assert isinstance(loss, Tensor)
    loss.backward()
    optimizer.step()
    scheduler.step()
    return {
        "epoch": 0,
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": scheduler.state_dict(),
        "loss": loss,
        "scaler": torch.amp.GradScaler("cpu").state_dict(),
    }


@pytest.mark.parametrize(
    "key",
    ["model_state_dict", "state_dict", "model", "net", "MODEL_STATE", "ema", "network_state"],
)
def test_checkpoints_of_the_papers_scripts_of_tutorials_and_of_others(
    tmp_path: Path, key: str
) -> None:
    theirs = drawn(one_step("csnn", 11))
    held = checkpoint(theirs)
    torch.save({**held, key: theirs.state_dict()}, tmp_path / "checkpoint_200.pth")
    ours = one_step("csnn", 11)
    load_weights(ours, tmp_path / "checkpoint_200.pth")
    assert torch.equal(ours.head.weight, theirs.head.weight)


def test_checkpoints_of_several_networks_and_of_none(tmp_path: Path) -> None:
    a, b = drawn(one_step("csnn", 11)), one_step("csnn", 11)
    several = {"modelA_state_dict": a.state_dict(), "modelB_state_dict": b.state_dict()}
    torch.save(several, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"several networks \(modelA_state_dict, modelB_sta"):
        load_weights(one_step("csnn", 11), tmp_path / "w.pt")
    torch.save({"state_dict": a.state_dict(), "state_dict_ema": b.state_dict()}, tmp_path / "w.pt")
    ours = one_step("csnn", 11)
    load_weights(ours, tmp_path / "w.pt")
    assert torch.equal(ours.head.weight, a.head.weight)
    for content, words in (
        ({"epoch": 3, "loss": torch.ones(())}, "no tensors by name, but epoch, loss"),
        ({}, "no tensors by name"),
        ([torch.ones(3)], "no tensors by name"),
    ):
        torch.save(content, tmp_path / "w.pt")
        with pytest.raises(WeightsError, match=words):
            load_weights(one_step("csnn", 11), tmp_path / "w.pt")


@torch.no_grad()
def test_a_foreign_safetensors_file_goes_by_the_numbers_in_its_names(tmp_path: Path) -> None:
    for theirs, ours, size in (
        (ForeignVGG(), one_step("vggsnn", 16), 16),
        (ForeignSEW18(False), one_step("sew_resnet18", 32), 32),
    ):
        save_file(drawn(theirs).state_dict(), tmp_path / "w.safetensors")
        load_weights(ours, tmp_path / "w.safetensors")
        x = frames(size)
        torch.testing.assert_close(ours(x)[0], theirs(x), rtol=1e-5, atol=1e-5)


def test_a_safetensors_file_that_lost_the_order_is_refused(tmp_path: Path) -> None:
    state = drawn(one_step("resnet19", 8)).state_dict()
    save_file({f"their.{name}": t for name, t in state.items()}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="doesn't keep their order"):
        load_weights(one_step("resnet19", 8), tmp_path / "w.safetensors")


def test_what_belongs_to_no_layer_comes_along_under_the_same_names() -> None:
    options = {"num_classes": 3, "in_channels": 2, "num_steps": 2, "input_size": 8}
    for more in ({"neuron": "plif"}, {"norm": "tebn"}, {"norm": "tab"}):
        theirs = drawn(create_model("csnn", **options, **more))
        ours = create_model("csnn", **options, **more)
        report = load_weights(ours, theirs.state_dict())
        assert report.missing == report.ignored == []
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], tensor), name
        with pytest.raises(WeightsError, match="nothing in them fits"):
            load_weights(ours, {f"net.{name}": t for name, t in theirs.state_dict().items()})
