"""Readers of settings, and of what runs and studies wrote."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tempreg.config import config_to_dict, read_config
from tempreg.config.presets import nmnist_trt
from tempreg.runs import evaluate_run
from tempreg.runs.calibrate import calibration_of, curve_of
from tempreg.runs.page import write_run_report
from tempreg.runs.predict import stored_network
from tempreg.study.page.report import write_study_report
from tempreg.study.plan.arms import Arm
from tempreg.study.plan.plan import make_plan, read_plan
from tempreg.study.results import load_study
from tempreg.training.run_directory import RunDirectory
from tests.fuzz.targets.base import OLD_RUN, Target, made_by
from tests.study_folder import make_study

CALIBRATED = {
    "score": "confidence", "risk": 0.1, "delta": 0.1, "threshold": 0.8, "temperatures": [1.5, 1.2],
    "least_probability": [0.01, 0.02], "samples": 40, "lost": 0.05, "mean_steps": 1.25,
    "split": "validation",
    "curve": {"timesteps": [1.0, 1.5], "accuracy": [0.5, 0.75], "chosen": [1.25, 0.625]},
}  # fmt: skip


def texts() -> list[Target]:
    """See this module."""

    def run(folder: Path) -> None:
        shutil.copytree(OLD_RUN, folder, dirs_exist_ok=True)
        settings = (folder / "run" / "config.yaml").read_text()
        settings = settings.replace("path: own.npz", f"path: {OLD_RUN}/own.npz")
        (folder / "run" / "config.yaml").write_text(settings)
        analysis = folder / "run" / "analysis"
        analysis.mkdir(exist_ok=True)
        values = {"quantity": "made", "version": 1, "arrays": {"a": {"axes": ["t"], "unit": "1"}},
                  "a": [1.0, 2.0, 3.0], "n": 3, "settings": {"chunk": 1}}  # fmt: skip
        (analysis / "made.json").write_text(json.dumps(values))

    def study(folder: Path) -> None:
        make_study(folder, replicates=3)

    def of_run(name: str, read: Callable[[Path], object]) -> Target:
        file = f"run/{name}"
        return Target(f"{name} of a run", file, lambda: made_by(run, file), read, run)

    def of_study(name: str) -> Target:
        return Target(
            f"{name} of a study", name, lambda: made_by(study, name), write_study_report, study
        )

    def measured(name: str) -> Target:
        file = f"runs/0/000/analysis/{name}"

        def alone(folder: Path) -> None:
            """The other analyses would be drawn with each input."""
            study(folder)
            for other in (folder / file).parent.iterdir():
                if other.name != name:
                    other.unlink()

        return Target(
            f"analysis/{name}", file, lambda: made_by(alone, file),
            lambda folder: write_run_report(folder / "runs/0/000"), alone,
        )  # fmt: skip

    def chosen(folder: Path) -> None:
        study(folder)
        (folder / "chosen.json").write_text(json.dumps({"trt": {"objective.lam": 0.01}}))

    def hub(folder: Path) -> None:
        """A folder to publish."""
        (folder / "hub").mkdir()
        shutil.copy(OLD_RUN / "run" / "model.safetensors", folder / "hub")
        settings = config_to_dict(read_config(OLD_RUN / "run" / "config.yaml"))
        data = json.loads((OLD_RUN / "run" / "data.json").read_text())
        stored = {"library_name": "tempreg", "settings": settings, "data": data}
        (folder / "hub" / "config.json").write_text(json.dumps(stored))

    return [
        Target("config.json to publish", "hub/config.json",
               lambda: made_by(hub, "hub/config.json"),
               lambda folder: stored_network(folder / "hub"), hub),
        Target("calibration.json", "calibration.json", lambda: [json.dumps(CALIBRATED).encode()],
               lambda folder: (calibration_of(folder), curve_of(folder))),
        Target("settings .yaml", "a.yaml", lambda: [(OLD_RUN / "run/config.yaml").read_bytes()],
               lambda folder: read_config(folder / "a.yaml")),
        of_run("config.yaml", lambda folder: evaluate_run(folder / "run")),
        of_run("data.json", lambda folder: stored_network(folder / "run")),
        of_run("metrics.jsonl", lambda folder: RunDirectory(folder / "run").read_metrics()),
        of_run("environment.json", lambda folder: write_run_report(folder / "run")),
        of_run("summary.json", lambda folder: write_run_report(folder / "run")),
        of_run("analysis/made.json", lambda folder: write_run_report(folder / "run")),
        Target("study.yaml, to go on", "study.yaml", _plan, read_plan),
        measured("fisher.json"),
        measured("gradients.json"),
        measured("fisher_over_training.jsonl"),
        Target("chosen.json of a study", "chosen.json", lambda: made_by(chosen, "chosen.json"),
               load_study, chosen),
        *(of_study(name) for name in ("study.yaml", "results.csv", "costs.csv",
                                      "runs/0/000/test_items.npz")),
    ]  # fmt: skip


def _plan() -> list[bytes]:
    arm = Arm("rate", {"objective.name": "rate"})
    plan = make_plan("nmnist-trt", nmnist_trt(), [arm], 2, trials=0, analyses=(), samples=4)
    return [plan.text().encode()]
