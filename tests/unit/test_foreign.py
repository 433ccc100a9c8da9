"""What is known of other libraries' neurons without them; with them: tests/interop."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import tempreg
from tempreg import analysis
from tempreg.foreign import constant_parameters, is_spiking, library_of
from tempreg.interop import norse, sinabs, snntorch, spikingjelly


def test_other_modules_are_nobodys_neurons() -> None:
    assert library_of(nn.ReLU()) is None
    assert library_of(tempreg.LIF()) is None
    assert not is_spiking(nn.ReLU())
    assert is_spiking(tempreg.PLIF())


def test_a_class_of_the_same_name_is_not_taken_for_theirs() -> None:
    class BaseNode(nn.Module):
        pass

    assert library_of(BaseNode()) is None
    assert not is_spiking(BaseNode())


def test_constants_of_our_neurons() -> None:
    model = nn.Sequential(nn.Linear(2, 2), tempreg.PLIF(), nn.PReLU())
    assert constant_parameters(model) == {id(model[1].w)}


@pytest.mark.parametrize("library", [spikingjelly, snntorch, norse, sinabs])
def test_a_model_without_their_neurons_is_refused(library: object) -> None:
    with pytest.raises(ValueError, match=r"Sequential has no neurons known here, but interop\."):
        library.TimeFirst(nn.Sequential(tempreg.LIF()), num_steps=2)


def test_gradients_of_a_network_with_learnable_tau() -> None:
    model = tempreg.create_model(
        "csnn", num_classes=3, in_channels=2, num_steps=3, input_size=8, channels=(4,),
        neuron="plif",
    )  # fmt: skip
    x, y = torch.rand(3, 4, 2, 8, 8) * 2, torch.tensor([0, 1, 2, 0])
    found = analysis.temporal_gradients(model, x, y, tempreg.RateLoss())
    assert found.weights == ["stem.conv.weight", "head.weight"]
    assert found.weight_shares.sum(axis=1) == pytest.approx(1.0)
