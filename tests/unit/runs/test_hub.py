"""A run's folder to publish: what is in it, and what it gives when it is read back."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import tempreg
from tempreg.cli.main import main
from tempreg.errors import RequestError
from tempreg.runs.own.code import named_object
from tempreg.runs.own.trust import NIR, NOTHING, CodeNotTrusted

Said = pytest.CaptureFixture[str]
NET = """
from torch import nn
import tempreg

class Net(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.lif, self.head = tempreg.LIF(), nn.Linear(in_channels, num_classes)

    def forward(self, x):
        return self.head(self.lif(x.mean(dim=(3, 4))))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on pictures, and its folder to publish; the pictures are gone."""
    folder = tmp_path_factory.mktemp("published")
    rng = np.random.default_rng(0)
    for label, name in enumerate(("owl", "cat")):
        (folder / "private" / name).mkdir(parents=True)
        for index in range(20):
            pixels = rng.integers(60 * label, 60 * label + 90, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "private" / name / f"{index}.png")
    shutil.copy(folder / "private" / "owl" / "0.png", folder / "one.png")
    words = ["--data", str(folder / "private"), "--out", str(folder / "run"), "--epochs", "2"]
    assert main(["train", *words, "--model.channels", "[4]", "--num-steps", "2"]) == 0
    assert main(["export", str(folder / "run"), "--format", "hub"]) == 0
    shutil.move(folder / "run" / "hub", folder / "hub")
    shutil.rmtree(folder / "private")
    return folder


def test_it_gives_equal_logits_and_unpickles_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tempreg.load(place / "run")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("something was unpickled")

    for module, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (torch, "load"),
    ):
        monkeypatch.setattr(module, name, never)
    found = tempreg.load(place / "hub")
    x = torch.randn(5, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(found(x), expected(x))
    assert not found.training


def test_what_is_in_it(place: Path) -> None:
    hub = place / "hub"
    assert sorted(p.name for p in hub.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    text = (hub / "config.json").read_text() + (hub / "README.md").read_text()
    assert str(place) not in text
    assert "private" not in json.dumps(json.loads((hub / "config.json").read_text())["settings"])
    stored = json.loads((hub / "config.json").read_text())
    assert stored["library_name"] == "tempreg"
    assert stored["architectures"] == ["csnn"]
    assert stored["id2label"] == {"0": "cat", "1": "owl"}
    card = (hub / "README.md").read_text()
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["library_name"] == "tempreg"
    assert 'network = tempreg.load(".")' in card
    assert "load_run" not in card
    assert "config.yaml" not in card
    assert "| Test accuracy |" in card


def test_files_are_predicted_and_exported_from_it(place: Path, capsys: Said) -> None:
    answers = []
    for folder in ("run", "hub"):
        words = ["predict", str(place / folder), str(place / "one.png"), "--json"]
        assert main(words) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]
    assert main(["export", str(place / "hub"), "--format", "c", "--out", str(place / "m.c")]) == 0
    assert main(["evaluate", str(place / "hub")]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_it_replaces_itself_and_nothing_else(place: Path, tmp_path: Path, capsys: Said) -> None:
    words = ["export", str(place / "run"), "--format", "hub", "--out"]
    for _ in range(2):
        assert main([*words, str(tmp_path / "again")]) == 0
    assert "nothing was sent" in capsys.readouterr().out
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    for name, text in (("bert", '{"model_type": "bert"}'), ("broken", "{")):  # of other tools
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
        assert main([*words, str(tmp_path / name)]) == 2
        assert "isn't what --format hub wrote" in capsys.readouterr().err
        assert [p.read_text() for p in (tmp_path / name).iterdir()] == [text]
    for out, said in (("other", "isn't what --format hub wrote"), ("no/where", "make it first")):
        assert main([*words, str(tmp_path / out)]) == 2
        assert said in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["mine.txt"]
    assert main([*words[:-1], "--int8"]) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("{", "damaged|JSON"),
        ("[]", "is damaged: expected an object"),
        ({"library_name": "other"}, "isn't tempreg"),
        ({"settings": None}, "expected settings"),
        ({"settings": {"model": {"nane": "csnn"}}}, "unknown key model.nane"),
        ({"data": {"classes": 3}}, "is damaged"),
        ({"data": None}, "is damaged"),
        ({"data": {"classes": []}}, "is damaged"),
    ],
)
def test_damaged_ones_are_named(place: Path, tmp_path: Path, change: object, said: str) -> None:
    shutil.copytree(place / "hub", tmp_path / "hub")
    file = tmp_path / "hub" / "config.json"
    changed = change
    if isinstance(change, dict):
        changed = json.dumps(json.loads(file.read_text()) | change)
    file.write_text(str(changed))
    with pytest.raises(RequestError, match=said):
        tempreg.load(tmp_path / "hub")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("kind", "code", "kind must be images or events, got 'code'"),
        ("in_channels", 7, "reading.in_channels is 7, and in_channels 3"),
        ("scale", None, "scale must be a finite number, or one for each"),
        ("scale", [1, 2], "scale must be a finite number, or one for each"),
        ("offset", "x", "offset must be a finite number, or one for each"),
        ("offset", float("nan"), "offset must be a finite number, or one for each"),
        ("resized", "yes", "resized must be true or false, got 'yes'"),
        ("shorter_side", 10**9, "shorter_side must be in 1 ... "),
        ("sensor_size", [3], "not enough values"),
        ("sensor_size", [0, 3], "rows and columns"),
    ],
)
def test_a_reading_that_none_is_written_as(
    place: Path, tmp_path: Path, capsys: Said, name: str, value: object, said: str
) -> None:
    for folder, file in (("hub", "config.json"), ("run", "data.json")):
        shutil.copytree(place / folder, tmp_path / folder)
        stored = json.loads((tmp_path / folder / file).read_text())
        data = stored["data"] if folder == "hub" else stored
        data["reading"][name] = value
        (tmp_path / folder / file).write_text(json.dumps(stored))
        assert main(["predict", str(tmp_path / folder), str(place / "one.png")]) == 2
        told = capsys.readouterr().err
        assert f"{file} is damaged (" in told
        assert said in told


def test_weights_that_are_missing_or_others(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "hub", tmp_path / "hub")
    weights = tmp_path / "hub" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(RequestError, match=r"model\.safetensors"):
        tempreg.load(tmp_path / "hub")
    weights.unlink()
    with pytest.raises(RequestError, match=r"has no model\.safetensors"):
        tempreg.load(tmp_path / "hub")


def test_code_of_ones_own_needs_trust(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub_net.py").write_text(NET)
    rng = np.random.default_rng(0)
    np.savez("own.npz", x=rng.integers(0, 256, (30, 4, 4), dtype=np.uint8), y=np.arange(30) % 3)
    words = ["--data.name", "npz", "--data", "own.npz", "--augment.shift", "0", "--epochs", "1"]
    words += ["--model.name", "hub_net:Net", "--model.channels", "null", "--num-steps", "2"]
    assert main(["train", "nmnist-trt", *words, "--model.dropout", "0", "--out", "run"]) == 0
    assert main(["export", "run", "--format", "hub", "--out", "hub"]) == 0
    assert 'tempreg.load(".", trust_code=True)' in (tmp_path / "hub" / "README.md").read_text()
    with pytest.raises(CodeNotTrusted, match="hub_net:Net is code"):
        tempreg.load("hub")
    x = torch.randn(3, 1, 4, 4)
    both = [tempreg.load(name, trust_code=True)(x) for name in ("run", "hub")]
    assert torch.equal(*both)


def test_ours_is_imported_without_what_lies_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub's folder that names FromNIR needs no trust: a module beside it must not run."""
    for name in ("graphlib", "nir"):
        (tmp_path / f"{name}.py").write_text("raise AssertionError('a stranger\\'s code ran')\n")
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in [m for m in sys.modules if m.startswith("tempreg.interop.nir_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    monkeypatch.chdir(tmp_path)
    assert named_object("model.name", NIR, NOTHING).__name__ == "FromNIR"
    assert str(tmp_path) not in sys.path


def test_no_place_of_this_machine_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    """Neither of code that a whole path names, nor of a graph, which goes with the folder."""
    nir = pytest.importorskip("nir", reason="nir is not installed: pip install tempreg[nir]")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "placed_net.py").write_text(NET.replace("in_channels)", "in_channels, file=None)"))
    rng = np.random.default_rng(0)
    np.savez("own.npz", x=rng.integers(0, 256, (30, 4, 4), dtype=np.uint8), y=np.arange(30) % 3)
    nodes = [
        nir.Flatten({"input": np.array([1, 4, 4])}, 0, -1),
        nir.Linear(np.ones((3, 16))),
        nir.LIF(*(np.full(3, value) for value in (4e-3, 1.0, 0.0, 1.0, 0.0))),
    ]
    nir.write(tmp_path / "graph.nir", nir.NIRGraph.from_list(*nodes))
    own = f"{{file: {tmp_path / 'graph.nir'}}}"
    words = ["--data.name", "npz", "--data", "own.npz", "--augment.shift", "0", "--epochs", "1"]
    words += ["--model.channels", "null", "--num-steps", "2", "--model.own", own]
    for out, name in (("code", f"{tmp_path / 'placed_net.py'}:Net"), ("graph", NIR)):
        assert main(["train", "nmnist-trt", *words, "--model.name", name, "--out", out]) == 0
        capsys.readouterr()
        assert main(["export", out, "--format", "hub"]) == 0
        told = "model.own only their last part" in capsys.readouterr().out
        assert told == (out == "code")
        for file in ("config.json", "README.md"):
            assert str(tmp_path) not in (tmp_path / out / "hub" / file).read_text()
        assert str(tmp_path) not in (tmp_path / out / "README.md").read_text()
    config = tmp_path / "graph" / "hub" / "config.json"
    config.write_text(config.read_text().replace('"network.nir"', '"/etc/passwd"'))
    shutil.move(tmp_path / "graph" / "hub", "hub")
    x = torch.randn(3, 1, 4, 4)
    assert torch.equal(tempreg.load("hub")(x), tempreg.load("graph")(x))
    (tmp_path / "graph.nir").unlink()
    assert main(["export", "graph", "--format", "hub", "--out", "other"]) == 2
    assert "graph.nir, which isn't there: put it back" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
