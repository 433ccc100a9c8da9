"""Whole runs on hard data and hard settings: each ends well, or says what is wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tempreg.config import RunConfig, config_from_dict
from tempreg.data.errors import DataError
from tempreg.models import create_model
from tempreg.models.norms import TooFewValues
from tempreg.runs import evaluate_run, train
from tempreg.runs.analyze import analyze_run
from tempreg.runs.page import write_run_report
from tempreg.training.finite import NonFiniteLoss
from tests.spoilt import arrays

ANALYSES = ("gradients", "fisher", "flatness", "spikes", "anytime", "early")


def config(folder: Path, *, model: dict[str, Any] | None = None, **settings: Any) -> RunConfig:
    """A run of one epoch on `own.npz` in the folder."""
    data = {"name": "npz", "path": str(folder / "own.npz")} | settings.pop("data", {})
    made = {"name": "csnn", "channels": [4]} | (model or {})
    common = {"epochs": 1, "num_steps": 2, "batch_size": 8, "device": "cpu"}
    return config_from_dict({**common, **settings, "data": data, "model": made}, "test")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with 30 images of 3 classes."""
    np.savez(tmp_path / "own.npz", **arrays())
    return tmp_path


@pytest.mark.parametrize("v_threshold", [1e6, -1e6])
def test_a_network_that_never_or_always_fires(own: Path, v_threshold: float) -> None:
    summary = train(config(own, model={"v_threshold": v_threshold}), own / "run")
    assert math.isfinite(summary["test_loss"])
    dead = v_threshold > 0
    names = ANALYSES if dead else ("gradients", "fisher", "spikes")
    found = analyze_run(own / "run", names, samples=6, brief=True)
    rate = 0.0 if dead else 1.0
    assert (found["spikes-held-out"].rate == rate).all()
    assert (found["gradients-step"].norms == 0).all()  # no surrogate reaches that far
    if dead:
        assert np.isfinite(found["flatness-held-out"].line_loss).all()
    for result in found.values():
        assert result.table()
    for file in (own / "run" / "analysis").glob("*.json"):
        json.loads(file.read_text(), parse_constant=pytest.fail)  # NaN is no JSON
    assert write_run_report(own / "run").is_file()


def test_fisher_information_of_nothing_has_no_centroid(own: Path) -> None:
    network = create_model("csnn", num_classes=3, in_channels=1, num_steps=2, input_size=8)
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.zero_()
    from tempreg.analysis import fisher_information

    found = fisher_information(network, torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.long))
    assert found.per_step.min() > 0  # the head's bias alone
    still = torch.nn.Sequential(Alike(), torch.nn.Linear(1, 3, bias=False))
    bare = fisher_information(still, torch.zeros(4, 1), torch.zeros(4, dtype=torch.long))
    assert (bare.per_step == 0).all()
    assert math.isnan(bare.centroid)
    assert np.isnan(bare.centroid_interval).all()
    assert "nan" in bare.table()


