"""Configurations: round trips, presets, and one sentence for each mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tempreg.config import PRESETS, ConfigError, config_from_dict, config_text, read_config
from tempreg.config.dotted import leaves
from tempreg.config.structure import config_to_dict


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_yaml(name: str, tmp_path: Path) -> None:
    config = PRESETS[name]()
    file = tmp_path / "run.yaml"
    file.write_text(config_text(config))
    assert read_config(file) == config
    assert config_from_dict(config_to_dict(config), "here") == config


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("paper-cifar10", ("resnet19", 6, 1e-5, 0.25, 0.05)),
        ("paper-imagenet100", ("sew_resnet34", 4, 5e-5, 0.5, 0.001)),
        ("paper-cifar10dvs", ("vggsnn", 10, 5e-5, 0.5, 0.001)),
        ("paper-ncaltech101", ("vggsnn", 10, 5e-5, 0.5, 0.05)),
    ],
)
def test_the_papers_settings(name: str, expected: tuple[object, ...]) -> None:
    c = PRESETS[name]()
    o = c.objective
    assert (c.model.name, c.num_steps, o.lam, o.decay, o.eta) == expected
    assert (c.epochs, c.batch_size, c.optimizer.name, c.optimizer.lr) == (300, 64, "adam", 1e-3)
    assert (c.model.surrogate, c.model.surrogate_param, o.eps) == ("triangle", 1.0, 1e-5)


def test_a_file_may_leave_settings_out(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("epochs: 3\nobjective: {name: tet, lam: 1e-4}\nmodel:\n  channels: [4]\n")
    config = read_config(file)
    assert (config.epochs, config.objective.name, config.objective.lam) == (3, "tet", 1e-4)
    assert config.model.channels == (4,)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"epoch": 3}, "unknown key epoch (did you mean 'epochs'?)"),
        ({"objective": {"lamda": 1}}, "unknown key objective.lamda (did you mean 'lam'?)"),
        ({"epochs": "x"}, "epochs: expected a whole number, got 'x'"),
        ({"epochs": 3.5}, "epochs: expected a whole number, got 3.5"),
        ({"epochs": True}, "epochs: expected a whole number, got True"),
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
        ({"data": {"size": 10**20}}, f"data.size must be >= 1, at most 8192, got {10**20}"),
        ({"augment": {"shift": 10**20}}, f"shift must be >= 0, at most 65536, got {10**20}"),
        ({"num_steps": 0}, "num_steps must be >= 1, got 0"),
        ({"objective": {"decay": -1}}, "objective.decay must be >= 0, got -1.0"),
        ({"objective": {"eta": 2}}, "objective.eta must be in [0, 1], got 2.0"),
        ({"objective": {"lam": float("nan")}}, "objective.lam: expected a finite number, got nan"),
        ({"objective": {"name": "trtt"}}, "(did you mean 'trt'?)"),
        ({"objective": 3}, "objective: expected settings as `key: value`, got 3"),
        ({"augment": {"flip": "yes"}}, "augment.flip: expected true or false, got 'yes'"),
        ({"augment": {"cutout": -1}}, "augment.cutout must be >= 0"),
        ({"model": {"channels": 3}}, "model.channels: expected a list"),
        ({"model": {"channels": [3, "a"]}}, "model.channels: expected a whole number, got 'a'"),
        ({"model": {"tau": 0.5}}, "model.tau must be >= 1"),
        ({"model": {"name": 3}}, "model.name: expected a name, got 3"),
        ({"optimizer": {"lr": 0}}, "optimizer.lr must be > 0"),
        (
            {"optimizer": {"warmup_epochs": 11}},
            "optimizer.warmup_epochs (11.0) is more than epochs",
        ),
        ({"data": {"size": 0}}, "data.size must be >= 1"),
        ({"optimizer": {"lr": 10**400}}, "optimizer.lr: expected a finite number, got 1000"),
        ({"batch_size": 2**63}, "batch_size must be <= 1000000"),
        ({"batch_size": 2, "devices": 3}, "batch_size (2) must be at least devices (3)"),
        ([1], "expected settings as `key: value`, got [1]"),
        (None, "expected settings as `key: value`, got None"),
    ],
)
def test_mistakes(data: object, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        config_from_dict(data, "run.yaml")
    message = str(error.value)
    assert message.startswith("run.yaml: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [1\nb: 2", "line 2: this is not YAML"),
        (b"epochs: 3\nseed: 1\nepochs: 5", "line 3: .*'epochs' is given twice"),
        (b"seed: 010", "seed: expected a whole number, got '010'"),
        (b"epochs: 1:30", "epochs: expected a whole number, got '1:30'"),
        (b"augment: {flip: yes}", "augment.flip: expected true or false, got 'yes'"),
        (b"!!python/object/apply:os.system ['true']", "this is not YAML"),
        (b"\xff\xfe\x00", "can't be read"),
        (b"", "expected settings"),
    ],
)
def test_files_that_are_not_settings(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read_config(file)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no configuration file"):
        read_config(tmp_path / "none.yaml")


def test_every_setting_has_help() -> None:
    settings = list(leaves())
    assert len({name for name, _, _ in settings}) == len(settings) > 30
    assert all(help_text for _, _, help_text in settings)


def test_configuration_imports_no_torch() -> None:
    code = "import sys, tempreg.config, tempreg.cli.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
