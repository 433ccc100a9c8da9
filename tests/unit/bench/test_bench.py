"""What benchmarks rest on: ratios, fits, agreement before times, files that can be gone on with."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tempreg.bench import MODULES, PARTS
from tempreg.bench.agree import agree
from tempreg.bench.fit import exponent
from tempreg.bench.inference import Stepwise
from tempreg.bench.measure import alternate, ratio
from tempreg.bench.networks import inputs, network, training_step
from tempreg.bench.peers import PEERS
from tempreg.bench.published import DECAY, EPS, ETA, LAM, published_loss
from tempreg.bench.results import BenchmarkFileError, Disagreement, Results, read, write
from tempreg.cli.main import main
from tempreg.functional import lif
from tempreg.models import create_model
from tempreg.neurons import Neuron
from tempreg.objectives import TRTLoss

positive = st.floats(1e-3, 1e3)


@given(st.lists(positive, min_size=3, max_size=9), positive)
def test_a_ratio_of_times_that_are_a_multiple_is_that_multiple(
    b: list[float], factor: float
) -> None:
    found = ratio([factor * x for x in b], b)
    np.testing.assert_allclose(found[:4], [factor] * 4, rtol=1e-12)
    assert found.rounds == len(b)


def test_the_median_is_of_single_rounds_and_the_minima_of_all() -> None:
    found = ratio([2.0, 30.0, 4.0, 8.0, 6.0], [1.0, 10.0, 1.0, 1.0, 1.0])
    assert found == (2.0, 4.0, 3.0, 6.0, 5)


def test_works_run_in_turn_after_one_call_that_does_not_count() -> None:
    calls: list[str] = []
    works = {name: lambda n=name: calls.append(n) for name in "abc"}
    times = alternate(works, rounds=4)
    assert "".join(calls) == "abc" * 5
    assert [len(values) for values in times.values()] == [4, 4, 4]


def test_a_spent_budget_leaves_three_rounds() -> None:
    times = alternate({"a": lambda: None, "b": lambda: None}, rounds=1000, budget=0)
    assert len(times["a"]) == len(times["b"]) == 3


@given(st.floats(-3, 3), positive)
def test_a_power_law_has_its_exponent_without_error(p: float, scale: float) -> None:
    found, error = exponent({n: scale * n**p for n in (1, 2, 4, 8, 16)})
    assert math.isclose(found, p, abs_tol=1e-9)
    assert error < 1e-9


def test_the_standard_error_is_that_of_a_regression() -> None:
    costs = {1: 1.0, 2: 2.3, 4: 3.7, 8: 9.0, 16: 15.0}
    found, error = exponent(costs)
    fit, covariance = np.polyfit(np.log([*costs]), np.log([*costs.values()]), 1, cov=True)
    np.testing.assert_allclose([found, error], [fit[0], covariance[0, 0] ** 0.5])


def test_two_points_are_no_fit() -> None:
    with pytest.raises(ValueError, match="three sizes or more"):
        exponent({1: 1.0, 2: 2.0})


@pytest.mark.parametrize(
    ("ours", "why"),
    [([1.0, 1.02], "differs by"), ([1.0, math.nan], "differs by"), ([1.0, 1.0, 1.0], "shape")],
)
def test_results_that_differ_stop_a_benchmark(ours: list[float], why: str) -> None:
    with pytest.raises(Disagreement, match=why):
        agree("here", [torch.tensor(ours)], [torch.tensor([1.0, 1.0])], 1e-2)


def test_zeros_agree_with_nothing() -> None:
    with pytest.raises(Disagreement):
        agree("here", [torch.zeros(3)], [torch.zeros(3)], 1.0)


def test_the_published_loss_is_the_trt_loss() -> None:
    model = create_model(
        "csnn", num_classes=3, in_channels=1, num_steps=4, input_size=8, channels=(4,)
    ).double()
    y = torch.tensor([0, 2])
    outputs = torch.randn(4, 2, 3, dtype=torch.float64)
    ours = TRTLoss(model, lam=LAM, decay=DECAY, eps=EPS, eta=ETA)(outputs, y)
    theirs = published_loss(model, outputs, y)
    torch.testing.assert_close(ours, theirs)
    weights = list(model.parameters())
    a, b = (torch.autograd.grad(x, weights, allow_unused=True) for x in (ours, theirs))
    for mine, other in zip(a, b, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            torch.testing.assert_close(mine, other)


def test_variants_have_the_same_weights_and_their_own_neurons() -> None:
    ours, relu = network("csnn", "tempreg"), network("csnn", "ReLU")
    assert any(isinstance(m, Neuron) for m in ours.modules())
    assert not any(isinstance(m, Neuron) for m in relu.modules())
    for a, b in zip(ours.parameters(), relu.parameters(), strict=True):
        assert torch.equal(a, b)
    plain, reference = (
        training_step("csnn", f"tempreg, {v}").run() for v in ("plain", "reference")
    )
    agree("csnn", plain, reference, 0.02)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_peer_is_the_same_neuron(peer) -> None:
    if not peer.installed:
        pytest.skip(f"{peer.package} is not installed")
    x = torch.randn(6, 500, dtype=torch.float32).requires_grad_()
    upstream = torch.randn(6, 500)
    found = []
    for layer in (lambda x: lif(x, tau=2.0, detach_reset=peer.detach_reset), peer.layer()):
        spikes = layer(x)
        found.append([spikes, *torch.autograd.grad(spikes, x, upstream)])
    agree(peer.name, *found, 1e-5)


def test_step_by_step_is_at_once_and_may_stop() -> None:
    model, x = network("csnn", "tempreg").eval(), inputs_of_one()
    stepwise = Stepwise(network("csnn", "tempreg").eval())
    with torch.inference_mode():
        for _ in range(2):  # nothing is left over from a recording before
            torch.testing.assert_close(stepwise.logits(x), model(x))
        sure = float(model(x)[0].softmax(dim=1).max()) - 1e-4
        assert len(stepwise.logits(x, sure)) == 1
        assert len(stepwise.logits(x, 0.999999)) == len(x)


def inputs_of_one() -> torch.Tensor:
    from tempreg.bench.networks import SETTINGS

    return inputs(SETTINGS["csnn"]._replace(batch=1))


def some_rows(part: str) -> list[dict[str, object]]:
    results = Results(part)
    results.times("small", {"ours": [2.0, 2.0], "theirs": [1.0, 1.0]}, "theirs")
    results.single("exponent", "T 1 to 4", "ours", 1.03, "", 0.01)
    return [vars(row) for row in results.rows]


def test_rows_survive_a_file_and_say_where_they_are_from(tmp_path: Path) -> None:
    file = tmp_path / "found.csv"
    assert read(file) == []
    write(file, some_rows("lif"))
    time, power = read(file)
    assert (time["a"], time["b"], time["ratio"], time["rounds"]) == ("ours", "theirs", "2.0", "2")
    assert (power["a_value"], power["a_error"], power["b"]) == ("1.03", "0.01", "")
    assert time["torch"] == torch.__version__
    assert time["threads"] == str(torch.get_num_threads())


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", "\x00\n"], ids=["other", "empty", "binary"])
def test_another_file_is_not_overwritten(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(text)
    if text == "":
        assert read(file) == []
        return
    with pytest.raises(BenchmarkFileError):
        read(file)
    assert main(["bench", "lif", "--out", str(file)]) == 2
    assert file.read_text() == text


def test_parts_are_kept_measured_anew_or_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.csv"
    write(file, some_rows("lif") + some_rows("step"))
    monkeypatch.setitem(MODULES, "step", __name__)
    measured.clear()
    assert main(["bench", "step", "--out", str(file), "--resume"]) == 0
    assert measured == []
    assert "has it" in capsys.readouterr().out
    assert main(["bench", "step", "--quick", "--out", str(file)]) == 0
    assert measured == [("step", True)]
    assert [row["part"] for row in read(file)] == ["lif", "lif", "step"]
    monkeypatch.setitem(MODULES, "lif", f"{__name__}_nowhere")  # a fault is no result
    with pytest.raises(ModuleNotFoundError):
        main(["bench", "lif", "--out", str(file)])
    assert [row["part"] for row in read(file)] == ["lif", "lif", "step"]


measured: list[tuple[str, bool]] = []


def measure(results: Results, quick: bool) -> None:
    """Stands for a part, in the test above."""
    measured.append((results.part, quick))
    results.single("time", "nothing", "ours", 1.0, "s")


def test_a_wrong_penalty_is_not_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tempreg.bench import penalty

    right = penalty.trt_penalty
    monkeypatch.setattr(penalty, "trt_penalty", lambda *a, **k: 1.001 * right(*a, **k))
    file = tmp_path / "found.csv"
    assert main(["bench", "penalty", "--quick", "--out", str(file)]) == 1
    assert "no times are reported" in capsys.readouterr().err
    assert not file.exists()


def test_every_part_has_a_module() -> None:
    assert MODULES.keys() == PARTS.keys()