class Alike(torch.nn.Module):
    """[B, 1] -> [T, B, 1], the same at both timesteps."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.expand(2, *x.shape)


def test_512_timesteps_train_and_are_analysed(own: Path) -> None:
    setting = config(own, num_steps=512, batch_size=24, precision="32-true")
    summary = train(setting, own / "run")
    assert len(summary["accuracy_per_step"]) == 512
    found = analyze_run(own / "run", ["spikes", "anytime", "gradients"], samples=1, brief=True)
    assert found["gradients-step"].matrix.shape[1:] == (512, 512)
    assert np.isfinite(found["gradients-step"].matrix).all()


def test_a_batch_of_one_and_a_short_last_one(own: Path) -> None:
    for name, batch_size in (("one", 1), ("last", 23)):
        summary = train(config(own, batch_size=batch_size), own / name)
        assert math.isfinite(summary["train_loss"])


def test_batch_norm_of_one_value_is_refused(own: Path) -> None:
    for name in ("sew_resnet18", "resnet19"):
        network = create_model(name, num_classes=3, in_channels=1, num_steps=1)
        with pytest.raises(TooFewValues, match="more than one value a channel"):
            network(torch.rand(1, 1, 4, 4))
        assert network.eval()(torch.rand(1, 1, 4, 4)).shape == (1, 1, 3)


def test_a_last_batch_that_batch_norm_cannot_take_is_refused_before_anything_runs(
    own: Path,
) -> None:
    model = {"name": "sew_resnet18", "channels": None}
    for batch_size in (1, 23):  # of 24 training images
        setting = config(own, num_steps=1, batch_size=batch_size, model=model)
        with pytest.raises(TooFewValues, match="more than one value a channel"):
            train(setting, own / "run")
        assert not (own / "run").exists()


def test_constant_images(tmp_path: Path) -> None:
    grey = np.broadcast_to(np.arange(30, dtype=np.uint8)[:, None, None], (30, 8, 8))
    np.savez(tmp_path / "own.npz", **arrays(x=grey))
    summary = train(config(tmp_path), tmp_path / "run")
    assert math.isfinite(summary["test_loss"])
    found = analyze_run(tmp_path / "run", ["gradients", "fisher", "spikes"], samples=6, brief=True)
    assert all(result.table() for result in found.values())


def test_imbalanced_classes(tmp_path: Path) -> None:
    y = np.array([0] * 26 + [1] * 4)
    np.savez(tmp_path / "own.npz", **arrays(y=y))
    assert math.isfinite(train(config(tmp_path), tmp_path / "run")["test_loss"])


def test_a_class_without_a_training_sample_is_remarked_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tempreg.training.progress import reporter_for

    values = arrays()
    some = values["y"] < 2
    np.savez(
        tmp_path / "own.npz",
        x=values["x"][some], y=values["y"][some], x_test=values["x"], y_test=values["y"],
        classes=np.array(["a", "b", "c", "d"]),
    )  # fmt: skip
    summary = train(config(tmp_path), tmp_path / "run", reporter=reporter_for())
    assert math.isfinite(summary["test_loss"])
    remarks = [
        "2 of 4 classes have no training sample: c, d",
        "2 of 4 classes have no validation sample: c, d",
        "1 of 4 classes have no test sample: d",
    ]
    shown = capsys.readouterr().out
    assert all(remark in shown for remark in remarks)
    assert json.loads((tmp_path / "run" / "data.json").read_text())["remarks"] == remarks


def test_splits_without_a_sample_are_refused(own: Path) -> None:
    with pytest.raises(DataError, match="the train split of npz has no sample"):
        train(config(own, data={"validation": 0.99}), own / "run")
    with pytest.raises(DataError, match="the train split of npz has no sample"):
        train(config(own, data={"validation": 0.99, "folds": 2}), own / "run")
    assert not (own / "run").exists()


@pytest.mark.parametrize(
    ("objective", "optimizer", "sentence"),
    [
        ({"lam": 1e200}, {}, "penalty inf.*a lower objective.lam"),
        ({"lam": 1e25}, {"name": "adam"}, "exp_avg_sq of the parameter .* lower objective.lam"),
        ({}, {"name": "sgd", "lr": 1e30}, r"optimizer\.lr may help"),
        ({}, {"weight_decay": 1e30}, r"lower objective\.lam, optimizer\.weight_decay or opt"),
        ({"name": "step", "class_weights": [1e30, 1, 1]}, {}, r"lower objective\.class_weights or"),
        (
            {"name": "step", "class_weights": [1e39, 1, 1]},
            {},
            r"inf.*lower objective\.class_weights",
        ),
        ({"name": "step+l2n", "l2": 1e25}, {}, r"a lower objective\.l2 or optimizer\.lr, or"),
        ({"name": "step+l2n", "l2": 1e200}, {}, r"penalty inf.*a lower objective\.l2 or optim"),
    ],
)
def test_what_overflows_is_named(
    own: Path, objective: dict[str, Any], optimizer: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(NonFiniteLoss, match=sentence):
        train(config(own, objective=objective, optimizer=optimizer), own / "run")
    assert not (own / "run" / "summary.json").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": {"lr": 1e-300}},
        {"optimizer": {"clip_norm": 1e-300}},
        {"objective": {"decay": 1e299}, "num_steps": 64},
        {"objective": {"lam": 1e-299}},
        {"objective": {"eta": 1.0}},
        {"model": {"tau": 1e18, "v_reset": None}},
        {"model": {"v_threshold": 1e-18, "norm": "tdbn"}},
        {"seed": 10**30},
        {"precision": "bf16-mixed", "model": {"norm": "none"}},
    ],
    ids=str,
)
def test_settings_at_the_ends_of_their_ranges_train(own: Path, settings: dict[str, Any]) -> None:
    summary = train(config(own, **settings), own / "run")
    assert math.isfinite(summary["test_loss"])
    weights = load_file(own / "run" / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    assert math.isfinite(evaluate_run(own / "run").loss)


def test_a_run_is_the_same_whatever_the_type_of_its_labels(own: Path) -> None:
    first = train(config(own), own / "a")
    np.savez(own / "own.npz", **arrays(y=arrays()["y"].astype(np.uint8)))
    second = train(config(own), own / "b")
    assert first["test_loss"] == second["test_loss"]
