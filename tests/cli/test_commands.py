"""Commands as a user types them: what they print, what they leave, how they fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import torch

from tests.conftest import COMMAND, CommandLine, said

QUICK = ("--epochs", "1", "--num-steps", "2", "--model.channels", "[4, 8]")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished quick run; tests that change it work on a copy."""
    from dataclasses import replace

    from tempreg.config import PRESETS
    from tempreg.runs import train

    config = PRESETS["nmnist-trt"]()
    config = replace(config, epochs=1, num_steps=2, model=replace(config.model, channels=(4, 8)))
    folder = tmp_path_factory.mktemp("finished") / "run"
    train(config, folder)
    return folder


def test_help_and_version(tempreg: CommandLine) -> None:
    result = tempreg("--help")
    assert result.returncode == 0
    assert all(word in result.stdout for word in ("train", "evaluate", "presets", "config"))
    assert tempreg("--version").stdout.strip()[0].isdigit()
    for command in ("train", "evaluate", "presets", "config"):
        assert f"tempreg {command}" in tempreg(command, "--help").stdout
    assert "--objective.lam" in tempreg("train", "--help").stdout
    assert tempreg().returncode == 2


def test_presets_and_config(tempreg: CommandLine, tmp_path: Path) -> None:
    presets = tempreg("presets").stdout.splitlines()
    assert [line.split()[0] for line in presets] == [
        "nmnist-trt", "fashion-trt", "nmnist-spikformer", "nmnist-spike-driven", "nmnist-qkformer",
        "nmnist-ms-resnet", "nmnist-rsnn", "fashion-spikformer", "paper-cifar10",
        "paper-imagenet100", "paper-cifar10dvs",
        "paper-ncaltech101", "paper-cifar10-as-published", "paper-imagenet100-as-published",
        "paper-cifar10dvs-as-published", "paper-ncaltech101-as-published",
    ]  # fmt: skip
    yaml = tempreg("config", "nmnist-trt", "--objective", "tet", "--objective.tet_lam", "1e-4")
    assert yaml.returncode == 0
    (tmp_path / "mine.yaml").write_text(yaml.stdout)
    negative = tempreg("config", "mine.yaml", "--model.v-reset", "-1e-3").stdout
    assert "v_reset: -0.001" in negative
    again = tempreg("config", "mine.yaml", "--epochs=7", "--model.v-reset", "null")
    assert "name: tet" in again.stdout
    assert "tet_lam: 0.0001" in again.stdout
    assert "epochs: 7" in again.stdout
    assert "v_reset: null" in again.stdout


def test_train_then_evaluate(
    tempreg: CommandLine, tempreg_here: CommandLine, tmp_path: Path
) -> None:
    trained = tempreg("train", "nmnist-trt", *QUICK, "--out", "run")
    assert trained.returncode == 0, trained.stderr
    assert said(trained.stderr) == []
    assert "epoch 1/1  loss " in trained.stdout
    assert "test accuracy" in trained.stdout
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    evaluated = tempreg_here("evaluate", "run", "--json")
    result = json.loads(evaluated.stdout)
    assert result["accuracy_per_step"] == summary["accuracy_per_step"]
    assert result["accuracy"] == summary["test_accuracy"]
    table = tempreg_here("evaluate", "run", "--split", "validation", "--num-steps", "3").stdout
    assert table.splitlines()[0].split() == ["timestep", "1", "2", "3"]
    assert table.splitlines()[1].startswith("validation accuracy")

    again = tempreg_here("train", "run/config.yaml", "--out", "again")
    assert again.returncode == 0
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "again")]
    assert files[0] == files[1]

    assert "finished already" in tempreg_here("train", "--resume", "--out", "run").stdout


