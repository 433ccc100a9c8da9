"""Exported files keep what a user of them needs: the scaling, how inputs are made, the classes."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import tempreg
from tempreg.cli.main import main
from tempreg.data.formats.images import decoded
from tempreg.export import ExportError
from tempreg.runs import load_run
from tempreg.runs.predict import predictor

needs_onnx = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs onnx, onnxscript and onnxruntime (tempreg[onnx])",
)
needs_nir = pytest.mark.skipif(find_spec("nir") is None, reason="needs nir (tempreg[nir])")
Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on 90 coloured pictures of three classes, dark and of little contrast."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for label, name in enumerate(("red", "green", "blue")):
        (folder / "data" / name).mkdir(parents=True)
        for index in range(30):
            pixels = rng.integers(20, 60, (10, 10, 3), dtype=np.uint8)
            pixels[..., label] += rng.integers(2, 12, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "data" / name / f"{index}.png")
    words = ["--data", str(folder / "data"), "--out", str(folder / "run"), "--epochs", "6"]
    small = ["--model.channels", "[8]", "--num-steps", "3", "--optimizer.lr", "0.01"]
    assert main(["train", *words, *small]) == 0
    return folder


def accuracy(answers: list[int]) -> float:
    return float(np.mean(np.array(answers) == np.repeat([0, 1, 2], 30)))


@needs_onnx
def test_raw_pixels_into_onnx_give_what_predict_gives(pictures: Path, capsys: Said) -> None:
    import onnx
    import onnxruntime

    run, file = pictures / "run", pictures / "model.onnx"
    assert main(["export", str(run), "--format", "onnx", "--out", str(file)]) == 0
    said = capsys.readouterr().out
    names = load_run(run)[1].classes
    assert "classes: 0 blue, 1 green, 2 red" in said
    paths = [p for name in names for p in sorted((pictures / "data" / name).iterdir())]
    pixels = np.stack([decoded(path, 3) for path in paths]).transpose(0, 3, 1, 2)
    session = onnxruntime.InferenceSession(str(file))
    (given,) = session.get_inputs()
    assert (given.name, given.type) == ("pixels", "tensor(uint8)")
    logits = session.run(["logits"], {"pixels": pixels})[0]
    predict = predictor(run)
    expected = [names.index(predict(path).ranking[0][0]) for path in paths]
    found = logits.mean(axis=0).argmax(axis=1).tolist()
    assert accuracy(found) == accuracy(expected) > 0.6
    assert found == expected
    notes = {p.key: p.value for p in onnx.load(file).metadata_props}
    assert notes["classes"].split("\n") == list(names)
    mean, std = ([float(v) for v in notes[name].split(",")] for name in ("mean", "std"))
    network = load_run(run)[2]
    x = (pixels / 255 - np.array(mean)[:, None, None]) / np.array(std)[:, None, None]
    with torch.no_grad():
        own = network(torch.from_numpy(x).float()).mean(0).argmax(-1)
    assert (own.numpy() == found).mean() > 0.97
    assert "uint8 [batch, 3, 10, 10]" in notes["input"]
    assert "RGB pixels from 0 to 255" in notes["input"]
    assert notes["output"].endswith("the largest mean of the logits over the timesteps")
    assert main(["export", str(run), "--format", "onnx", "--out", str(file), "--raw"]) == 0
    session = onnxruntime.InferenceSession(str(file))
    assert session.get_inputs()[0].type == "tensor(float)"
    raw = session.run(None, {session.get_inputs()[0].name: x.astype(np.float32)})[0]
    assert (raw.mean(axis=0).argmax(axis=1) == found).mean() > 0.97
    assert "(pixel / 255 - mean) / std with mean" in capsys.readouterr().out


def test_a_program_loads_without_tempreg(pictures: Path, capsys: Said) -> None:
    run, file = pictures / "run", pictures / "model.pt2"
    assert main(["export", str(run), "--format", "torch", "--out", str(file)]) == 0
    assert "without tempreg" in capsys.readouterr().out
    _, data, network, _ = load_run(run)
    pixels = torch.randint(0, 256, (5, 3, 10, 10), dtype=torch.uint8)
    torch.save(pixels, pictures / "pixels.pt")
    code = (
        "import sys; sys.modules['tempreg'] = None\n"
        "import torch, json\n"
        "kept = {'tempreg.json': ''}\n"
        f"made = torch.export.load({str(file)!r}, extra_files=kept).module()\n"
        f"logits = made(torch.load({str(pictures / 'pixels.pt')!r}))\n"
        "print(json.dumps([json.loads(kept['tempreg.json']), logits.tolist()]))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    notes, logits = json.loads(answer.stdout)
    reading = data.reading
    assert reading is not None
    scale, offset = (torch.tensor(v)[:, None, None] for v in (reading.scale, reading.offset))
    with torch.no_grad():
        expected = network(pixels.float() * scale + offset)
    torch.testing.assert_close(torch.tensor(logits), expected, rtol=1e-5, atol=1e-5)
    assert notes["classes"] == "blue\ngreen\nred"


@needs_nir
def test_nir_takes_pixels(pictures: Path) -> None:
    import nir

    from tests.nir_interpreter import Interpreter

    run, file = pictures / "run", pictures / "model.nir"
    assert main(["export", str(run), "--format", "nir", "--out", str(file)]) == 0
    graph = nir.read(file)
    assert graph.metadata["classes"] == "blue\ngreen\nred"
    assert "the file itself standardises" in graph.metadata["input"]
    _, data, network, _ = load_run(run)
    pixels = torch.randint(0, 256, (4, 3, 10, 10)).double()
    reading = data.reading
    assert reading is not None
    scale, offset = (
        torch.tensor(v)[:, None, None].double() for v in (reading.scale, reading.offset)
    )
    with torch.no_grad():
        expected = network.double()(pixels * scale + offset)
    output, _, _ = Interpreter(graph, 1e-3).run(pixels.expand(3, *pixels.shape))
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-3)
    assert main(["export", str(run), "--format", "nir", "--out", str(file), "--raw"]) == 0
    assert "standardise" not in nir.read(file).nodes


def test_recordings_say_how_they_become_frames(tmp_path: Path) -> None:
    from tempreg.data.reading import Reading
    from tempreg.export.notes import notes_of
    from tempreg.export.request import Request
    from tempreg.options import DataOptions

    network = tempreg.create_model("csnn", num_classes=2, in_channels=2, num_steps=4, input_size=8)
    reading = Reading("events", 2, (8, 8), sensor_size=(128, 128))
    for options, words in (
        ({}, "4 frames of equal time from its first event to its last; resized to 8 x 8, by area"),
        ({"frames": "duration", "frame_ms": 50.0}, "4 frames of 50 ms from its first event on"),
        ({"frames": "number"}, "4 frames of floor(N / 4) of its N events, the rest in the last"),
        ({"normalise": "max"}, "all divided by the recording's largest count"),
    ):
        asked = DataOptions(num_steps=4, **options)  # type: ignore[arg-type]
        request = Request(
            network, tmp_path / "x", (8, 8), True, ("a", "b"), reading=reading, options=asked
        )
        notes = notes_of(request, "frames")
        assert words in notes["prepare"]
        assert "channel 0 OFF, 1 ON" in notes["input"]
        assert "mean" not in notes


class Own(nn.Module):
    """A network of anyone's own: our neurons, stepped by hand in one layer and not in the other."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 16), nn.Linear(16, 3)
        self.fast, self.slow = tempreg.LIF(tau=1.5), tempreg.LIF(tau=2.0, v_reset=None)

    def forward(self, x: Tensor) -> Tensor:
        current = self.first(x.flatten(2)) * 3
        state, spikes = self.slow.initial_state(current), []
        for step in self.fast(current):
            out, state = self.slow(step.unsqueeze(0) * 1.3, state)
            spikes.append(out[0])
        return self.second(torch.stack(spikes))


