"""NIR graphs come in: spikes as an interpreter of NIR's equations has them, and out again."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

nir = pytest.importorskip("nir", reason="nir is not installed: pip install tempreg[nir]")

import h5py  # noqa: E402

import tempreg  # noqa: E402
from tempreg.cli.main import main  # noqa: E402
from tempreg.config.yaml import read_config  # noqa: E402
from tempreg.data import load_dataset  # noqa: E402
from tempreg.interop.nir_graphs import Driven, FromNIR, NIRError  # noqa: E402
from tests.nir_interpreter import Interpreter  # noqa: E402

DT = 1e-3


@pytest.fixture(scope="module")
def recordings() -> Tensor:
    """A hundred, [T, B, 2, 34, 34]."""
    return load_dataset("nmnist", num_steps=4).test.inputs(torch.arange(100))


def spikes_of(network: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    found: list[Tensor] = []
    hooks = [
        m.neurons.register_forward_hook(lambda *args: found.append(args[2]))
        for m in network.modules()
        if isinstance(m, Driven)
    ]
    with torch.no_grad():
        output = network(x)
    for hook in hooks:
        hook.remove()
    return output, found


def exported(path: Path, x: Tensor, name: str = "csnn", **options: Any) -> nn.Module:
    """A network that fires, and its file."""
    torch.manual_seed(0)
    model = tempreg.create_model(
        name, num_classes=10, in_channels=2, num_steps=4, input_size=34, v_threshold=0.3, **options
    )
    for _ in range(3):
        model(x[:, :8])
    tempreg.export.nir(model.eval(), path, input_shape=(2, 34, 34))
    return model


@pytest.mark.parametrize("options", [{}, {"tau": 1.0}, {"neuron": "cuba"}])
def test_our_own_come_in_with_equal_spikes_on_100_recordings(
    options: dict[str, Any], recordings: Tensor, tmp_path: Path
) -> None:
    model = exported(tmp_path / "net.nir", recordings, channels=(4, 6), **options)
    network = FromNIR(tmp_path / "net.nir").double().eval()
    x = recordings.double()
    output, spikes = spikes_of(network, x)
    graph = nir.read(tmp_path / "net.nir")
    expected, wanted, _ = Interpreter(graph, DT).run(x)
    torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-9)
    assert len(spikes) == len(wanted) == 2
    assert all(0.005 < float(s.mean()) < 0.9 for s in spikes)
    for found in spikes:
        assert any(torch.equal(found.bool(), other) for other in wanted.values())
    # Weights are folded into float32, so ours differ where a potential is at the threshold.
    with torch.no_grad():
        same = (model.double()(x).mean(0).argmax(1) == output.mean(0).argmax(1)).float().mean()
    assert same >= 0.98
    tempreg.export.nir(network.float(), tmp_path / "again.nir", input_shape=(2, 34, 34))
    again = FromNIR(tmp_path / "again.nir").eval()
    torch.testing.assert_close(spikes_of(again, recordings)[0], spikes_of(network, recordings)[0])


def test_max_pooling_and_sums_of_spikes(tmp_path: Path) -> None:
    x = (torch.rand(4, 2, 2, 34, 34, generator=torch.Generator().manual_seed(0)) < 0.2).float()
    exported(tmp_path / "net.nir", x, "sew_resnet18")
    graph = nir.read(tmp_path / "net.nir")
    assert any(isinstance(node, nir.Threshold) for node in graph.nodes.values())
    network = FromNIR(tmp_path / "net.nir").double().eval()
    expected, _, _ = Interpreter(graph, DT).run(x.double())
    torch.testing.assert_close(spikes_of(network, x.double())[0], expected)


def graph_of(*nodes: Any, shape: tuple[int, ...] = (3,)) -> Any:
    named = {f"n{i}": node for i, node in enumerate(nodes)}
    named |= {
        "in": nir.Input({"input": np.array(shape)}),
        "out": nir.Output({"output": np.array([2])}),
    }
    names = ["in", *[f"n{i}" for i in range(len(nodes))], "out"]
    return nir.NIRGraph(named, list(pairwise(names)), type_check=False)


def lif(**changed: Any) -> Any:
    values = {"tau": 4e-3, "r": 2.0, "v_leak": 0.1, "v_threshold": 0.4, "v_reset": 0.0, **changed}
    return nir.LIF(
        **{k: np.full(2, v) if np.ndim(v) == 0 else np.array(v) for k, v in values.items()}
    )


def affine() -> Any:
    return nir.Affine(
        weight=np.array([[0.5, 1.0, -0.3], [0.2, 0.4, 0.9]]), bias=np.array([0.1, 0.0])
    )


def test_leaks_gains_and_integrators_by_their_equations(tmp_path: Path) -> None:
    x = torch.rand(6, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    graph = graph_of(affine(), lif(r=[2.0, 1.5], v_leak=[0.1, -0.2]))
    nir.write(tmp_path / "a.nir", graph)
    found, _ = spikes_of(FromNIR(tmp_path / "a.nir", dt=DT).double(), x)
    expected, _, _ = Interpreter(graph, DT).run(x)
    assert torch.equal(found, expected)
    assert 0 < expected.mean() < 1
    last = nir.LI(tau=np.full(2, 5e-3), r=np.full(2, 3.0), v_leak=np.full(2, 0.5))
    nir.write(tmp_path / "b.nir", graph_of(affine(), last))
    v, rows = torch.zeros(3, 2, dtype=torch.float64), []
    given = x @ torch.tensor(affine().weight).T + torch.tensor(affine().bias)
    for current in given:
        v = v + DT / 5e-3 * (0.5 - v + 3.0 * current)
        rows.append(v)
    potentials, _ = spikes_of(FromNIR(tmp_path / "b.nir", dt=DT).double(), x)
    torch.testing.assert_close(potentials, torch.stack(rows), rtol=1e-5, atol=1e-6)


def test_what_has_no_form_is_named(tmp_path: Path) -> None:
    cases = {
        "is a Delay, which has no form": nir.Delay(np.full(2, 1e-3)),
        "tau differs between neurons": lif(tau=[4e-3, 5e-3]),
        "no longer than a timestep": lif(tau=1e-3),
        "after a SumPool2d of spikes alone": nir.Threshold(np.full(2, 0.5)),
    }
    for words, node in cases.items():
        nir.write(tmp_path / "net.nir", graph_of(affine(), node))
        with pytest.raises(NIRError, match=words):
            FromNIR(tmp_path / "net.nir", dt=DT)
    cyclic = graph_of(affine(), lif())
    cyclic.edges.append(("n1", "n1"))
    nir.write(tmp_path / "net.nir", cyclic)
    with pytest.raises(NIRError, match="has a cycle"):
        FromNIR(tmp_path / "net.nir", dt=DT)
    (tmp_path / "noise.nir").write_bytes(b"noise")
    with pytest.raises(NIRError, match="is no NIR graph"):
        FromNIR(tmp_path / "noise.nir")
    with pytest.raises(NIRError, match="there is no file"):
        FromNIR(tmp_path / "none.nir")


def test_damaged_graphs_are_named(tmp_path: Path) -> None:
    file = tmp_path / "net.nir"
    broad = nir.Affine(weight=np.ones((2, 3)), bias=np.ones(5))
    cases = {
        "time constant 0 s is no longer": (affine(), lif(tau=0.0)),
        "tau has numbers that are not finite": (affine(), lif(tau=np.nan)),
        "node n1: it has numbers that are not finite": (affine(), lif(r=np.nan)),
        "node n0: it has numbers that are not finite": (
            nir.Linear(weight=np.full((2, 3), 1e300)),
            lif(),
        ),
        "node n0: it can't be understood": (broad, lif()),
    }
    for words, nodes in cases.items():
        nir.write(file, graph_of(*nodes))
        with pytest.raises(NIRError, match=words):
            FromNIR(file, dt=DT)
    for said in ("abc", np.array([1e-3, 2e-3])):
        graph = graph_of(affine(), lif())
        graph.metadata["dt"] = said
        nir.write(file, graph)
        with pytest.raises(NIRError, match="as dt, which is no number of seconds"):
            FromNIR(file)
    graph = graph_of(affine(), nir.Affine(weight=np.eye(2), bias=np.zeros(2)), lif())
    called = {"n0": "a.b", "n1": "a_b"}
    graph.nodes = {called.get(name, name): node for name, node in graph.nodes.items()}
    graph.edges = [(called.get(a, a), called.get(b, b)) for a, b in graph.edges]
    nir.write(file, graph)
    with pytest.raises(NIRError, match="two nodes are called a_b, but for their dots"):
        FromNIR(file)


def test_numbers_that_are_only_claimed(tmp_path: Path) -> None:
    """A file of a few kB that says it has 2^45 weights is told before memory is asked for."""
    file = tmp_path / "net.nir"
    nir.write(file, graph_of(affine(), lif()))
    with h5py.File(file, "r+") as held:
        del held["node/nodes/n0/weight"]
        held.create_dataset("node/nodes/n0/weight", (2**23, 2**22), dtype="f4", chunks=(64, 64))
    with pytest.raises(
        NIRError, match=r"declares 140,737,488,[\d,]+ bytes .* in node/nodes/n0/weight"
    ):
        FromNIR(file, dt=DT)


def test_bytes_that_changed_are_never_a_traceback(tmp_path: Path) -> None:
    """h5py raises nearly anything, RuntimeErrors among it."""
    file, rng = tmp_path / "net.nir", np.random.default_rng(0)
    nir.write(file, graph_of(affine(), lif()))
    whole, refused = file.read_bytes(), 0
    for _ in range(150):
        changed = bytearray(whole)
        for place in rng.integers(0, len(whole), 6):
            changed[place] = rng.integers(256)
        file.write_bytes(changed)
        try:
            FromNIR(file)
        except NIRError:
            refused += 1
    assert refused > 20


def test_the_command_evaluates_and_training_goes_on(
    recordings: Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported(tmp_path / "net.nir", recordings, channels=(4, 6))
    words = "nmnist-trt --num-steps 4 --epochs 1 --data.train-size 40"
    out = tmp_path / "mine.yaml"
    refused = {
        "--model.tau": ["--model.tau", "3", "--out", str(out)],
        "give a file's name in a folder": ["--out", str(tmp_path / "no" / "mine.yaml")],
    }
    for told, more in refused.items():
        with pytest.raises(SystemExit):
            main(["import", str(tmp_path / "net.nir"), *words.split(), *more])
        assert told in capsys.readouterr().err
    assert main(["import", str(tmp_path / "net.nir"), *words.split(), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "one timestep is 0.001 s" in said
    assert "test accuracy" in said
    config = read_config(out)
    assert config.model.own == {"file": str((tmp_path / "net.nir").resolve()), "dt": DT}
    run = tmp_path / "run"
    assert main(["train", str(out), "--out", str(run)]) == 0
    assert main(["evaluate", str(run)]) == 0
    assert main(["export", str(run), "--format", "nir"]) == 0
    tuned = FromNIR(run / "model.nir").eval()
    before = FromNIR(tmp_path / "net.nir").eval()
    assert spikes_of(tuned, recordings)[0].shape == (4, 100, 10)
    assert not torch.equal(spikes_of(tuned, recordings)[0], spikes_of(before, recordings)[0])
