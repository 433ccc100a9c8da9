"""An own folder of recordings, from the first command to a prediction."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tempreg.data.sources.events import EventFolder
from tempreg.data.sources.recordings import parts
from tempreg.runs import load_run
from tempreg.runs.build import build_options
from tests.conftest import CommandLine
from tests.unit.data.formats.recordings.layouts import write_recordings


def test_trains_says_what_it_guessed_and_predicts_as_it_tests(
    tmp_path: Path, tempreg: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path / "cache"))
    write_recordings(tmp_path / "own")
    asked = {"frames": "duration", "frame_ms": 10, "size": 16, "normalise": "max"}
    words = [f"--data.{name.replace('_', '-')}={value}" for name, value in asked.items()]
    done = tempreg(
        "train", "nmnist-trt", "--data.name=event-folder", "--data.path=own", *words,
        "--num-steps=3", "--epochs=1", "--model.channels=[4, 8]", "--out=run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()[:2]
    assert first == "sensor size, by the recordings: 128 x 128"
    assert second.startswith("the frames hold ")
    assert second.endswith(" of 7,200 events: the others come after the last frame")
    monkeypatch.chdir(tmp_path)
    config, data, network, _ = load_run(Path("run"))
    options = build_options(config)
    _, samples = EventFolder().samples(Path("own"))
    tested = [samples[row].path for row in parts(samples, options)[0][2]]
    answer = tempreg("predict", "run", "--json", *map(str, tested))
    logits = network(data.test.inputs(torch.arange(len(tested)))).detach()
    expected = (logits.cumsum(0) / torch.arange(1, 4)[:, None, None]).softmax(-1)
    assert len(tested) == 2
    for line, probabilities in zip(answer.stdout.splitlines(), expected.unbind(1), strict=True):
        found = json.loads(line)
        confidences, classes = probabilities.max(-1)
        assert found["classes"] == [data.classes[i] for i in classes.tolist()]
        assert np.allclose(found["confidences"], confidences.tolist(), rtol=0, atol=1e-5)
