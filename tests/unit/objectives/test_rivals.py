"""Objectives of others, each against its equation written out for one sample after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tempreg import Objective, RateLoss
from tempreg.config import RunConfig
from tempreg.objectives import (
    LogitPenalty,
    SelfDistilled,
    Smoothed,
    StrongWeakLoss,
    TKSLoss,
    TWSDLoss,
)
from tempreg.options.terms import parse_objective
from tempreg.runs import evaluate_run, train
from tempreg.training.interrupt import Interrupted
from tempreg.training.loop import Trainer
from tempreg.training.run_directory import RunDirectory
from tests.conftest import same_weights
from tests.unit.runs.test_resume import StopAfter

T, B, C = 4, 6, 3


def logits_and_targets() -> tuple[Tensor, Tensor]:
    """Sample 0 is right at no timestep, sample 1 at all of them, the others at some."""
    o = torch.randn(T, B, C, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    y = torch.tensor([2, 0, 1, 2, 1, 0])
    o[:, 0, 2] = o[:, 0].amin(dim=1) - 0.5
    o[:, 1, 0] = o[:, 1].amax(dim=1) + 0.5
    right = (o.argmax(dim=2) == y).sum(dim=0).tolist()
    assert right[:2] == [0, T]
    assert set(right[2:]) & {1, 2, 3}
    return o, y


LOGITS, TARGETS = logits_and_targets()
ByHand = Callable[[Any], Any]


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max())
    return e / e.sum()


def right_logits(o: Any, y: Any, b: int) -> list[Any]:
    return [o[t, b] for t in range(len(o)) if int(np.argmax(o[t, b])) == y[b]]


def tks_in_numpy(o: Any, y: Any, share: float, tau: float) -> float:
    hard, soft = 0.0, 0.0
    for b in range(o.shape[1]):
        hard -= np.log(softmax(o[:, b].mean(axis=0))[y[b]])
        teacher = softmax(sum(right_logits(o, y, b), np.zeros(o.shape[2])) / tau)
        for t in range(len(o)):
            soft -= tau**2 * (teacher * np.log(softmax(o[t, b]))).sum() / len(o)
    return float(((1 - share) * hard + share * soft) / o.shape[1])


def twsd_in_numpy(o: Any, y: Any, beta: float, teachers: str) -> float:
    total = 0.0
    for b in range(o.shape[1]):
        right = right_logits(o, y, b) if teachers == "right" else list(o[:, b])
        teacher = softmax(np.mean(right, axis=0) / 3) if right else np.full(o.shape[2], 1 / 3)
        for t in range(len(o)):
            student = softmax(o[t, b] / 3)
            kl = (teacher * np.log(teacher / student)).sum()
            total += beta * 9 * kl - np.log(softmax(o[t, b])[y[b]])
    return float(total / len(o) / o.shape[1])


def strong_weak_in_numpy(o: Any, y: Any, lam: float, weak_teaches: bool) -> float:
    samples = range(o.shape[1])
    sure = [np.mean([softmax(o[t, b]).max() for b in samples]) for t in range(len(o))]
    strong, weak = int(np.argmax(sure)), int(np.argmin(sure))
    teacher, student = (weak, strong) if weak_teaches else (strong, weak)
    total = 0.0
    for b in samples:
        p, q = softmax(o[teacher, b] / 2), softmax(o[student, b] / 2)
        total += lam * 4 * (p * np.log(p / q)).sum()
        total -= np.log(softmax(o[:, b].mean(axis=0))[y[b]])
    return float(total / o.shape[1])


CASES: dict[str, tuple[Objective, ByHand]] = {
    "tks": (TKSLoss(alpha=0.4, temperature=3), lambda o: tks_in_numpy(o, TARGETS, 0.4, 3)),
    "tks of temperature 1": (
        TKSLoss(alpha=0.9, temperature=1),
        lambda o: tks_in_numpy(o, TARGETS, 0.9, 1),
    ),
    "twsd": (TWSDLoss(), lambda o: twsd_in_numpy(o, TARGETS, 0.5, "right")),
    "twsd of all": (
        TWSDLoss(beta=0.2, teacher="all"),
        lambda o: twsd_in_numpy(o, TARGETS, 0.2, "all"),
    ),
    "s2w": (StrongWeakLoss(lam=0.6), lambda o: strong_weak_in_numpy(o, TARGETS, 0.6, False)),
    "w2s": (
        StrongWeakLoss(lam=0.6, weak_teaches=True),
        lambda o: strong_weak_in_numpy(o, TARGETS, 0.6, True),
    ),
}
EACH = pytest.mark.parametrize("name", CASES)


@EACH
@pytest.mark.parametrize("steps", [1, T])
def test_the_equation_written_out(name: str, steps: int) -> None:
    loss, by_hand = CASES[name]
    o = LOGITS[:steps]
    assert float(loss(o, TARGETS)) == pytest.approx(by_hand(o.numpy()), rel=1e-12)
    assert list(loss.terms) == ["cross_entropy", "distillation"]


@EACH
def test_a_soft_target_counts_as_its_most_probable_class(name: str) -> None:
    loss, _ = CASES[name]
    soft = 0.9 * F.one_hot(TARGETS, C).double() + 0.1 / C
    loss(LOGITS, TARGETS)
    hard = loss.terms
    loss(LOGITS, soft)
    assert torch.equal(loss.terms["distillation"], hard["distillation"])
    assert loss.terms["cross_entropy"] > hard["cross_entropy"] * 0.9
    assert not torch.isclose(loss.terms["cross_entropy"], hard["cross_entropy"])


@pytest.mark.parametrize("name", ["twsd", "twsd of all", "s2w", "w2s"])
def test_a_single_right_timestep_learns_nothing_from_itself(name: str) -> None:
    loss, _ = CASES[name]
    o = LOGITS[:1].clone().requires_grad_()
    right = LOGITS[0].argmax(dim=1)
    loss(o, right).backward()
    assert float(loss.terms["distillation"]) == pytest.approx(0, abs=1e-15)
    alone = LOGITS[:1].clone().requires_grad_()
    RateLoss()(alone, right).backward()
    torch.testing.assert_close(o.grad, alone.grad)


def test_where_all_timesteps_are_right_their_mean_teaches() -> None:
    right, all_of_them = TWSDLoss(), TWSDLoss(teacher="all")
    assert torch.equal(
        right(LOGITS[:, 1:2], TARGETS[1:2]), all_of_them(LOGITS[:, 1:2], TARGETS[1:2])
    )
    assert right(LOGITS, TARGETS) != all_of_them(LOGITS, TARGETS)


@pytest.mark.parametrize("loss", [TKSLoss(alpha=1), TWSDLoss(beta=1)])
def test_where_no_timestep_is_right_the_teacher_is_uniform(loss: Objective) -> None:
    o, wrong = LOGITS[:, :1], TARGETS[:1]
    leaf = o.clone().requires_grad_()
    loss(leaf, wrong)
    if isinstance(loss, TKSLoss):
        expected = -9 * o.log_softmax(dim=2).mean()
    else:
        student = (o / 3).log_softmax(dim=2)
        expected = 9 * (-torch.tensor(3.0, dtype=torch.float64).log() - student.mean())
    torch.testing.assert_close(loss.terms["distillation"], expected)


def frozen_teacher(name: str, o: Tensor) -> Tensor:
    """The losses again, with torch's gradient, the teacher cut off by hand."""
    cut, samples = o.detach(), range(B)
    mean = F.cross_entropy(o.mean(dim=0), TARGETS)
    right = [[t for t in range(T) if cut[t, b].argmax() == TARGETS[b]] for b in samples]
    total = torch.zeros((), dtype=torch.float64)
    if name.startswith("tks"):
        share, tau = (0.4, 3.0) if name == "tks" else (0.9, 1.0)
        for b in samples:
            teacher = (sum((cut[t, b] for t in right[b]), torch.zeros(C)) / tau).softmax(dim=0)
            for t in range(T):
                total = total - tau**2 * (teacher * o[t, b].log_softmax(dim=0)).sum()
        return (1 - share) * mean + share * total / T / B
    if name.startswith("twsd"):
        beta = 0.5 if name == "twsd" else 0.2
        for b in samples:
            steps = right[b] if name == "twsd" else list(range(T))
            logits = cut[steps, b].mean(dim=0) if steps else torch.zeros(C)
            teacher = (logits / 3).softmax(dim=0)
            for t in range(T):
                total = (
                    total
                    + beta
                    * 9
                    * (teacher * (teacher.log() - (o[t, b] / 3).log_softmax(dim=0))).sum()
                )
                total = total + F.cross_entropy(o[t, b], TARGETS[b])
        return total / T / B
    sure = cut.softmax(dim=2).amax(dim=2).mean(dim=1)
    teacher_at, student_at = int(sure.argmax()), int(sure.argmin())
    if name == "w2s":
        teacher_at, student_at = student_at, teacher_at
    teacher = (cut[teacher_at] / 2).softmax(dim=1)
    student = (o[student_at] / 2).log_softmax(dim=1)
    return mean + 0.6 * 4 * (teacher * (teacher.log() - student)).sum() / B


