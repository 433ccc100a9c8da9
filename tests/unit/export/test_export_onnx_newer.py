"""ONNX of transformers, MS-ResNet-18 and rsnn: onnxruntime gives the network's logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

onnxruntime = pytest.importorskip(
    "onnxruntime", reason="onnxruntime is not installed: pip install tempreg[onnx]"
)
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install tempreg[onnx]")

import tempreg  # noqa: E402
from tempreg.export.onnx_file import write_onnx  # noqa: E402
from tempreg.export.program import Step, Unrolled, frames_like  # noqa: E402

SMALL = {"width": 8, "heads": 2, "depth": 1, "poolings": 2}


def trained(name: str, **options: Any) -> tempreg.SpikingNetwork:
    """With running statistics of its own, so that it spikes."""
    torch.manual_seed(0)
    model = tempreg.create_model(
        name, num_classes=3, in_channels=2, num_steps=2, input_size=16, v_threshold=0.4, **options
    )
    with torch.no_grad():
        for _ in range(3):
            model(given(8))
    return model.eval()


def given(batch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(batch)
    return (torch.rand(2, batch, 2, 16, 16, generator=generator) < 0.3).float()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("spikformer", SMALL | {"norm": "tebn"}),
        ("spike_driven_transformer", SMALL),
        ("ms_resnet18", {"width": 8, "norm": "none"}),
        ("rsnn", {"channels": (12,)}),
    ],
)
def test_batches_of_any_size(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    model, file = trained(name, **options), tmp_path / "net.onnx"
    frames = frames_like(model, (16, 16), events=True, stateful=False)
    write_onnx(Unrolled(model), frames, file, {})
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        x = given(batch)
        with torch.no_grad():
            expected = model(x)
        assert expected.std(0).max() > 0  # it spikes, now more and now less
        (made,) = session.run(None, {"frames": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(made), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [("rsnn", {"channels": (12,)}), ("qkformer", {"width": 8, "heads": 1, "depth": 3})],
)
def test_one_timestep_with_its_states(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    model, file = trained(name, **options), tmp_path / "step.onnx"
    step, x = Step(model), given(3)
    write_onnx(step, x[0], file, {})
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    states = [state.numpy() for state in step.initial_states(x[0])]
    names = [each.name for each in session.get_inputs()]
    with torch.no_grad():
        expected = model(x)
    for t, frame in enumerate(x):
        logits, *states = session.run(None, dict(zip(names, [frame.numpy(), *states], strict=True)))
        torch.testing.assert_close(torch.from_numpy(logits), expected[t], rtol=0, atol=1e-5)
