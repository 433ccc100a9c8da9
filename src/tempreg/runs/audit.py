"""The audit of a finished run: its network on its own data, and its protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from tempreg.audit.check import Audit
from tempreg.audit.network import audit
from tempreg.models import SpikingNetwork
from tempreg.runs.own.trust import Trust
from tempreg.runs.protocol import protocol
from tempreg.runs.read import load_run


def audit_run(
    path: Path, *, trust_code: bool | Trust = False, seed: int = 0, compiled: bool = False
) -> Audit:
    """Every check of a run's network, on two items of its training part, and of its protocol.

    Args:
        path: the run's folder.
        trust_code: whether code that its files name may run; see `tempreg.load`.
        seed, compiled: see `tempreg.audit`.

    Raises:
        RequestError: the run, its data or its code can't be had.
    """
    config, data, network, _ = load_run(path, trust_code=trust_code, device="cpu")
    chosen = torch.arange(min(2, len(data.train)))
    x, targets = data.train.batch(chosen)
    if x.ndim == 4 and isinstance(network, SpikingNetwork):
        x = x.expand(config.num_steps, *x.shape)
    parameter = next(network.parameters(), None)
    if parameter is not None:
        x = x.to(parameter.dtype)
    given = None if data.numbers else targets
    found = audit(network, x, targets=given, seed=seed, compiled=compiled)
    checks = found.checks | protocol(path, config, data)
    return replace(found, model=f"{path.resolve().name} ({found.model})", checks=checks)
