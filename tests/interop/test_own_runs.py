"""Networks of other libraries through every command, as a user's own: `model.name: net.py:Net`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tempreg as library
from tests.cli.own_runs import Killed, in_this_process, killed_after_an_epoch
from tests.conftest import CommandLine, same_weights
from tests.interop.framework import needs
from tests.spoilt import arrays


def _on_page(file: str) -> str:
    """A file of docs/own-network.md."""
    page = Path(__file__).parents[2] / "docs" / "own-network.md"
    return page.read_text().split(f'```python title="{file}"\n')[1].split("```")[0]


NETS = {
    "spikingjelly": _on_page("my_sj_net.py"),
    "snntorch": """
import snntorch
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.lif = snntorch.Leaky(beta=0.5)
        self.head = nn.Linear(4, num_classes)
        self.readout = snntorch.Leaky(beta=0.9, reset_mechanism="none")

    def forward(self, x):
        first, last, spikes, membranes = self.lif.reset_mem(), self.readout.reset_mem(), [], []
        for frames in x:
            fired, first = self.lif(self.conv(frames), first)
            spike, last = self.readout(self.head(fired.mean(dim=(2, 3))), last)
            spikes.append(spike)
            membranes.append(last)
        return torch.stack(spikes), torch.stack(membranes)
""",
    "norse": """
import norse.torch as norse
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.lif = norse.LIFBoxCell()
        self.head = nn.Linear(4, num_classes)

    def forward(self, x, state=None):
        spikes, state = self.lif(10 * self.conv(x), state)
        return self.head(spikes.mean(dim=(2, 3))), state
""",
    "sinabs": """
from sinabs.layers import LIFSqueeze
from torch import nn


class Net(nn.Module):
    def __init__(self, num_classes, in_channels, num_steps):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4, 3, padding=1)
        self.lif = LIFSqueeze(tau_mem=2.0, norm_input=False, num_timesteps=num_steps)
        self.head = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.head(self.lif(self.conv(x)).mean(dim=(2, 3)))
""",
}
OPTIONS = {
    "spikingjelly": "null",
    "snntorch": "{output: 1}",
    "norse": "{per_step: true}",
    "sinabs": "null",
}
SETTINGS = """
epochs: 3
num_steps: 2
batch_size: 8
device: cpu
data: {{name: npz, path: own.npz}}
model: {{name: "net.py:Net", wrap_options: {options}}}
"""


@pytest.mark.parametrize("name", list(NETS))
def test_the_walk(
    name: str,
    tmp_path: Path,
    tempreg_here: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs(name)
    in_this_process(monkeypatch)
    (tmp_path / "net.py").write_text(NETS[name])
    (tmp_path / "mine.yaml").write_text(SETTINGS.format(options=OPTIONS[name]))
    np.savez(tmp_path / "own.npz", **arrays())
    Image.fromarray(arrays()["x"][0]).save(tmp_path / "one.png")

    def done(words: str) -> str:
        answer = tempreg_here(*words.split())
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    done("train mine.yaml --out whole")
    with monkeypatch.context() as patch:
        killed_after_an_epoch(patch)
        with pytest.raises(Killed):
            tempreg_here("train", "mine.yaml", "--out", "run")
    done("train mine.yaml --resume --out run")
    assert same_weights(tmp_path / "whole", tmp_path / "run")
    told = json.loads(done("evaluate run --trust-code --json"))
    assert len(told["accuracy_per_step"]) == 2
    done("analyze run gradients spikes --samples 8 --trust-code")
    done(
        "compare mine.yaml --objectives step,tet --seeds 2 --epochs 1 --analyses none --jobs 1 "
        "--out study"
    )
    assert (tmp_path / "study" / "results.csv").read_text().count("finished") == 4
    done("report study")
    done("report run")
    predicted = json.loads(done("predict run one.png --json --trust-code"))
    assert predicted["classes"][-1] in "012"
    pytest.importorskip("onnx")
    assert "4 of 4 samples" in done("export run --format onnx --raw --trust-code")
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    network = library.load("run", trust_code=True)
    images = torch.rand(5, 1, 8, 8)
    session = onnxruntime.InferenceSession(str(tmp_path / "run" / "model.onnx"))
    (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), network(images), rtol=1e-4, atol=1e-4)