# One request a line, without the `--out x` that all those that train are given.
TRAINING_MISTAKES = [
    ("nmnist-trtt", "no preset 'nmnist-trtt' (did you mean 'nmnist-trt'?)"),
    ("", "name a preset or a .yaml file"),
    ("nmnist-trt --epoch 3", "did you mean '--epochs'?"),
    ("nmnist-trt --optimiser.lr 3", "did you mean '--optimizer.lr'?"),
    ("nmnist-trt --devices 30 --device cpu", "devices=30 was asked for, but there are"),
    ("nmnist-trt --objective.lamda 3", "unknown argument --objective.lamda"),
    ("nmnist-trt --epochs many", "epochs: expected a whole number, got 'many'"),
    ("nmnist-trt --augment.flip [", "--augment.flip, line 1: this is not YAML"),
    ("nmnist-trt --objective.decay -1", "objective.decay must be >= 0, got -1.0"),
    ("nmnist-trt --num-steps 0", "num_steps must be >= 1, got 0"),
    ("nmnist-trt --out /proc/x", "can't be written to"),
    ("fashion-trt --data.size 48", "leave data.size out"),
    ("missing.yaml", "there is no configuration file missing.yaml"),
    ("nmnist-trt --data.name cifar12", "no reader for the data set 'cifar12'"),
    ("paper-cifar10 --precision 32-true --data nowhere", "cifar10 is not complete: nowhere"),
    ("nmnist-trt --model.name resnet91 --model.channels null", "did you mean 'resnet19'"),
    ("--resume", "there is no configuration file"),
]
OTHER_MISTAKES = [
    ("trane", "unknown command 'trane' (did you mean 'train'?)"),
    ("train nmnist-trt", "required: --out"),
    ("evaluate x", "x holds no run"),
    ("evaluate x --split all", "invalid choice"),
    ("presets more", "unknown argument more"),
    ("config nope", "there is no preset 'nope'"),
]


@pytest.mark.parametrize(
    ("request_line", "sentence"),
    [(f"train --out x {line}", words) for line, words in TRAINING_MISTAKES] + OTHER_MISTAKES,
)
def test_bad_requests(
    tempreg_here: CommandLine, tmp_path: Path, request_line: str, sentence: str
) -> None:
    result = tempreg_here(*request_line.split())
    assert result.returncode == 2
    assert sentence in result.stderr
    assert len(said(result.stderr)) == 1
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_here(tempreg_here: CommandLine, tmp_path: Path) -> None:
    result = tempreg_here("train", "nmnist-trt", "--device", "cuda", "--out", "x")
    assert result.returncode == 2
    assert "torch finds no CUDA device" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_another_run(
    tempreg_here: CommandLine, finished: Path, tmp_path: Path
) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    for words, sentence in (
        (("--out", str(finished)), "holds a run already"),
        (("--out", str(finished), "--resume", "--seed", "1"), "has seed: 0, not 1"),
    ):
        result = tempreg_here("train", "nmnist-trt", *QUICK, *words)
        assert result.returncode == 2
        assert sentence in result.stderr
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*")} == before


