"""Curves and analyses as rows: curves.csv of a study, and DataFrames of results."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tempreg.analysis import Fisher, Flatness, TemporalGradients
from tempreg.analysis.flatness import _WAYS
from tempreg.analysis.scores import Score
from tempreg.errors import PackageMissing
from tempreg.study.page.report import write_study_report
from tests.study_folder import EPOCHS, make_study


def flatness() -> Flatness:
    """Each array holds 1, 2, ... in the order of its entries; two draws at each of three sigmas."""
    sizes = {"radius": 5, "plane_radius": 3, "sigma": 3, "rho": 2, "draw": 2}

    def counted(*axes: str) -> np.ndarray:
        shape = [sizes[axis] for axis in axes]
        return np.arange(1.0, np.prod(shape) + 1).reshape(shape)

    arrays = {name: counted(*axes) for name, axes in Flatness.axes.items()}
    names = {"radii": [-1, -0.5, 0, 0.5, 1], "sigmas": [0.1, 0.2, 0.4]}
    arrays |= {name: np.array(values, dtype=float) for name, values in names.items()}
    rest = {f.name: 0.5 for f in Flatness.__dataclass_fields__.values()
            if f.type in ("float", float)}  # fmt: skip
    return Flatness(**{**rest, **arrays})


def test_curves_of_a_study_are_rows(tmp_path: Path) -> None:
    folder = make_study(tmp_path / "s", effects={"rate": 0.0, "trt": 0.1}, replicates=2)
    flatness().save(folder / "runs/1/000/analysis/flatness-held-out.json")
    write_study_report(folder)
    with (folder / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    def of(quantity: str, **where: str) -> list[dict[str, str]]:
        wanted = {"quantity": quantity, "arm": "trt", "replicate": "000", **where}
        return [row for row in rows if wanted.items() <= row.items()]

    metrics = [
        json.loads(line) for line in (folder / "runs/1/000/metrics.jsonl").read_text().splitlines()
    ]
    wanted = [(str(m["epoch"]), m["accuracy"]) for m in metrics if m["split"] == "validation"]
    found = of("validation accuracy")
    assert [(row["epoch"], float(row["value"])) for row in found] == wanted
    assert [row["seed"] for row in found] == ["0"] * EPOCHS
    assert [row["timestep"] for row in of("test accuracy")] == list("1234")
    norms = json.loads((folder / "runs/1/000/analysis/gradients.json").read_text())["norms"]
    (row,) = of("gradients norms", layer="layer3", timestep="2")
    assert float(row["value"]) == norms[3][1]
    assert not of("gradients norms", layer="layer0")  # was not measured
    matrix = of("gradients matrix", layer="layer3", timestep="1")
    assert [row["place"] for row in matrix][:4] == ["1", "2", "3", "4"]
    assert {row["axis"] for row in matrix} == {"loss timestep"}
    noise = of("flatness-held-out noise_accuracy")
    assert [(r["axis"], r["place"], r["value"]) for r in noise] == [
        ("sigma", "0.1", "1.5"), ("sigma", "0.2", "3.5"), ("sigma", "0.4", "5.5"),
    ]  # fmt: skip
    line = of("flatness-held-out line_scaled_loss")
    assert [row["place"] for row in line] == ["-1", "-0.5", "0", "0.5", "1"]
    assert not of("flatness-held-out plane_scaled_loss")
    assert {row["arm"] for row in rows} == {"rate", "trt"}


def test_a_study_without_its_runs_has_no_curves(tmp_path: Path) -> None:
    import shutil

    folder = make_study(tmp_path / "s", effects={"rate": 0.0, "trt": 0.1}, replicates=2)
    shutil.rmtree(folder / "runs")
    write_study_report(folder)
    assert not (folder / "curves.csv").exists()


def test_results_become_frames(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    result = TemporalGradients.load(
        make_study(tmp_path / "s", replicates=1) / "runs/0/000/analysis/gradients.json"
    )
    frame = result.to_pandas()
    norms = frame[frame["array"] == "norms"].pivot(
        index="layer", columns="timestep", values="value"
    )
    assert list(norms.index) == result.layers
    assert list(norms.columns) == [1, 2, 3, 4]
    np.testing.assert_array_equal(norms.to_numpy(), result.norms)
    sizes = [getattr(result, name).size for name in result.axes]
    assert len(frame) == sum(sizes)


def test_all_scores_of_flatness_are_in_its_frame() -> None:
    pytest.importorskip("pandas")
    frame = flatness().to_pandas()
    assert {f"{way}_{score}" for way in _WAYS for score in Score._fields} <= set(frame["array"])
    assert "radii" not in set(frame["array"])


def test_without_pandas_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr("tempreg.analysis.result.find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match="to_pandas needs the package pandas: pip install"):
        flatness().to_pandas()
    assert Fisher.quantity == "fisher"