@EACH
def test_the_teacher_gets_no_gradient(name: str) -> None:
    ours, theirs = (LOGITS.clone().requires_grad_() for _ in range(2))
    CASES[name][0](ours, TARGETS).backward()
    frozen_teacher(name, theirs).backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_as_published_the_teacher_of_tks_gets_one() -> None:
    ours = LOGITS.clone().requires_grad_()
    loss = TKSLoss(alpha=0.4, temperature=2, detached=False)
    loss(ours, TARGETS).backward()
    step, by_differences = 1e-6, torch.zeros_like(LOGITS)
    for place in np.ndindex(*LOGITS.shape):
        up, down = LOGITS.numpy().copy(), LOGITS.numpy().copy()
        up[place] += step
        down[place] -= step
        rise = tks_in_numpy(up, TARGETS, 0.4, 2) - tks_in_numpy(down, TARGETS, 0.4, 2)
        by_differences[place] = rise / (2 * step)
    torch.testing.assert_close(ours.grad, by_differences, atol=1e-7, rtol=1e-6)
    cut = LOGITS.clone().requires_grad_()
    value = TKSLoss(alpha=0.4, temperature=2)(cut, TARGETS)
    value.backward()
    torch.testing.assert_close(value, loss(LOGITS, TARGETS))
    assert not torch.allclose(ours.grad, cut.grad)  # type: ignore[arg-type]


