"""The objectives beside the published ones, by their definitions, and how names are read."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from tempreg import AnytimeLoss, Objective, RateLoss, Regularised, StepLoss, TRTLoss, create_model
from tempreg.config import PRESETS, ConfigError, RunConfig, config_from_dict, config_to_dict
from tempreg.functional import trt_penalty
from tempreg.objectives import matched_l2, selected_parameters
from tempreg.runs.build import build_objective
from tempreg.runs.own.trust import EVERYTHING

T, B, C = 5, 4, 3
LOGITS = torch.randn(T, B, C, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 2, 1, 2])


def config(name: str, **settings: object) -> RunConfig:
    data = config_to_dict(PRESETS["nmnist-trt"]())
    data["objective"] |= {"name": name, **settings}
    return config_from_dict(data, "test")


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return create_model(
        "csnn", num_classes=C, in_channels=1, num_steps=T, input_size=8, channels=(4, 4)
    ).double()


def test_step_is_the_mean_over_steps() -> None:
    expected = torch.stack([F.cross_entropy(o, TARGETS) for o in LOGITS]).mean()
    torch.testing.assert_close(StepLoss()(LOGITS, TARGETS), expected, rtol=1e-12, atol=0)


def test_smoothing_is_a_mixture_with_the_uniform_target() -> None:
    soft = 0.7 * F.one_hot(TARGETS, C).double() + 0.3 / C
    expected = StepLoss()(LOGITS, soft)
    torch.testing.assert_close(StepLoss(smoothing=0.3)(LOGITS, TARGETS), expected)
    torch.testing.assert_close(
        StepLoss(smoothing=0.3)(LOGITS, F.one_hot(TARGETS, C).double()), expected
    )


def test_anytime_sees_running_means() -> None:
    means = [LOGITS[: t + 1].mean(dim=0) for t in range(T)]
    expected = sum(F.cross_entropy(m, TARGETS) for m in means) / T
    torch.testing.assert_close(AnytimeLoss()(LOGITS, TARGETS), expected)
    teacher = (means[-1] / 2).softmax(dim=1)
    distilled = sum(F.cross_entropy(m, teacher) for m in means) / T
    loss = AnytimeLoss(distill=0.25)(LOGITS, TARGETS)
    torch.testing.assert_close(loss, 0.75 * expected + 0.25 * distilled)


def test_the_teacher_is_not_taught() -> None:
    logits = LOGITS.clone().requires_grad_()
    AnytimeLoss(distill=0.9)(logits, TARGETS).backward()
    detached = (LOGITS.mean(dim=0) / 2).softmax(dim=1)
    by_hand = LOGITS.clone().requires_grad_()
    means = [by_hand[: t + 1].mean(dim=0) for t in range(T)]
    loss = sum(
        0.1 * F.cross_entropy(m, TARGETS) + 0.9 * F.cross_entropy(m, detached) for m in means
    )
    (loss / T).backward()
    torch.testing.assert_close(logits.grad, by_hand.grad)


def test_at_one_step_rate_step_and_anytime_agree() -> None:
    losses = [kind()(LOGITS[:1], TARGETS) for kind in (RateLoss, StepLoss, AnytimeLoss)]
    assert losses[0] == losses[1] == losses[2]


def test_trt_is_step_with_mse_and_penalty() -> None:
    model = network()
    settings = {"lam": 0.3, "decay": 0.4, "eps": 1e-5, "eta": 0.2}
    published = TRTLoss(model, **settings)
    built = build_objective(replace(config("trt", **settings), num_steps=T), model)
    parts = build_objective(replace(config("step+mse+trt", **settings), num_steps=T), model)
    assert published(LOGITS, TARGETS) == built(LOGITS, TARGETS) == parts(LOGITS, TARGETS)
    assert list(built.terms) == ["cross_entropy", "mse", "penalty"]


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("rate", ["cross_entropy"]),
        ("step", ["cross_entropy"]),
        ("step+mse", ["cross_entropy", "mse"]),
        ("step+l2", ["cross_entropy", "penalty"]),
        ("step+mse+l2", ["cross_entropy", "mse", "penalty"]),
        ("step+trt", ["cross_entropy", "penalty"]),
        ("smooth", ["cross_entropy"]),
        ("anytime", ["cross_entropy"]),
        ("anytime+kd", ["cross_entropy", "distillation"]),
        ("anytime+mse+trt", ["cross_entropy", "mse", "penalty"]),
        ("tet", ["cross_entropy", "mse"]),
        ("tks", ["cross_entropy", "distillation"]),
        ("twsd+logit", ["cross_entropy", "distillation", "logit_penalty"]),
        ("s2w+ls", ["cross_entropy", "distillation"]),
        ("w2s+mse+l2", ["cross_entropy", "distillation", "mse", "penalty"]),
    ],
)
def test_each_name_has_its_terms(name: str, terms: list[str]) -> None:
    objective = build_objective(config(name), network())
    loss = objective(LOGITS, TARGETS)
    assert list(objective.terms) == terms
    assert torch.isclose(loss, sum(objective.terms.values()))


def test_matched_l2_has_the_penaltys_gradient_norm() -> None:
    model = network()
    parameters = list(selected_parameters(model, "paper").values())
    settings = {"num_steps": T, "lam": 0.2, "decay": 0.9, "eps": 1e-5}
    l2 = matched_l2(parameters, **settings)

    def norm(value: torch.Tensor) -> torch.Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(value, parameters)]).norm()

    plain = l2 * sum(p.square().sum() for p in parameters)
    torch.testing.assert_close(norm(plain), norm(trt_penalty(parameters, **settings)))
    assert l2 < 0.2
    assert matched_l2([torch.zeros(3)], **settings) == 0.2
    loss = build_objective(replace(config("step+l2", lam=0.2, decay=0.9), num_steps=T), model)
    loss(LOGITS, TARGETS)
    torch.testing.assert_close(loss.terms["penalty"], plain.detach())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("stop", r"rate, step.*did you mean 'step'"),
        ("step+mse+mse", "each once"),
        ("step+x", "must be of ls, mse, self, kd, kl, trt, l2, l2n, logit"),
        ("trt+l2", "must be one of"),
        ("step+l2+trt", "one of the penalties"),
        ("step+kd", "kd needs anytime"),
    ],
)
def test_names_that_make_no_sense(name: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        config(name)


class Mine(Objective):
    def compute(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"zero": outputs.sum() * 0}


def test_an_objective_of_ones_own() -> None:
    def built(name: str) -> object:
        return build_objective(config(name), network(), EVERYTHING)

    objective = built(f"{__name__}:Mine")
    assert isinstance(objective, Mine)
    with pytest.raises(ConfigError, match="must be a subclass"):
        built("json:dumps")
    with pytest.raises(ConfigError, match="there is no module 'no_such_module'"):
        built("no_such_module:Loss")
    with pytest.raises(ConfigError, match="Loss"):
        built("json:Loss")


def test_regularised_checks_its_numbers() -> None:
    with pytest.raises(ValueError, match="eta must be"):
        Regularised(StepLoss(), network(), eta=2.0)
    with pytest.raises(ValueError, match="smoothing"):
        StepLoss(smoothing=1.0)
    with pytest.raises(ValueError, match="distill"):
        AnytimeLoss(distill=-0.1)
