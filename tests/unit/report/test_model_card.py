"""The card beside the weights: its facts are the run's, and no name can break it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tempreg.config import RunConfig
from tempreg.report.model_card import CardFacts, write_model_card
from tempreg.runs import load_run, train
from tempreg.training.run_directory import RunDirectory

FACTS = CardFacts(
    name="run",
    network="csnn",
    objective="trt",
    dataset="nmnist",
    kind="events",
    licence="CC BY-SA 4.0",
    classes=["a", "b"],
    parameters=1234,
    samples=300,
    settings={"epochs": 2, "model.v_reset": None},
    summary={
        "accuracy_per_step": [0.5, 0.75],
        "train_accuracy": 0.9,
        "val_accuracy": 0.8,
        "kept_epoch": 2,
        "epochs": 2,
    },
    versions={"tempreg": "0.1", "torch": "2.13"},
)


def parts(card: Path) -> tuple[dict[str, Any], str]:
    """The head, read as YAML, and the body."""
    _, head, body = card.read_text().split("---\n", 2)
    return yaml.safe_load(head), body


def test_the_card_of_a_run(tiny: RunConfig, tmp_path: Path) -> None:
    run = tmp_path / "first <run>"
    summary = train(replace(tiny, epochs=1), run)
    head, body = parts(run / "README.md")
    (model,) = head["model-index"]
    (result,) = model["results"]
    assert model["name"] == "first <run>"
    assert result["dataset"] == {"type": "nmnist", "name": "nmnist", "split": "test"}
    assert [m["value"] for m in result["metrics"]] == summary["accuracy_per_step"]
    assert {m["type"] for m in result["metrics"]} == {"accuracy"}
    assert {"spiking-neural-network", "csnn", "trt", "event-camera"} <= set(head["tags"])
    assert head["library_name"] == "tempreg"
    assert head["license"] == "unknown"
    assert f"| {tiny.num_steps} | {summary['test_accuracy']:.2%} |" in body
    assert "CC BY-SA 4.0" in body
    assert "| epochs | 1 |" in body
    assert "| objective.lam | 1e-05 |" in body
    network = load_run(run)[2]
    assert f"{sum(p.numel() for p in network.parameters()):,} parameters" in body


def test_its_code_loads_the_network(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(replace(tiny, epochs=1), tmp_path / "run")
    (block,) = re.findall(r"```python\n(.*?)```", (tmp_path / "run/README.md").read_text(), re.S)
    monkeypatch.chdir(tmp_path / "run")
    names: dict[str, Any] = {}
    exec(compile(block, "card", "exec"), names)  # noqa: S102 - our own text
    assert names["logits"].shape == (tiny.num_steps, 4, 10)
    items = names["data"].test
    right = names["network"](items.batch(torch.arange(len(items)))[0]).sum(0).argmax(-1)
    accuracy = float((right == items.targets).double().mean())
    assert accuracy == json.loads(Path("summary.json").read_text())["test_accuracy"]


def test_it_is_there_before_the_run_counts_as_finished(
    tiny: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(self: RunDirectory, summary: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RunDirectory, "write_summary", dies)
    with pytest.raises(KeyboardInterrupt):
        train(replace(tiny, epochs=1), tmp_path / "run")
    assert (tmp_path / "run" / "README.md").exists()
    monkeypatch.undo()
    train(replace(tiny, epochs=1), tmp_path / "run", resume=True)
    parts(tmp_path / "run" / "README.md")


def test_the_path_of_the_data_is_not_told(tmp_path: Path, tiny: RunConfig) -> None:
    rng = np.random.default_rng(0)
    secret = tmp_path / "secret-place.npz"
    np.savez(secret, x=rng.integers(0, 255, (60, 12, 12), dtype=np.uint8), y=np.arange(60) % 3)
    data = replace(tiny.data, name="npz", path=str(secret))
    train(replace(tiny, epochs=1, batch_size=16, data=data), tmp_path / "run")
    card = (tmp_path / "run" / "README.md").read_text()
    assert "secret-place" in (tmp_path / "run" / "config.yaml").read_text()
    assert "secret-place" not in card
    assert "tells 3 classes apart: 0, 1, 2." in card


@given(name=st.text(min_size=1), classes=st.lists(st.text(), min_size=1, max_size=30))
def test_no_name_breaks_it(
    tmp_path_factory: pytest.TempPathFactory, name: str, classes: list[str]
) -> None:
    card = tmp_path_factory.getbasetemp() / "card.md"
    facts = replace(FACTS, name=name, dataset=name, objective=name, classes=classes)
    try:
        name.encode()
        "".join(classes).encode()
    except UnicodeEncodeError:
        return  # surrogates alone: no folder's name on disk reads back as that in UTF-8
    write_model_card(card, facts)
    with card.open(newline="") as file:
        text = file.read()
    assert text.startswith("---\n")
    head = yaml.safe_load(text[4 : text.index("\n---\n", 4) + 1])
    assert head["model-index"][0]["name"] == name
    assert head["datasets"] == [name]
    body = text[text.index("\n---\n", 4) + 5 :]
    assert "<" not in body
    # One title and three headings, and one block of code, whatever the names are.
    assert len(re.findall(r"^#", body, re.MULTILINE)) == 4
    assert len(re.findall(r"^```", body, re.MULTILINE)) == 2


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    write_model_card(tmp_path / "card.md", replace(FACTS, classes=["<b>", "a|b", "[x](y)"] * 10))
    body = parts(tmp_path / "card.md")[1]
    assert r"&lt;b&gt;, a\|b, \[x\](y)" in body
    assert "and 10 more." in body