@EACH
def test_places_beside_classes(name: str) -> None:
    """Outputs [T, B, C, H, W] give the mean over places, each with timesteps that are right."""
    loss, _ = CASES[name]
    logits = torch.randn(T, B, C, 2, 5, dtype=torch.float64)
    targets = torch.randint(C, (B, 2, 5))
    flat = logits.permute(0, 1, 3, 4, 2).reshape(T, -1, C)
    torch.testing.assert_close(loss(logits, targets), loss(flat, targets.flatten()))
    soft = F.one_hot(targets, C).movedim(-1, 1)
    torch.testing.assert_close(loss(logits, soft), loss(flat, targets.flatten()))


def test_equal_logits_are_right_for_the_first_class_and_teach_nothing() -> None:
    silent = torch.zeros(T, B, C)
    for name in ("twsd", "twsd of all", "s2w", "w2s"):
        CASES[name][0](silent, TARGETS)
        assert CASES[name][0].terms["distillation"] == 0


def test_the_share_of_tks_follows_the_epochs() -> None:
    loss = TKSLoss(alpha=0.6)
    assert loss.share == 0.6
    around = LogitPenalty(Smoothed(loss, smoothing=0.1), lam=0.1)
    for epoch, share in ((0, 0.0), (5, 0.3), (9, 0.54)):
        around.begin_epoch(epoch, 10)
        assert loss.share == pytest.approx(share)
    SelfDistilled(RateLoss(), distill=0.1).begin_epoch(0, 1)
    loss.begin_epoch(0, 10)
    assert float(loss(LOGITS, TARGETS)) == float(RateLoss()(LOGITS, TARGETS))


def test_what_they_refuse() -> None:
    for make, sentence in (
        (lambda: TKSLoss(alpha=1.5), r"TKS's alpha must be in \[0, 1\], got 1.5"),
        (lambda: TKSLoss(temperature=0), "TKS's temperature must be > 0, got 0"),
        (lambda: TWSDLoss(beta=-1), "beta must be >= 0, got -1"),
        (lambda: TWSDLoss(teacher="best"), "teacher must be right or all, got 'best'"),  # type: ignore[arg-type]
        (lambda: StrongWeakLoss(lam=float("nan")), "lam must be >= 0, got nan"),
        (lambda: parse_objective("tks+self"), "one of the distillations tks and self"),
        (lambda: parse_objective("w2s+kd"), "kd needs anytime"),
    ):
        with pytest.raises(ValueError, match=sentence):
            make()


@pytest.fixture
def short(tiny: RunConfig) -> RunConfig:
    """Two epochs of four batches with TKS, within wrappers."""
    objective = replace(tiny.objective, name="tks+ls+mse")
    return replace(tiny, objective=objective, data=replace(tiny.data, train_size=128))


def test_a_stopped_run_of_tks_ends_the_same(
    short: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within its first epoch, within the second, or with only the summary missing."""
    wanted = train(short, tmp_path / "whole")
    shares = [m["distillation"] for m in metrics_of_training(tmp_path / "whole")]
    assert shares[0] == 0 < shares[1]
    for batches in (2, 6):
        with pytest.raises(Interrupted):
            train(short, tmp_path / f"cut-{batches}", reporter=StopAfter(batches))
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_summary", killed)
        with pytest.raises(KeyboardInterrupt):
            train(short, tmp_path / "cut-at-the-end")
    for cut in tmp_path.glob("cut-*"):
        found = train(short, cut, resume=True)
        assert same_weights(tmp_path / "whole", cut)
        assert {k: found[k] for k in found if k not in MEASURED} == {
            k: wanted[k] for k in wanted if k not in MEASURED
        }
        assert [m["distillation"] for m in metrics_of_training(cut)] == shares
    assert evaluate_run(tmp_path / "whole").loss == pytest.approx(wanted["test_loss"], rel=1e-6)


MEASURED = {"seconds", "peak_memory_mb"}


def metrics_of_training(run: Path) -> list[dict[str, Any]]:
    return [line for line in RunDirectory(run).read_metrics() if line["split"] == "train"]


def killed(*_: object) -> None:
    raise KeyboardInterrupt
