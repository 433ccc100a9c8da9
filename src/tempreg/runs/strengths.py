"""Which settings make a loss or the weights large: what is named where they overflow."""

from __future__ import annotations

from tempreg.config import RunConfig
from tempreg.options import parse_objective


def penalties_in(config: RunConfig) -> tuple[str, ...]:
    """The settings that say how strong the objective's penalty of the weights is."""
    reads = parse_objective(config.objective.name).reads
    return tuple(f"objective.{name}" for name in ("lam", "l2") if name in reads)


def strengths_in(config: RunConfig) -> tuple[str, ...]:
    """The settings that make other terms, or what is taken from the weights, as large as it is."""
    objective, reads = config.objective, parse_objective(config.objective.name).reads
    terms = [f"objective.{n}" for n in ("logit_lam", "s2w_lam", "twsd_beta") if n in reads]
    classes = ["objective.class_weights"] if objective.class_weights is not None else []
    decay = ["optimizer.weight_decay"] if config.optimizer.weight_decay > 1 else []
    return (*terms, *classes, *decay)
