"""In a notebook: a line an epoch under the cell that trains, and a result as its figure."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

import tempreg

CELLS = [
    """
from dataclasses import replace
from pathlib import Path
from tempreg.config import PRESETS
from tempreg.runs import load_run, train
from tempreg.training.progress import reporter_for

config = PRESETS["nmnist-trt"]()
config = replace(config, epochs=1, num_steps=2, model=replace(config.model, channels=(4, 8)))
summary = train(config, Path("run"), reporter=reporter_for())
""",
    """
import torch
from tempreg.analysis import spikes

config, data, network, objective = load_run(Path("run"))
x, y = data.test.batch(torch.arange(8))
spikes(network, x)
""",
]


def test_progress_and_figures_show_inline(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    place = {"metadata": {"path": str(tmp_path)}}
    client = nbclient.NotebookClient(notebook, timeout=300, startup_timeout=300, resources=place)
    client.execute()
    trained, shown = (cell.outputs for cell in notebook.cells)
    said = "".join(o.text for o in trained if o.output_type == "stream" and o.name == "stdout")
    assert said.startswith("epoch 1/1  loss ")
    (result,) = (o for o in shown if o.output_type == "execute_result")
    drawing = ElementTree.fromstring(result.data["image/svg+xml"])
    assert drawing.tag.endswith("svg")
    assert len(list(drawing.iter())) > 50  # axes, lines and labels, not an empty canvas


def test_the_drawing_is_whole() -> None:
    model = tempreg.create_model("csnn", num_classes=3, in_channels=1, num_steps=2, input_size=8)
    drawing = tempreg.analysis.spikes(model, torch.rand(4, 1, 8, 8))._repr_svg_()
    assert ElementTree.fromstring(drawing).tag.endswith("svg")
