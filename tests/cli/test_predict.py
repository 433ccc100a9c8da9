"""`tempreg predict`: files answered as the network answers the same samples in its data set."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tempreg.config import RunConfig
from tempreg.data import load_dataset
from tempreg.data.reading import Reading
from tempreg.data.sources.embedded import FASHION_MEAN, FASHION_STD, nmnist_recordings
from tempreg.options import DataOptions
from tempreg.runs import load_run, train
from tests.conftest import said

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_recordings_as_in_the_data_set_and_bad_files_by_name(
    tiny: RunConfig, tmp_path: Path, tempreg: Command
) -> None:
    run = tmp_path / "run"
    train(replace(tiny, epochs=1), run)
    recordings, _, part = nmnist_recordings()
    index = int(np.flatnonzero(part == 2)[0])  # the first of the test split
    one = recordings[index : index + 1]
    np.savez(tmp_path / "one.npz", t=one.t, x=one.x, y=one.y, p=one.p)
    t = one.t.astype(np.int64)
    columns = [one.x, one.y, one.p.astype(np.int64) << 7 | t >> 16, t >> 8 & 255, t & 255]
    (tmp_path / "one.bin").write_bytes(np.stack(columns, 1).astype(np.uint8).tobytes())
    np.savez(tmp_path / "wide.npz", t=[0, 1], x=[0, 99], y=[0, 0], p=[0, 1])
    (tmp_path / "cut.bin").write_bytes(b"1234567")
    Image.new("L", (34, 34)).save(tmp_path / "image.png")
    np.savez(tmp_path / "code.npz", t=np.array([{}], dtype=object), x=[0], y=[0], p=[0])
    bad = ["wide.npz", "cut.bin", "image.png", "code.npz", "absent.bin"]
    answer = tempreg("predict", "run", "--json", bad[0], "one.npz", *bad[1:], "one.bin")
    assert answer.returncode == 1
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [line.pop("file") for line in lines] == ["one.npz", "one.bin"]
    assert lines[0] == lines[1]
    _, data, network, _ = load_run(run)
    logits = network(data.test.inputs(torch.tensor([0])))[:, 0]
    expected = torch.stack([logits[: t + 1].mean(0).softmax(-1) for t in range(2)])
    assert np.allclose(lines[0]["confidences"], expected.max(-1).values.tolist(), atol=1e-6)
    assert lines[0]["classes"] == [str(i) for i in expected.argmax(-1).tolist()]
    errors = said(answer.stderr)
    assert len(errors) == 5
    for error, file in zip(errors, bad, strict=True):
        assert error.startswith(f"tempreg: error: {file}")
    assert "event 1 has x = 99, outside 0 ... 33" in errors[0]
    plain = tempreg("predict", "run", "one.bin")
    assert plain.returncode == 0
    assert "timestep   2" in plain.stdout
    (run / "data.json").unlink()
    old = tempreg("predict", "run", "one.bin")
    assert old.returncode == 2
    assert "has no data.json" in old.stderr


def test_an_image_is_read_as_the_data_set_was(tmp_path: Path) -> None:
    data = load_dataset("fashion-mnist", num_steps=1)
    x = data.test.inputs(torch.tensor([7]))
    grey = ((x[0, 0] * FASHION_STD + FASHION_MEAN) * 255).round().to(torch.uint8)
    Image.fromarray(grey.numpy()).convert("RGB").save(tmp_path / "shoe.png")
    assert isinstance(data.reading, Reading)
    again = data.reading.read(tmp_path / "shoe.png", DataOptions(num_steps=1))
    assert torch.allclose(again, x, atol=1e-5)
