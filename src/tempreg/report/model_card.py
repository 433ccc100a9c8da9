"""A model card beside the weights: README.md as model hubs read it, with the run's facts.

Its head is YAML, with the keys of Hugging Face's model cards; under it is Markdown. Names of
classes, folders and data sets come from outside and are escaped in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tempreg.files import write_text
from tempreg.report.table import Table
from tempreg.report.text_tables import markdown, markdown_text

_MOST_CLASSES = 20


@dataclass(frozen=True)
class CardFacts:
    """What a card tells of a run. Final.

    Attributes:
        name: of the run.
        network, objective, dataset: by the names that settings have for them.
        kind: "images", "events", or None where the data can't say.
        licence: of the data, in words.
        classes: by index.
        parameters: how many numbers were trained.
        samples: of the test split.
        settings: to be shown, by dotted name.
        summary: as in summary.json.
        versions: of tempreg and torch, by name.
    """

    name: str
    network: str
    objective: str
    dataset: str
    kind: str | None
    licence: str
    classes: Sequence[str]
    parameters: int
    samples: int
    settings: Mapping[str, Any]
    summary: Mapping[str, Any]
    versions: Mapping[str, str | None]


def write_model_card(path: Path, facts: CardFacts) -> None:
    """Replace the card at `path`."""
    head = yaml.safe_dump(_head(facts), sort_keys=False, allow_unicode=True)
    write_text(path, f"---\n{head}---\n\n{_body(facts)}")


def _head(facts: CardFacts) -> dict[str, Any]:
    steps = facts.summary["accuracy_per_step"]
    task = {"type": "image-classification", "name": "Classification"}
    metrics = [
        {"type": "accuracy", "name": f"Test accuracy after timestep {t}", "value": value}
        for t, value in enumerate(steps, 1)
    ]
    tags = ["spiking-neural-network", "neuromorphic", facts.network, facts.objective]
    if facts.kind == "events":
        tags.append("event-camera")
    return {
        "library_name": "tempreg",
        "license": "unknown",
        "tags": tags,
        "datasets": [facts.dataset],
        "metrics": ["accuracy"],
        "model-index": [
            {
                "name": facts.name,
                "results": [
                    {
                        "task": task,
                        "dataset": {"type": facts.dataset, "name": facts.dataset, "split": "test"},
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }


def _body(facts: CardFacts) -> str:
    summary, text = facts.summary, markdown_text
    steps = summary["accuracy_per_step"]
    accuracy = Table(
        "Accuracy on the test split, of the sum of the logits up to each timestep",
        ["Timesteps used", "Test accuracy"],
        [[str(t), f"{value:.2%}"] for t, value in enumerate(steps, 1)],
        frozenset({0, 1}),
    )
    settings = Table(
        "The settings that matter most, and all that differ from the defaults",
        ["Setting", "Value"],
        [[name, _shown(value)] for name, value in facts.settings.items()],
    )
    classes = ", ".join(map(text, facts.classes[:_MOST_CLASSES]))
    more = len(facts.classes) - _MOST_CLASSES
    files = facts.kind is not None
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    network, dataset, objective = map(text, (facts.network, facts.dataset, facts.objective))
    return f"""# {network} on {dataset}, trained with {objective}

A spiking neural network of {facts.parameters:,} parameters that runs for {len(steps)} timesteps
and tells {len(facts.classes)} classes apart: {classes}{f" and {more} more" if more > 0 else ""}.

## Results

{markdown(accuracy)}
The test split has {facts.samples:,} items; nothing was chosen by it.
Training accuracy {summary["train_accuracy"]:.2%}, validation {summary["val_accuracy"]:.2%}.
The weights are those of epoch {summary["kept_epoch"]} of {summary["epochs"]}.
This is one run with one seed: it doesn't say what another seed would give.

## Training

Data: {dataset} (licence: {text(facts.licence)}). Which licence these weights
may have is for whoever trained them to say; the head of this file says "unknown" until then.

{markdown(settings)}
config.yaml has the others, and repeats the run. Computed with {text(versions)}.

## Use

In a copy of this folder, on its data{" and on a file of yours" if files else ""}:

    tempreg evaluate .
{"    tempreg predict . FILE" if files else ""}

or in Python:

```python
from pathlib import Path

import torch

from tempreg.runs import load_run

config, data, network, objective = load_run(Path("."))
frames, labels = data.test.batch(torch.arange(4))
logits = network(frames)  # [timesteps, 4, {len(facts.classes)}]
```
"""


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)
