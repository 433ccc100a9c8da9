"""What the benchmarks of exported C compute, and that the page has their numbers."""

from __future__ import annotations

import csv
import ctypes
import os
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import c_density
from benchmarks.c_spikes import Differences, Reader, count, potentials, with_spikes_copied

from tempreg.export.c.files import write
from tempreg.export.request import Request
from tests.conftest import needs_compiler
from tests.unit.export.test_export_c import frames, residual

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "benchmarks" / "results"


@needs_compiler
def test_spikes_of_the_c_are_counted(tmp_path: Path) -> None:
    """Each layer's, as the network has them; and one that is moved is found, with its distance."""
    model, x = residual(), frames(residual(), samples=1)[0]
    write(Request(model, tmp_path / "model.c", (9, 13), True, tuple("abcde")))
    source = with_spikes_copied((tmp_path / "model.c").read_text())
    (tmp_path / "spied.c").write_text(source)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    words = [*compiler, "-O1", "-fPIC", "-shared", "spied.c", "-o", "spied.so", "-lm"]
    subprocess.run(words, cwd=tmp_path, check=True)
    functions = ctypes.CDLL(str(tmp_path / "spied.so"))
    functions.net_state_size.restype = ctypes.c_size_t
    state = (ctypes.c_double * (functions.net_state_size() // 8 + 1))()
    reader = Reader(functions, state, model, (9, 13))
    functions.net_reset(state)
    stepped, logits = [], np.empty(5, np.float32)
    floats = ctypes.POINTER(ctypes.c_float)
    for frame in x:
        pointers = [a.ctypes.data_as(floats) for a in (frame, logits)]
        assert functions.net_step(state, *pointers) == 0
        stepped.append(reader.layers())
    neurons = [place[0] for place in reader.places]
    batch = torch.from_numpy(x).double()[:, None]
    _, margins = potentials(model.double(), neurons, batch)
    mine = [m[:, 0].numpy() for m in margins]
    found = Differences()
    count(found, stepped, mine)
    assert found == Differences(spikes=sum(m.size for m in mine))
    assert all(0.01 < np.mean([step[i] for step in stepped]) < 0.99 for i in range(2))
    moved = mine[1].copy()
    moved.flat[3] = -1e-3 if moved.flat[3] > 0 else 1e-3
    count(found, stepped, [mine[0], moved, *mine[2:]])
    assert (found.differ, found.recordings, found.first) == (1, 1, 1)
    assert found.furthest == pytest.approx(1e-3)


def test_the_exponent_and_the_break_even() -> None:
    densities = np.geomspace(0.005, 1.0, 9).tolist()
    seconds = [0.3 + 2.0 * d**0.8 for d in densities]
    exponent, error = c_density.fitted(densities, seconds)
    assert exponent == pytest.approx(0.8, abs=1e-3)
    assert error < 1e-2
    even = c_density.break_even(densities, seconds, seconds[4])
    assert even == pytest.approx(densities[4])
    assert c_density.break_even(densities, seconds, 3.0) == float("inf")


def test_densities_are_what_is_asked_for() -> None:
    model, x, density = c_density.with_density(0.2)
    assert x.mean() == pytest.approx(0.2, abs=0.02)
    assert 0.2 < density < 0.6  # pooling brings spikes of four neurons together
    assert c_density.with_density(0.02)[2] < density
    assert model(x).shape == (4, 1, 10)


def test_the_page_has_the_curve() -> None:
    with (RESULTS / "c_density.csv").open(newline="") as file:
        rows = {row["what"]: row for row in csv.DictReader(file)}
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    for name, row in rows.items():
        if name.startswith("C "):
            cells = [f"{float(row['density']):.1%}", f"{float(row['median_ms']):.2f} ms"]
            assert f"| {' | '.join([*cells, row['of_onnxruntime'][:4]])} |" in page
    exponent = rows["exponent"]
    assert f"{float(exponent['median_ms']):.2f} ± {float(exponent['least_ms']):.2f}" in page
    assert f"{float(rows['break-even with onnxruntime']['density']):.0%}" in page
