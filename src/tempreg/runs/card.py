"""The model card of a run."""

from __future__ import annotations

from typing import Any

from torch import nn

from tempreg.config import RunConfig, config_to_dict
from tempreg.config.dotted import flat
from tempreg.data import SOURCES, DataSet
from tempreg.report.model_card import CardFacts, write_model_card
from tempreg.runs.identity import chosen
from tempreg.runs.places import without_places
from tempreg.training.run_directory import RunDirectory

_ON_CARD = (
    "seed",
    "epochs",
    "batch_size",
    "num_steps",
    "objective.name",
    "objective.lam",
    "objective.decay",
    "objective.eta",
    "model.name",
    "model.tau",
    "optimizer.name",
    "optimizer.lr",
)
"""Settings that a model card shows even where they are the defaults."""


UNKNOWN = "not known"
"""The licence of a data set of the user's own."""


def write_card(
    run: RunDirectory,
    config: RunConfig,
    data: DataSet,
    network: nn.Module,
    summary: dict[str, Any],
) -> None:
    """The model card, without paths on this machine, which are nobody else's business."""
    environment = run.read_json(run.environment)
    settings = chosen(config)
    settings |= {k: v for k, v in flat(config_to_dict(config)).items() if k in _ON_CARD}
    for path in ("data.path", "model.weights"):
        settings.pop(path, None)
    settings = without_places(settings)
    facts = CardFacts(
        name=run.path.resolve().name,
        network=without_places(config.model.name),
        objective=without_places(config.objective.name),
        dataset=without_places(data.name),
        kind=data.reading.kind if data.reading is not None else None,
        licence=SOURCES[config.data.name].licence if config.data.name in SOURCES else UNKNOWN,
        classes=data.classes,
        parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        samples=len(data.test),
        settings=dict(sorted(settings.items())),
        summary=summary,
        versions={
            "tempreg": environment["packages"]["tempreg"],
            "torch": environment["torch"],
        },
    )
    write_model_card(run.card, facts)
