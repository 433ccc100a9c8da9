"""`tempreg export` and training from given weights, as a user has them."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tempreg.config import RunConfig
from tempreg.runs import load_run, train
from tests.conftest import CommandLine, said

needs_onnx = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs onnx, onnxscript and onnxruntime (tempreg[onnx])",
)
needs_nir = pytest.mark.skipif(find_spec("nir") is None, reason="needs nir (tempreg[nir])")


@pytest.fixture(scope="module")
def run(tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "run"
    train(replace(tiny, epochs=1), folder)
    return folder


@torch.no_grad()
def test_a_torch_program_loads_and_equals(tempreg: CommandLine, run: Path, tmp_path: Path) -> None:
    result = tempreg("export", str(run), "--format", "torch", "--out", "m.pt2")
    assert result.returncode == 0, result.stderr
    assert "model.safetensors, after epoch 1" in result.stdout
    _, data, network, _ = load_run(run)
    x, _ = data.test.batch(torch.arange(7))
    program = torch.export.load(tmp_path / "m.pt2").module()
    assert torch.equal(program(x), network(x))
    assert torch.equal(program(x[:, :1]), network(x[:, :1]))


@needs_onnx
@torch.no_grad()
@pytest.mark.parametrize("stateful", [False, True])
def test_onnx(tempreg: CommandLine, run: Path, tmp_path: Path, stateful: bool) -> None:
    import onnx
    import onnxruntime

    words = ["--stateful"] if stateful else []
    result = tempreg("export", str(run), "--format", "onnx", "--out", "m.onnx", *words)
    assert result.returncode == 0, result.stderr
    assert not said(result.stderr)
    assert "logits within 1e-05 for 4 of 4 samples" in result.stdout
    _, data, network, _ = load_run(run)
    x, _ = data.test.batch(torch.arange(20))
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    names = [item.name for item in session.get_inputs()]
    assert names == (["frames", "v_0", "v_1"] if stateful else ["frames"])
    if stateful:
        states = [torch.zeros(20, 4, 34, 34).numpy(), torch.zeros(20, 8, 17, 17).numpy()]
        rows = []
        for frame in x:
            given = dict(zip(names, [frame.numpy(), *states], strict=True))
            logits, *states = session.run(["logits", "next_v_0", "next_v_1"], given)
            rows.append(torch.from_numpy(logits))
        theirs = torch.stack(rows)
    else:
        theirs = torch.from_numpy(session.run(["logits"], {"frames": x.numpy()})[0])
    gap = (theirs - network(x)).abs().amax((0, 2))
    assert (gap <= 1e-5).sum() >= 19  # one may have a potential within rounding of the threshold
    made = onnx.load(tmp_path / "m.onnx")
    assert {node.domain for node in made.graph.node} == {""}
    assert "input" in {item.key for item in made.metadata_props}


@needs_nir
def test_nir(tempreg: CommandLine, run: Path) -> None:
    import nir

    result = tempreg("export", str(run), "--format", "nir")
    assert result.returncode == 0, result.stderr
    assert str(run / "model.nir") in result.stdout
    assert nir.read(run / "model.nir").metadata["steps"] == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["RUN", "--format", "tflite"], "invalid choice: 'tflite'"),
        (["nowhere", "--format", "nir"], "holds no run"),
        (["RUN", "--format", "nir", "--stateful"], "--stateful is for onnx and torch"),
        (["RUN", "--format", "torch", "--out", "no/such/m.pt2"], "a folder that exists"),
    ],
)
def test_bad_requests(tempreg: CommandLine, run: Path, words: list[str], sentence: str) -> None:
    result = tempreg("export", *[str(run) if word == "RUN" else word for word in words])
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_training_starts_from_weights(tempreg: CommandLine, run: Path, tmp_path: Path) -> None:
    weights = str(run / "model.safetensors")
    words = ["--model.weights", weights, "--optimizer.lr", "1e-30", "--epochs", "1"]
    shape = ["--num-steps", "2", "--model.channels", "[4, 8]"]
    result = tempreg("train", "nmnist-trt", *shape, *words, "--out", "on")
    assert result.returncode == 0, result.stderr
    assert "3 layers taken" in result.stdout + result.stderr
    before, after = load_file(weights), load_file(tmp_path / "on" / "model.safetensors")
    assert torch.equal(before["head.weight"], after["head.weight"])
    again = tempreg("train", "nmnist-trt", "--model.weights", "none.pt", "--out", "off")
    assert again.returncode == 2
    assert "no weights file" in again.stderr
    matched = tempreg("train", "nmnist-trt", "--objective", "step+l2", *words, "--out", "off")
    assert matched.returncode == 2
    assert "model.weights can't go with l2" in matched.stderr
    assert not (tmp_path / "off").exists()