class TestDamagedRuns:
    """Each on a copy of a finished run."""

    @pytest.fixture
    def run(self, finished: Path, tmp_path: Path) -> Path:
        import shutil

        return Path(shutil.copytree(finished, tmp_path / "run"))

    def refused(self, tempreg_here: CommandLine, sentence: str, *words: str) -> None:
        result = tempreg_here(*words)
        assert result.returncode == 2, result.stderr
        assert sentence in result.stderr
        assert len(said(result.stderr)) == 1

    def test_truncated_checkpoint(self, tempreg_here: CommandLine, run: Path) -> None:
        (run / "summary.json").unlink()
        checkpoint = run / "checkpoints" / "last.pt"
        whole = checkpoint.read_bytes()
        for size in (0, 100, len(whole) // 2, len(whole) - 1):
            checkpoint.write_bytes(whole[:size])
            self.refused(tempreg_here, "is damaged", "train", "--resume", "--out", "run")
        assert not (run / "summary.json").exists()

    def test_checkpoint_with_code_in_it(self, tempreg_here: CommandLine, run: Path) -> None:
        (run / "summary.json").unlink()
        import pickle

        class Evil:
            def __reduce__(self) -> tuple[object, ...]:
                return (Path.touch, (run.parent / "pwned",))

        checkpoint = run / "checkpoints" / "last.pt"
        for content in (pickle.dumps(Evil()), None):
            if content is None:
                torch.save({"version": Evil()}, checkpoint)
            else:
                checkpoint.write_bytes(content)
            self.refused(tempreg_here, "is damaged", "train", "--resume", "--out", "run")
            assert not (run.parent / "pwned").exists()

    def test_weights_of_another_network(self, tempreg_here: CommandLine, run: Path) -> None:
        config = run / "config.yaml"
        config.write_text(config.read_text().replace("- 8\n", "- 9\n"))
        self.refused(tempreg_here, "belongs to another network", "evaluate", "run")

    def test_truncated_weights(self, tempreg_here: CommandLine, run: Path) -> None:
        weights = run / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-10])
        self.refused(tempreg_here, "is damaged", "evaluate", "run")

    def test_unfinished(self, tempreg_here: CommandLine, run: Path) -> None:
        (run / "model.safetensors").unlink()
        self.refused(tempreg_here, "is not finished", "evaluate", "run")

    def test_damaged_config(self, tempreg_here: CommandLine, run: Path) -> None:
        (run / "config.yaml").write_text("epochs: [")
        self.refused(tempreg_here, "this is not YAML", "evaluate", "run")

    def test_damaged_summary(self, tempreg_here: CommandLine, run: Path) -> None:
        (run / "summary.json").write_text("{")
        self.refused(tempreg_here, "summary.json is damaged", "train", "--resume", "--out", "run")


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_gets_a_live_line(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    words = [*COMMAND, "train", "nmnist-trt", *QUICK, "--out", str(tmp_path / "run")]
    seen = b""
    with subprocess.Popen(words, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            while chunk := os.read(ours, 4096):
                seen += chunk
        except OSError:  # how Linux says that the other end was closed
            pass
        os.close(ours)
    text = seen.decode()
    assert process.returncode == 0, text
    moving = re.findall(r"(\d+)%  loss \d\.\d+  accuracy +\d+\.\d+%  \d+ samples/s", text)
    assert len(moving) > 2
    assert "left" in text
    assert "epoch 1/1  loss" in text


def test_two_processes_train_together(tempreg: CommandLine, tmp_path: Path) -> None:
    uneven = ("--data.train-size", "321")  # evaluated in 6 batches by one process, 5 by the other
    two = ("--devices", "2", "--device", "cpu", "--out", "run")
    words = [*COMMAND, "train", "nmnist-trt", *QUICK, *uneven, *two]  # which the second repeats
    result = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("epoch 1/1  loss") == 1
    assert result.stdout.count("test accuracy") == 1
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["split"] for line in lines] == ["train", "validation"]
    alone = tempreg("evaluate", "run", "--json")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert json.loads(alone.stdout)["accuracy_per_step"] == summary["accuracy_per_step"]


def test_nobody_reads_the_output(tmp_path: Path) -> None:
    for words in (["presets"], ["train", "nmnist-trt", *QUICK, "--out", str(tmp_path / "run")]):
        reader, writer = os.pipe()
        os.close(reader)
        result = subprocess.run(
            [*COMMAND, *words], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
        os.close(writer)
        assert result.returncode == 141
        (sentence,) = said(result.stderr)
        assert sentence == "tempreg: stopped, because nobody reads its output any more"
    finished = subprocess.run(
        [*COMMAND, "train", "--resume", "--out", str(tmp_path / "run")],
        stdout=None, stderr=subprocess.PIPE, check=False, preexec_fn=lambda: os.close(1),
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "run" / "summary.json").exists()


def test_a_diverging_run_ends_with_code_1(tempreg_here: CommandLine) -> None:
    wild = ("--optimizer.name", "sgd", "--optimizer.lr", "1e30", "--optimizer.warmup-epochs", "0")
    result = tempreg_here("train", "nmnist-trt", *QUICK, *wild, "--out", "run")
    assert result.returncode == 1
    assert "the loss is not finite at epoch 1, batch" in result.stderr
    assert "Traceback" not in result.stderr
