"""The added terms of objectives, each against its definition written out with torch alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tempreg import AnytimeLoss, RateLoss, StepLoss
from tempreg.objectives import LogitPenalty, SelfDistilled, Smoothed
from tempreg.objectives.named import ADDITIONS, BASES
from tempreg.options import TERMS, ObjectiveOptions
from tempreg.options.terms import parse_objective

T, B, C = 5, 4, 3
LOGITS = torch.randn(T, B, C, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([0, 2, 1, 2])


def gradient(loss: object, logits: Tensor = LOGITS) -> Tensor:
    o = logits.clone().requires_grad_()
    loss(o).backward()  # type: ignore[operator]
    assert o.grad is not None
    return o.grad


def test_every_term_is_known_in_both_rooms() -> None:
    assert {name for name, term in TERMS.items() if term.base} == set(BASES)
    assert {name for name, term in TERMS.items() if not term.base} == set(ADDITIONS)
    settings = vars(ObjectiveOptions())
    assert all(name in settings for term in TERMS.values() for name in term.reads)
    assert set().union(*(term.reads for term in TERMS.values())) == settings.keys() - {
        "name",
        "own",
        "weigh_classes",  # of any cross-entropy
        "class_weights",
    }


def test_smoothing_mixes_any_base_with_the_uniform_target() -> None:
    soft = 0.7 * F.one_hot(TARGETS, C).double() + 0.3 / C
    for base in (RateLoss(), StepLoss(), AnytimeLoss(distill=0.4)):
        expected = base(LOGITS, soft)
        torch.testing.assert_close(Smoothed(base, smoothing=0.3)(LOGITS, TARGETS), expected)


def test_self_distillation_teaches_the_end_alone() -> None:
    def by_hand(o: Tensor) -> Tensor:
        base = torch.stack([F.cross_entropy(step, TARGETS) for step in o]).mean()
        last = o.mean(dim=0)
        teacher = (last.detach() / 2).softmax(dim=1)
        return 0.7 * base - 0.3 * (teacher * last.log_softmax(dim=1)).sum(dim=1).mean()

    loss = SelfDistilled(StepLoss(), distill=0.3)
    torch.testing.assert_close(loss(LOGITS, TARGETS), by_hand(LOGITS))
    torch.testing.assert_close(gradient(lambda o: loss(o, TARGETS)), gradient(by_hand))
    assert list(loss.terms) == ["cross_entropy", "distillation"]


def test_distillation_with_both_sides_softened() -> None:
    def by_hand(o: Tensor) -> Tensor:
        means = [o[: t + 1].mean(dim=0) for t in range(T)]
        hard = sum(F.cross_entropy(m, TARGETS) for m in means) / T
        teacher = (means[-1].detach() / 2).softmax(dim=1)
        soft = sum(
            4 * F.kl_div((m / 2).log_softmax(dim=1), teacher, reduction="batchmean") for m in means
        )
        return 0.75 * hard + 0.25 * soft / T

    loss = AnytimeLoss(distill=0.25, both_softened=True)
    torch.testing.assert_close(loss(LOGITS, TARGETS), by_hand(LOGITS))
    torch.testing.assert_close(gradient(lambda o: loss(o, TARGETS)), gradient(by_hand))
    at_one = AnytimeLoss(distill=0.25, both_softened=True)
    at_one(LOGITS[:1], TARGETS)
    assert at_one.terms["distillation"] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("course", ["constant", "early", "late"])
def test_the_penalty_of_the_logits(course: str) -> None:
    raw = {
        "constant": [1.0] * T,
        "early": [float(torch.tensor(-0.6 * t).exp()) for t in range(T)],
        "late": [float(torch.tensor(-0.6 * (T - 1 - t)).exp()) for t in range(T)],
    }[course]
    weights = [w * T / sum(raw) for w in raw]

    def by_hand(o: Tensor) -> Tensor:
        total = F.cross_entropy(o.mean(dim=0), TARGETS)
        for t in range(T):
            for b in range(B):
                centred = o[t, b] - o[t, b].mean()
                total = total + 0.2 / T * weights[t] * (centred @ centred) / B
        return total

    loss = LogitPenalty(RateLoss(), lam=0.2, course=course, decay=0.6)  # type: ignore[arg-type]
    torch.testing.assert_close(loss(LOGITS, TARGETS), by_hand(LOGITS))
    torch.testing.assert_close(gradient(lambda o: loss(o, TARGETS)), gradient(by_hand))
    assert loss.weights(T).mean() == pytest.approx(1)
    shifted = LOGITS + torch.randn(T, B, 1, dtype=torch.float64)  # the class mean is free
    loss(shifted, TARGETS)
    torch.testing.assert_close(
        loss.terms["logit_penalty"], by_hand(LOGITS) - F.cross_entropy(LOGITS.mean(dim=0), TARGETS)
    )


def test_terms_work_with_places_beside_classes() -> None:
    """Outputs [T, B, C, H, W] give the mean over places."""
    logits = torch.randn(T, B, C, 2, 3, dtype=torch.float64)
    targets = torch.randint(C, (B, 2, 3))
    flat = logits.permute(0, 1, 3, 4, 2).reshape(T, -1, C)
    for loss in (
        LogitPenalty(StepLoss(), lam=0.2, course="early"),
        SelfDistilled(RateLoss(), distill=0.3),
        Smoothed(StepLoss(), smoothing=0.1),
        AnytimeLoss(distill=0.4, both_softened=True),
    ):
        torch.testing.assert_close(loss(logits, targets), loss(flat, targets.flatten()))


def test_names_with_the_new_terms() -> None:
    assert parse_objective("step+logit-early+l2n").penalty == "l2n"
    assert parse_objective("trt").with_penalty("l2n") == parse_objective("step+mse+l2n")
    assert parse_objective("rate+self").reads == {"distill"}
    for name, sentence in (
        ("rate+kl", "kl needs anytime"),
        ("anytime+kd+kl", "one of the distillations kd and kl"),
        ("smooth+ls", "one of the smoothings smooth and ls"),
        ("step+logit+logit-late", "one of the penalties of the logits logit and logit-late"),
    ):
        with pytest.raises(ValueError, match=sentence):
            parse_objective(name)


def test_the_page_lists_every_term_with_its_settings() -> None:
    page = (Path(__file__).parents[3] / "docs/objectives.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| `\+?([\w-]+)` \|.*\|([^|]*)\|$", page)
    assert [name for name, _ in rows if name in TERMS] == [name for name, _ in rows]
    assert {name for name, _ in rows} == set(TERMS)
    for name, settings in rows:
        if settings.strip() != "the same":
            assert set(re.findall(r"`(\w+)`", settings)) == set(TERMS[name].reads), name
