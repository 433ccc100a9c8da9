"""Objectives and analyses refuse targets that can't be meant, and inputs that aren't finite."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import tempreg
from tempreg import analysis
from tempreg.objectives import AnytimeLoss, Objective, StepLoss
from tempreg.objectives.base import cross_entropy_per_step

CLASSES = 3
WEIGHTS = torch.nn.Linear(2, 2)
LOSSES: dict[str, Callable[[], Objective]] = {
    "rate": tempreg.RateLoss,
    "step": StepLoss,
    "tet": tempreg.TETLoss,
    "anytime": lambda: AnytimeLoss(distill=0.5),
    "trt": lambda: tempreg.TRTLoss(WEIGHTS),
}


def outputs(*rest: int, dtype: torch.dtype = torch.float32) -> Tensor:
    drawn = torch.randn(2, 4, CLASSES, *rest, generator=torch.Generator().manual_seed(0))
    return drawn.to(dtype)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("label", "place"), [(-1, 1), (-100, 0), (3, 3), (2**40, 2)])
def test_a_class_that_is_none_is_named_with_its_place(name: str, label: int, place: int) -> None:
    targets = torch.tensor([0, 1, 2, 0])
    targets[place] = label
    with pytest.raises(ValueError, match=rf"targets\[{place}\] is {label}, but .* 0 \.\.\. 2"):
        LOSSES[name]()(outputs(), targets)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_probability_that_is_none_is_named_with_its_place(name: str, value: float) -> None:
    targets = torch.full((4, CLASSES), 1 / CLASSES)
    targets[2, 1] = value
    with pytest.raises(ValueError, match=r"targets\[2, 1\] is .* >= 0"):
        LOSSES[name]()(outputs(), targets)


@pytest.mark.parametrize("name", LOSSES)
def test_labels_of_every_integer_type_are_taken(name: str) -> None:
    whole = torch.tensor([0, 1, 2, 0])
    expected = LOSSES[name]()(outputs(), whole)
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        assert LOSSES[name]()(outputs(), whole.to(dtype)) == expected
    with pytest.raises(ValueError, match=r"must be of an integer dtype, got torch\.float32"):
        LOSSES[name]()(outputs(), whole.float())


def test_more_classes_than_a_byte_counts() -> None:
    wide = torch.zeros(2, 4, 300)
    labels = torch.tensor([0, 100, 200, 255], dtype=torch.uint8)
    assert torch.isfinite(StepLoss()(wide, labels))


def test_the_place_in_an_image_is_named() -> None:
    targets = torch.zeros(4, 5, 6, dtype=torch.long)
    targets[3, 2, 1] = 255
    with pytest.raises(ValueError, match=r"targets\[3, 2, 1\] is 255"):
        StepLoss()(outputs(5, 6), targets)


def test_targets_on_a_device_are_not_waited_for() -> None:
    label = torch.tensor([0, 1, 2, 7], device="meta")  # which has no values to look at
    assert StepLoss()(outputs().to("meta"), label).is_meta
    share = torch.full((4, CLASSES), -1.0, device="meta")
    assert StepLoss()(outputs().to("meta"), share).is_meta


def test_no_index_is_left_out_where_values_are_not_looked_at() -> None:
    with pytest.raises(IndexError, match="-100 is out of bounds"):
        cross_entropy_per_step(outputs(), torch.tensor([0, 1, 2, -100]))


def test_losses_still_transform_and_compile() -> None:
    x, y = torch.randn(6, 2, 4, CLASSES), torch.randint(0, CLASSES, (6, 4))
    each = torch.stack([StepLoss()(a, b) for a, b in zip(x, y, strict=True)])
    torch.testing.assert_close(torch.func.vmap(StepLoss())(x, y), each)
    compiled = torch.compile(StepLoss(), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x[0], y[0]), each[0])


NETWORK = tempreg.create_model(
    "csnn", num_classes=CLASSES, in_channels=1, num_steps=2, input_size=8, channels=[4]
)
X = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0])
QUICK: dict[str, Any] = {"points": 1, "plane_points": 1, "draws": 1, "rhos": (0.1,)}
ANALYSES: dict[str, Callable[[Tensor, Tensor], object]] = {
    "fisher": lambda x, y: analysis.fisher_information(NETWORK, x, y),
    "signs": lambda x, y: analysis.fisher_information(NETWORK, x, y, estimator="signs"),
    "gradients": lambda x, y: analysis.temporal_gradients(NETWORK, x, y, StepLoss()),
    "flatness": lambda x, y: analysis.flatness(NETWORK, x, y, **QUICK),
    "anytime": lambda x, y: analysis.anytime(NETWORK, x, y),
    "probes": lambda x, y: analysis.linear_probes(NETWORK, (x, y), (x, y)),
    "robustness": lambda x, y: analysis.early_robustness(NETWORK, x, y),
}
if importlib.util.find_spec("curvlinops") is not None:
    ANALYSES["curvature"] = lambda x, y: analysis.surrogate_curvature(NETWORK, x, y, probes=1)


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_refuses_classes_that_are_none_and_inputs_that_are_not_finite(
    name: str,
) -> None:
    analyse = ANALYSES[name]
    for label in (-1, 3):
        bad = Y.clone()
        bad[1] = label
        with pytest.raises(ValueError, match=rf"targets\[1\] is {label}, but the outputs have 3"):
            analyse(X, bad)
    for value in (float("nan"), float("inf")):
        broken = X.clone()
        broken[2, 0, 3, 4] = value
        with pytest.raises(ValueError, match=r"inputs\[2, 0, 3, 4\] is (nan|inf)"):
            analyse(broken, Y)
    with pytest.raises(ValueError, match="at least one"):
        analyse(X[:0], Y[:0])


def test_spikes_refuse_inputs_that_are_not_finite() -> None:
    with pytest.raises(ValueError, match=r"inputs\[0, 0, 0, 0\] is nan"):
        analysis.spikes(NETWORK, X * float("nan"))