@pytest.fixture
def own() -> tuple[Own, Tensor]:
    torch.manual_seed(0)
    return Own().eval(), torch.rand(5, 4, 3, 4)


@needs_onnx
@torch.no_grad()
def test_a_network_of_ones_own_as_onnx(own: tuple[Own, Tensor], tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    model, x = own
    file = tmp_path / "own.onnx"
    result = tempreg.export.onnx(model, x, file, notes={"classes": "a\nb\nc"})
    assert result is not None
    assert (result.same, result.samples) == (4, 4)
    more = torch.rand(5, 7, 3, 4)
    session = onnxruntime.InferenceSession(str(file))
    found = session.run(["logits"], {"frames": more.numpy()})[0]
    assert np.allclose(found, model(more), atol=1e-5)
    assert model(more).abs().sum() > 0
    assert onnx.load(file).metadata_props[0].value == "a\nb\nc"


@torch.no_grad()
def test_a_network_of_ones_own_as_a_program(own: tuple[Own, Tensor], tmp_path: Path) -> None:
    model, x = own
    tempreg.export.torch(model, x, tmp_path / "own.pt2", notes={"mean": "0.5"})
    kept = {"tempreg.json": ""}
    program = torch.export.load(tmp_path / "own.pt2", extra_files=kept).module()
    more = torch.rand(5, 7, 3, 4)
    torch.testing.assert_close(program(more), model(more))
    assert json.loads(kept["tempreg.json"]) == {"mean": "0.5"}


@needs_nir
@torch.no_grad()
def test_a_row_of_layers_as_nir(own: tuple[Own, Tensor], tmp_path: Path) -> None:
    import nir

    from tests.nir_interpreter import Interpreter

    torch.manual_seed(1)
    body = nn.Sequential(nn.Linear(12, 16), nn.Dropout(), tempreg.LIF(tau=1.5))
    model = nn.Sequential(nn.Flatten(2), body, nn.Linear(16, 3)).double().eval()
    model[1][0].weight *= 4
    x = torch.rand(5, 4, 3, 4, 1).double()
    tempreg.export.nir(model, tmp_path / "own.nir", input_shape=(3, 4, 1), notes={"mean": "0.5"})
    graph = nir.read(tmp_path / "own.nir")
    output, spikes, _ = Interpreter(graph, 1e-3).run(x)
    assert all(s.any() and not s.all() for s in spikes.values())
    torch.testing.assert_close(output, model(x), rtol=0, atol=1e-4)
    assert graph.metadata["mean"] == "0.5"
    with pytest.raises(ExportError, match=r"SiLU \(in 0\) has no form in NIR that is known here"):
        tempreg.export.nir(nn.Sequential(nn.SiLU()), tmp_path / "no.nir", input_shape=(12,))
    assert not (tmp_path / "no.nir").exists()
