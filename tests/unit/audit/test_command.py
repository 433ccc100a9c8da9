"""`tempreg audit` of code: exit codes, files, exceptions, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tempreg.cli.main import main

NET = """
import torch, tempreg
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes, width=8, wrong=False):
        super().__init__()
        self.fc1, self.lif = nn.Linear(6, width), tempreg.LIF()
        self.fc2 = nn.Linear(width, num_classes)
        self.wrong = wrong

    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(self.lif(x - x.mean(1, keepdim=True) if self.wrong else x))
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "audited_net.py").write_text(NET)
    return f"{tmp_path / 'audited_net.py'}:Net"


def test_a_sound_network(net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audit", net, "--input", "4,2,6", "--num-classes", "3", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert re.search(r"^batch +pass", capsys.readouterr().out, re.MULTILINE)
    made = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert made["passed"] is True
    assert made["model"] == "Net"
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "All 10 checks pass." in page
    assert "Break-even rate" in page
    assert "10 of 10 pass" in (tmp_path / "out" / "audit.svg").read_text()


def test_a_fault_is_exit_code_1_unless_allowed(
    net: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["audit", net, "--input", "4,2,6", "--own", "{wrong: true}", "--json"]
    assert main(words) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["checks"]["batch"]["layer"] == "Net"
    assert "before 'lif'" in told["checks"]["batch"]["sentence"]
    assert main([*words, "--allow", "batch"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["NET"], "say what .* takes"),
        (["NET", "--input", "4,2"], "can.t be run on inputs .2, 2.: "),
        (["NET", "--input", "4,0,6"], "two to five sizes"),
        (["NET", "--input", "4,x,6"], "two to five sizes"),
        (["NET", "--input", "4,2,6", "--allow", "batches"], "did you mean 'batch'"),
        (["NET", "--input", "4,2,6", "--own", "3"], "arguments by name"),
        (["NET", "--input", "4,2,6", "--own", "{depth: 3}"], "own has 'depth'"),
        (["nowhere", "--input", "4,2,6"], "nowhere is no folder of a run, nor code"),
        (["audit_nowhere:Net", "--input", "4,2,6"], "there is no module 'audit_nowhere'"),
        (["json:dumps", "--input", "4,2,6"], "asks for 'obj'"),
    ],
)
def test_bad_requests(
    words: list[str], said: str, net: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", *(net if word == "NET" else word for word in words)]) == 2
    assert re.search(said, capsys.readouterr().err)
