"""The lines of docs/tools.md that log a run's metrics with MLflow, read back."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from tempreg.training.run_directory import RunDirectory

PAGE = Path(__file__).parents[2] / "docs" / "tools.md"
WANTED = {
    ("train/loss", 1): 2.0,
    ("train/accuracy_per_step/1", 1): 0.25,
    ("train/accuracy_per_step/2", 1): 0.5,
    ("validation/loss", 1): 2.5,
    ("train/loss", 2): 1.5,
}
Logged = dict[tuple[str, int], float]


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The block of the page, in a folder with the run that it names."""
    monkeypatch.chdir(tmp_path)
    run = RunDirectory(Path("runs/board"))
    run.path.mkdir(parents=True)
    run.append_metrics(epoch=1, split="train", loss=2.0, accuracy_per_step=[0.25, 0.5])
    run.append_metrics(epoch=1, split="validation", loss=2.5)
    run.append_metrics(epoch=2, split="train", loss=1.5)
    fence = r"```python[^\n]*\n(import json\n.*?mlflow.*?)```"
    (block,) = re.findall(fence, PAGE.read_text(), re.DOTALL)
    return str(block)


def test_what_is_logged_is_what_metrics_say(lines: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in that has MLflow's calls, for the package isn't among those of the tests."""
    logged: Logged = {}
    stores: list[str] = []
    runs: list[str] = []

    @contextmanager
    def start_run(*, run_name: str) -> Iterator[None]:
        runs.append(run_name)
        yield
        runs.append("ended")

    def log_metrics(metrics: dict[str, float], step: int) -> None:
        assert runs == ["board"]
        logged.update({(name, step): value for name, value in metrics.items()})

    stand_in = ModuleType("mlflow")
    vars(stand_in).update(
        set_tracking_uri=stores.append, start_run=start_run, log_metrics=log_metrics
    )
    monkeypatch.setitem(sys.modules, "mlflow", stand_in)
    exec(compile(lines, str(PAGE), "exec"), {})  # noqa: S102 - our own documents
    assert logged == WANTED
    assert (stores, runs) == (["sqlite:///mlflow.db"], ["board", "ended"])


@pytest.mark.filterwarnings("default")  # what MLflow's own packages warn of is theirs
def test_mlflow_reads_it_back(lines: str, tmp_path: Path) -> None:
    why = "MLflow is nothing that tempreg needs: pip install mlflow-skinny sqlalchemy alembic"
    mlflow = pytest.importorskip("mlflow", reason=why)
    pytest.importorskip("alembic", reason=why)
    exec(compile(lines, str(PAGE), "exec"), {})  # noqa: S102 - our own documents
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs(["0"])
    assert run.info.run_name == "board"
    found: Logged = {
        (name, point.step): point.value
        for name in run.data.metrics
        for point in client.get_metric_history(run.info.run_id, name)
    }
    assert found == WANTED
