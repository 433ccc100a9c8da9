"""What every analysis returns: its file, what is refused, and its numbers as aligned text."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from matplotlib.figure import Figure

from tempreg.analysis import Anytime, Fisher, Flatness, Probes, Robustness, Spikes, StepTransfer
from tempreg.analysis.aligned import aligned
from tempreg.analysis.gradients import TemporalGradients
from tempreg.analysis.result import Result, ResultError, plain
from tempreg.report.arrays import shaped


@dataclass(frozen=True, kw_only=True)
class Tiny(Result):
    quantity: ClassVar[str] = "tiny"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {"values": ("layer", "timestep"), "bare": ("t",)}
    units: ClassVar[dict[str, str]] = {"values": "nats"}
    layers: list[str]
    score: float
    count: int
    values: np.ndarray
    bare: np.ndarray

    def figure(self) -> Figure:
        figure = Figure()
        figure.subplots().plot(self.bare)
        return figure


def tiny() -> Tiny:
    return Tiny(
        layers=["a", "b"],
        score=0.123456,
        count=7,
        values=np.array([[1.0, np.nan], [np.inf, 4.0]]),
        bare=np.array([0.5]),
        settings={"samples": np.int64(3), 4: (np.float64(0.25), None, float("nan"))},
    )


def test_the_file_says_what_its_numbers_are(tmp_path: Path) -> None:
    tiny().save(tmp_path / "tiny.json")
    content = json.loads((tmp_path / "tiny.json").read_text())
    assert content == {
        "quantity": "tiny",
        "version": 1,
        "arrays": {
            "values": {"axes": ["layer", "timestep"], "unit": "nats"},
            "bare": {"axes": ["t"], "unit": ""},
        },
        "layers": ["a", "b"],
        "score": 0.123456,
        "count": 7,
        "values": [[1.0, None], [None, 4.0]],
        "bare": [0.5],
        "settings": {"samples": 3, "4": [0.25, None, None]},
    }
    back = Tiny.load(tmp_path / "tiny.json")
    assert back.values.dtype == back.bare.dtype == np.float64
    np.testing.assert_array_equal(back.values, [[1.0, np.nan], [np.nan, 4.0]])
    assert (back.layers, back.score, back.count) == (["a", "b"], 0.123456, 7)
    assert back.settings["samples"] == 3


def test_plain_numbers() -> None:
    assert plain({1: np.array([1.0, -np.inf]), "x": (np.int32(2), "s")}) == {
        "1": [1.0, None],
        "x": [2, "s"],
    }
    assert type(plain(np.float32(0.5))) is float
    assert type(plain([np.int64(5)])[0]) is int


def test_the_table_of_single_numbers() -> None:
    assert tiny().table() == "score  0.1235\ncount  7"


def test_a_notebook_shows_the_figure() -> None:
    svg = tiny()._repr_svg_()
    assert "<svg" in svg
    assert "<dc:date>" not in svg


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantity": "fisher"}, "holds no result of the analysis 'tiny'"),
        ({"version": 2}, "has version 2, expected 1: analyse again"),
        ({"values": "nonsense"}, r"is damaged \(could not convert.*analyse again"),
        ({"values": [[1.0], [1.0, 2.0]]}, r"is damaged \(setting an array.*analyse again"),
        ({"values": {"a": 1}}, "is damaged .*analyse again"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, change: dict, words: str) -> None:
    file = tmp_path / "tiny.json"
    tiny().save(file)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ResultError, match=words) as caught:
        Tiny.load(file)
    assert str(file) in str(caught.value)
    assert caught.value.__cause__ is None


def test_files_that_lack_something_or_are_no_json(tmp_path: Path) -> None:
    file = tmp_path / "tiny.json"
    with pytest.raises(ResultError, match=r"there is no result .*run the analysis first"):
        Tiny.load(file)
    tiny().save(file)
    content = json.loads(file.read_text())
    del content["score"], content["layers"]
    file.write_text(json.dumps(content))
    with pytest.raises(ResultError, match="lacks 'layers': analyse again"):
        Tiny.load(file)
    for text in ("{", "[1]", "3", "[" * 100_000):
        file.write_text(text)
        with pytest.raises(ResultError, match=r"is damaged|holds no result"):
            Tiny.load(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ResultError, match="is damaged"):
        Tiny.load(file)


def test_columns_under_their_heads() -> None:
    text = aligned(("name", "t=1", "long head"), [("a", 0.5, 1.0), ("second", 12.25, "word")])
    assert text.splitlines() == [
        "name       t=1  long head",
        "a        0.500      1.000",
        "second  12.250       word",
    ]
    assert aligned(("x", "y"), [("a", 2.0)], ".1f") == "x    y\na  2.0"


def test_table_of_spikes() -> None:
    result = Spikes(
        layers=["one"], weight_layers=["conv", "head"], kinds=["AC", "MAC"],
        rate=np.array([[0.25, 0.5]]), dead=np.array([0.125]), saturated=np.array([0.0]),
        operations=np.array([[1000.0, 500.0], [2.0, 3.0]]),
        dense=np.array([[4000.0, 4000.0], [6.0, 6.0]]),
        energy=np.array([1000.25, 234.0]), membrane=np.zeros((1, 1)), membrane_edges=np.zeros(2),
    )  # fmt: skip
    assert result.table().splitlines() == [
        "firing rate    t=1    t=2   dead  saturated",
        "one          0.250  0.500  0.125      0.000",
        "operations a sample  kind  counted  no input at 0",
        "conv                   AC    1,500          8,000",
        "head                  MAC        5             12",
        "energy 1,234.2 nJ a sample",
    ]


def test_tables_of_anytime_behaviour() -> None:
    one, two = np.array([0.5]), np.array([0.25, 0.75])
    result = Anytime(
        accuracy=two, confidence=two + 0.1, calibration_error=two / 5, loss=two + 1,
        thresholds=np.array([0.5, 0.995]), exit_accuracy=two, exit_steps=two * 4,
        exit_energy=np.array([np.nan, 3.5]),
    )  # fmt: skip
    assert result.table().splitlines() == [
        "                     t=1    t=2",
        "accuracy           0.250  0.750",
        "mean confidence    0.350  0.850",
        "calibration error  0.050  0.150",
        "loss (nats)        1.250  1.750",
        "exit at confidence  accuracy  mean steps  energy (nJ)",
        "0.5                    0.250       1.000          nan",
        "0.995                  0.750       3.000        3.500",
    ]
    transfer = StepTransfer(
        num_steps=np.array([1.0, 2.0]), accuracy=np.array([[0.5, np.nan], [0.5, 0.75]])
    )
    assert transfer.table().splitlines() == [
        "accuracy        t=1    t=2",
        "run at T = 1  0.500    nan",
        "run at T = 2  0.500  0.750",
    ]
    worse = Robustness(
        kinds=["noise", "blur"], strength_units=["", ""], clean=two,
        strengths=np.array([[0.5, 2.0], [1.0, np.nan]]), accuracy=np.full((2, 2, 2), 0.125),
    )  # fmt: skip
    assert worse.table().splitlines() == [
        "accuracy     t=1    t=2",
        "clean      0.250  0.750",
        "noise 0.5  0.125  0.125",
        "noise 2    0.125  0.125",
        "blur 1     0.125  0.125",
    ]
    probes = Probes(layers=["cell"], accuracy=two[None], ridge=one[None])
    assert probes.table().splitlines() == [
        "probe accuracy    t=1    t=2",
        "cell            0.250  0.750",
    ]


def test_table_of_fisher_information() -> None:
    result = Fisher(
        layers=["a"], per_step=np.array([0.5, 1234.5]), per_layer=np.zeros((1, 2)),
        scaled=np.zeros((1, 2)), centroid=1.25, centroid_interval=np.array([1.0, 1.5]),
        settings={"estimator": "signs"},
    )  # fmt: skip
    assert result.table().splitlines() == [
        "timestep   information (signs)",
        "       1           0.5",
        "       2        1234.5",
        "centroid 1.250  95% 1.000 to 1.500",
    ]


def test_table_of_gradients() -> None:
    result = TemporalGradients(
        layers=["a", "stem.neuron"], weights=[], norms=np.array([[1.0, 0.5], [0.25, 2e-6]]),
        matrix=np.zeros((2, 2, 2)), decay=np.array([0.5, np.nan]), factors=np.zeros((2, 1, 4)),
        weight_shares=np.zeros((0, 2)), weight_norms=np.zeros((0, 2)), penalty_norms=np.zeros(0),
    )  # fmt: skip
    assert result.table().splitlines() == [
        "layer               1         2   decay a step",
        "a            1.00e+00  5.00e-01   0.500",
        "stem.neuron  2.50e-01  2.00e-06   nan",
    ]


def test_table_of_flatness() -> None:
    line, noise = np.array([3.0, 1.0, 2.0]), np.array([[1.0, 3.0]])
    result = Flatness(
        loss=1.0, scaled_loss=0.5, accuracy=0.75, temperature=2.0,
        radii=np.array([-0.5, 0.0, 0.5]), line_loss=line, line_scaled_loss=line / 2,
        line_accuracy=line / 4, plane_radii=np.zeros(1), plane_loss=np.zeros((1, 1)),
        plane_scaled_loss=np.zeros((1, 1)), plane_accuracy=np.zeros((1, 1)),
        sigmas=np.array([0.05]), noise_loss=noise, noise_scaled_loss=noise / 2,
        noise_accuracy=noise / 4, rhos=np.array([0.01]), sharpness_random=np.array([0.25]),
        sharpness_ascent=np.array([0.5]),
    )  # fmt: skip
    assert result.table().splitlines() == [
        "                            loss  scaled loss  accuracy",
        "as it is                   1.000        0.500     0.750",
        "line at -0.5 filter norms  3.000        1.500     0.750",
        "line at +0.5 filter norms  2.000        1.000     0.500",
        "noise 0.05, mean           2.000        1.000     0.500",
        "noise 0.05, sd             1.000        0.500     0.250",
        "rise of scaled loss within  random  ascent",
        "0.01                        0.2500  0.5000",
        "moved: weights, without batch norm's gains",
    ]
    later = replace(result, noise_drop=np.array([[0.2, 0.4]]), settings={"gains": True})
    assert later.table().splitlines()[6:8] == [
        "share of accuracy lost at noise   mean",
        "0.05                             0.300",
    ]
    assert later.table().splitlines()[-1] == "moved: weights, with batch norm's gains"


@pytest.mark.parametrize(
    ("values", "axes", "about", "shape"),
    [
        ([[], []], 3, {"shape": [2, 0, 4]}, (2, 0, 4)),
        ([[], []], 3, {}, (2, 0, 0)),  # of an earlier version
        ([], 3, {"shape": [0, 5, 7]}, (0, 5, 7)),
        ([], 1, {"shape": [0]}, (0,)),
        ([[1, None]], 2, {"shape": [1, 2]}, (1, 2)),
        ([[1, 2]], 2, None, (1, 2)),
    ],
)
def test_empty_axes_of_a_file(values: Any, axes: int, about: Any, shape: tuple[int, ...]) -> None:
    assert shaped(values, axes, about).shape == shape


@pytest.mark.parametrize(
    ("values", "axes", "about"),
    [
        ([[], []], 3, {"shape": [3, 0, 4]}),
        ([[], []], 3, {"shape": [2, 0]}),
        ([[], []], 3, {"shape": [2, 0, -1]}),
        ([[], []], 3, {"shape": [2, 0, 10**18]}),
        ([[], []], 3, {"shape": [2, 0, "4"]}),
        ([[], []], 3, {"shape": [2, 0, True]}),
        ([[], []], 3, {"shape": 4}),
        ([1, 2], 1, {"shape": [1, 2]}),
        ([1, 2], 2, {}),
        ([[1], [1, 2]], 2, {}),
    ],
)
def test_shapes_of_a_file_that_can_not_be(values: Any, axes: int, about: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        shaped(values, axes, about)
