"""A model card beside the weights: README.md as model hubs read it, with the run's facts.

Its head is YAML, with the keys of Hugging Face's model cards; under it is Markdown. Names of
classes, folders and data sets come from outside and are escaped in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import yaml

from tempreg.cautions import CHOSEN_ON_TEST
from tempreg.files import write_text
from tempreg.report.table import Table
from tempreg.report.text_tables import markdown, markdown_text

_MOST_CLASSES = 20
_REPEATS = "config.yaml has the others, and repeats the run."
_USE = "## Use\n"
_PUBLISHED = """
In a copy of this folder (`huggingface_hub.snapshot_download` makes one of a repository), with
tempreg installed:

```python
import tempreg

network = tempreg.load(".")  # in eval mode, on the CPU
logits = network(frames)  # frames [T, B, C, H, W], or images [B, C, H, W] -> [T, B, classes]
```

The class is the largest mean of the logits over the timesteps. Of a file of yours, read and scaled
as those of the training were: `tempreg predict . FILE`.
"""


@final
@dataclass(frozen=True)
class CardFacts:
    """What a card tells of a run.

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


def published_card(text: str) -> str:
    """A run's card for a folder of its network alone: how that is used, in place of the run's use.

    What the head says, its licence too, and whatever was written before "Use" stays.
    """
    before, _, use = text.partition(f"\n{_USE}")
    flagged = "--trust-code" in use
    said = _PUBLISHED
    if flagged:
        said = said.replace('load(".")', 'load(".", trust_code=True)')
        said = said.replace("predict . FILE", "predict . FILE --trust-code")
        named = next((line for line in use.split("\n") if line.startswith("It needs code")), "")
        said = f"\n{named}\n{said}"
    return f"{before.replace(_REPEATS, 'config.json has the others.')}\n{_USE}{said}"


def _head(facts: CardFacts) -> dict[str, Any]:
    name = _score(facts)
    steps = facts.summary[f"{name}_per_step"]
    task = {"type": "image-classification", "name": "Classification"}
    if name == "r2":
        task = {"type": "other", "name": "Regression"}
    mark = ", of an epoch chosen on the test set" if facts.summary.get("chosen_on_test") else ""
    metrics = [
        {"type": name, "name": f"Test {_SCORES[name]} after timestep {t}{mark}", "value": value}
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
        "metrics": [name],
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
    network, dataset, objective = map(
        markdown_text, (facts.network, facts.dataset, facts.objective)
    )
    named = [f"“{name}”" if "," in name else name for name in facts.classes[:_MOST_CLASSES]]
    classes = ", ".join(map(markdown_text, named))
    more = len(facts.classes) - _MOST_CLASSES
    does = "tells {} classes apart" if _score(facts) == "accuracy" else "estimates {} numbers"
    return f"""# {network} on {dataset}, trained with {objective}

A spiking neural network of {facts.parameters:,} parameters that runs for
{len(facts.summary[f"{_score(facts)}_per_step"])} timesteps
and {does.format(len(facts.classes))}: {classes}{f" and {more} more" if more > 0 else ""}.

{_results(facts)}
{_training(facts)}
{_use(facts)}"""


def _results(facts: CardFacts) -> str:
    summary = facts.summary
    name = _score(facts)
    of = "sum of the logits" if name == "accuracy" else "mean of the outputs"
    said = _SCORES[name][:1].upper() + _SCORES[name][1:]
    accuracy = Table(
        f"{said} on the test split, of the {of} up to each timestep",
        ["Timesteps used", f"Test {_SCORES[name]}"],
        [[str(t), _value(name, v)] for t, v in enumerate(summary[f"{name}_per_step"], 1)],
        frozenset({0, 1}),
    )
    return f"""## Results

{markdown(accuracy)}
{_choice(facts)}
The weights are those of epoch {summary["kept_epoch"]} of {summary["epochs"]}.
This is one run with one seed: it doesn't say what another seed would give.
"""


def _training(facts: CardFacts) -> str:
    settings = Table(
        "The settings that matter most, and all that differ from the defaults",
        ["Setting", "Value"],
        [[name, _shown(value)] for name, value in facts.settings.items()],
    )
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    return f"""## Training

Data: {markdown_text(facts.dataset)} (licence: {markdown_text(facts.licence)}).
Which licence these weights may have is for whoever trained them to say; the head of this file says
"unknown" until then.

{markdown(settings)}
{_REPEATS} Computed with {markdown_text(versions)}.
"""


def _use(facts: CardFacts) -> str:
    files = facts.kind is not None
    given, made = ("labels", "logits") if _score(facts) == "accuracy" else ("numbers", "outputs")
    code = [name for name in (facts.network, facts.objective, facts.dataset) if ":" in name]
    flag, trust = (" --trust-code", ", trust_code=True") if code else ("", "")
    said = (
        "It needs code that this folder names and doesn't hold: "
        f"{markdown_text(', '.join(code))}. Run it if you know it.\n\n"
        if code
        else ""
    )
    return f"""{_USE}
{said}In a copy of this folder, on its data{" and on a file of yours" if files else ""}:

    tempreg evaluate .{flag}
{f"    tempreg predict . FILE{flag}" if files else ""}

or in Python:

```python
from pathlib import Path

import torch

from tempreg.runs import load_run

config, data, network, objective = load_run(Path("."){trust})
frames, {given} = data.test.batch(torch.arange(4))
{made} = network(frames)  # [timesteps, 4, {len(facts.classes)}]
```
"""


def _choice(facts: CardFacts) -> str:
    """What the accuracies are worth."""
    told = [
        f"**{markdown_text(c[:1].upper() + c[1:])}.**\n" for c in facts.summary.get("cautions", ())
    ]
    return "".join(told) + _chosen(facts)


def _chosen(facts: CardFacts) -> str:
    """What the weights were chosen by."""
    summary, name = facts.summary, _score(facts)
    trained = f"Training {_SCORES[name]} {_value(name, summary[f'train_{name}'])}"
    items = f"The test split has {facts.samples:,} items"
    if summary.get("chosen_on_test"):
        return (
            f"**{CHOSEN_ON_TEST}**\n{items}. After the last epoch, which nothing was chosen by, "
            f"the test accuracy is {summary['test_accuracy_at_last_epoch']:.2%}.\n{trained}; no "
            "validation data was held out."
        )
    if summary[f"val_{name}"] is None:
        return f"{items}; nothing was chosen by it.\n{trained}; no validation data was held out."
    validation = f"validation {_value(name, summary[f'val_{name}'])}"
    return f"{items}; nothing was chosen by it.\n{trained}, {validation}."


_SCORES = {"accuracy": "accuracy", "r2": "R²"}
"""What a card says how good a network is by: of classes, and of numbers."""


def _score(facts: CardFacts) -> str:
    return "accuracy" if "accuracy_per_step" in facts.summary else "r2"


def _value(name: str, value: float) -> str:
    return f"{value:.2%}" if name == "accuracy" else f"{value:.4f}"


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)
