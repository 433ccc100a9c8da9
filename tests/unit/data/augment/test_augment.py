"""Augmentation: what each change keeps, that samples differ, that soft targets train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tempreg.config import ConfigError, RunConfig
from tempreg.data.augment import Augmentation, cutmix, dropped, jittered, mixup, turned
from tempreg.objectives import RateLoss
from tempreg.runs import train
from tempreg.training.evaluate import Totals

seeds = st.integers(0, 2**32)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def counts(seed: int, steps: int = 5, samples: int = 6) -> torch.Tensor:
    return torch.randint(0, 4, (steps, samples, 2, 9, 7), generator=draws(seed)).float()


def test_turning_by_a_right_angle_is_exact() -> None:
    x = torch.arange(2 * 9.0).reshape(2, 1, 3, 3)
    right = turned(x, torch.tensor([90.0, 0.0]), torch.zeros(2))
    assert torch.equal(right[0], x[0].rot90(-1, (-2, -1))) or torch.equal(
        right[0], x[0].rot90(1, (-2, -1))
    )
    assert torch.equal(right[1], x[1])
    half = turned(torch.rand(1, 2, 5, 8), torch.tensor([180.0]), torch.zeros(1))
    assert half.shape == (1, 2, 5, 8)


def test_turning_there_and_back_keeps_the_middle() -> None:
    wide = torch.zeros(1, 1, 20, 40)
    wide[..., 8:12, 17:23] = 1
    there = turned(wide, torch.tensor([30.0]), torch.zeros(1))
    assert abs(there.sum() - wide.sum()) <= 5  # an oblong image is not stretched by turning
    back = turned(there, torch.tensor([-30.0]), torch.zeros(1))
    assert (back * wide).sum() >= 20


def test_shear_moves_rows_against_each_other_and_nothing_wraps() -> None:
    x = torch.zeros(1, 1, 9, 9)
    x[..., 4] = 1
    sheared = turned(x, torch.zeros(1), torch.tensor([45.0]))[0, 0]
    columns = [row.nonzero().flatten().tolist() for row in sheared]
    assert columns in ([[i] for i in range(9)], [[8 - i] for i in range(9)])
    edge = torch.zeros(1, 1, 9, 9)
    edge[..., 8] = 1
    assert turned(edge, torch.zeros(1), torch.tensor([45.0]))[..., :4].sum() == 0
    assert turned(x, torch.zeros(1), torch.tensor([45.0]), blank=-2.0).min() == -2.0


@given(seeds)
def test_drop_only_removes(seed: int) -> None:
    x = counts(seed)
    after = dropped(x, draws(seed))
    assert bool(((after == x) | (after == 0)).all())


def test_drop_has_four_fates() -> None:
    x = torch.ones(10, 400, 2, 10, 10)
    kept = dropped(x, draws())
    whole = kept.flatten(2).permute(1, 0, 2)
    share = whole.mean((1, 2))
    by_time = ((whole.mean(2) == 0) | (whole.mean(2) == 1)).all(1) & (share < 1)
    same_at_all_times = (kept == kept[0]).flatten(2).permute(1, 0, 2).all((1, 2)) & (share < 1)
    untouched = share == 1
    by_chance = ~(by_time | same_at_all_times | untouched)
    for fate in (by_time, same_at_all_times, untouched, by_chance):
        assert 60 < fate.sum() < 140
    assert share[by_time].min() == pytest.approx(0.1)
    assert share[same_at_all_times].min() >= 1 - 0.3**2


@given(seeds, st.floats(0, 1), st.integers(1, 5))
def test_jitter_conserves_events(seed: int, chance: float, steps: int) -> None:
    x = counts(seed, steps)
    after = jittered(x, chance, draws(seed))
    assert torch.equal(after.sum(0), x.sum(0))
    assert torch.equal(x, counts(seed, steps))
    reached = torch.nn.functional.max_pool3d(
        x.permute(1, 2, 0, 3, 4), (3, 1, 1), stride=1, padding=(1, 0, 0)
    ).permute(2, 0, 1, 3, 4)
    assert bool((reached >= (after > 0)).all())  # by one step at most


def test_jitter_moves_the_share_it_says() -> None:
    x = torch.zeros(3, 1, 1, 100, 100)
    x[1] = 1
    after = jittered(x, 0.4, draws()).flatten(1).mean(1)
    assert after.tolist() == pytest.approx([0.2, 0.6, 0.2], abs=0.02)


@pytest.mark.parametrize("mix", [mixup, cutmix])
@given(seed=seeds)
def test_soft_targets_are_shares_of_what_is_seen(mix: object, seed: int) -> None:
    y = torch.arange(6)
    for x in (torch.eye(6)[:, :, None, None].expand(6, 6, 8, 5),):
        for batch in (x, x.expand(3, *x.shape)):
            mixed, soft = mix(batch, y, 6, 1.0, draws(seed))  # type: ignore[operator]
            assert mixed.shape == batch.shape
            assert torch.allclose(soft.sum(1), torch.ones(6))
            seen = mixed.mean((-2, -1))  # channel c holds what class c gave
            assert torch.allclose(seen if batch.ndim == 4 else seen[1], soft, atol=1e-6)


EVERY = Augmentation(
    shift=1, rotate=20, shear=10, nda=True, flip=True, drop=True, jitter=0.5, cutout=2
)


@given(seeds)
def test_all_together_repeat_by_seed_alone(seed: int) -> None:
    x = counts(0, samples=8)
    before = torch.get_rng_state()
    first, again = EVERY(x, draws(seed)), EVERY(x, draws(seed))
    assert torch.equal(first, again)
    assert first.shape == x.shape
    assert first.dtype == x.dtype
    assert torch.equal(before, torch.get_rng_state())
    assert bool((first == first.round()).all())


@pytest.mark.parametrize(
    "setting", ["rotate", "shear", "nda", "drop", "jitter", "flip", "shift", "cutout"]
)
def test_each_changes_samples_in_ways_of_their_own(setting: str) -> None:
    one = counts(3, samples=1)
    x = one.expand(-1, 16, -1, -1, -1).contiguous()
    value = {"rotate": 40.0, "shear": 30.0, "jitter": 0.5, "shift": 2, "cutout": 3}.get(
        setting, True
    )
    after = Augmentation(**{setting: value})(x, draws(1))
    different = {sample.numpy().tobytes() for sample in after.unbind(1)}
    assert len(different) > (1 if setting == "flip" else 4)


def test_images_have_no_events_to_drop(tiny: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="for event frames"):
        Augmentation(drop=True)(torch.zeros(2, 1, 4, 4), draws())
    images = replace(tiny, data=replace(tiny.data, name="fashion-mnist"))
    config = replace(images, augment=replace(tiny.augment, jitter=0.1))
    with pytest.raises(ConfigError, match=r"augment\.jitter are for events"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_settings_out_of_range() -> None:
    for name, value in (("rotate", 181), ("shear", 90), ("jitter", 1.5), ("mixup", -1)):
        with pytest.raises(ValueError, match=name):
            Augmentation(**{name: value})


def test_accuracy_with_soft_targets_counts_the_larger_share() -> None:
    outputs = torch.tensor([[[2.0, 0.0], [2.0, 0.0]]])
    soft = torch.tensor([[0.7, 0.3], [0.4, 0.6]])
    totals, objective = Totals(), RateLoss()
    totals.add(outputs, soft, objective(outputs, soft), objective)
    assert totals.state()["correct"] == [1]


@pytest.mark.parametrize("objective", ["trt", "tet", "anytime"])
def test_mixed_batches_train(tiny: RunConfig, tmp_path: Path, objective: str) -> None:
    config = replace(
        tiny,
        epochs=1,
        augment=replace(tiny.augment, mixup=0.5, cutmix=1.0, drop=True, nda=True),
        objective=replace(tiny.objective, name=objective),
    )
    summary = train(config, tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert '"train"' in lines
    assert 0 <= summary["train_accuracy"] <= 1
