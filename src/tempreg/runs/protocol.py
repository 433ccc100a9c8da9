"""How a run came by its numbers: what its test was read for, and whether its parts share items."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch

from tempreg.audit.check import Check, fine
from tempreg.config import RunConfig
from tempreg.data import DataSet
from tempreg.data.base import SPLITS, Split
from tempreg.options.own import is_own
from tempreg.training.run_directory import RunDirectory

_AT_ONCE = 64


def protocol(path: Path, config: RunConfig, data: DataSet) -> dict[str, Check]:
    """run-test, run-choice, run-splits, run-sessions and run-normalisation of a run.

    Every item of every part is read once, to compare what it holds.
    """
    checks: dict[str, Callable[[], Check]] = {
        "run-test": lambda: _test(path, config),
        "run-choice": lambda: _choice(config, data),
        "run-splits": lambda: _splits(data),
        "run-sessions": lambda: _sessions(data),
        "run-normalisation": lambda: _normalisation(config),
    }
    return {name: check() for name, check in checks.items()}


def _test(path: Path, config: RunConfig) -> Check:
    read = [m for m in RunDirectory(path).read_metrics() if m.get("split") == "test"]
    if config.keep == "best-on-test":
        return Check(
            False,
            None,
            float(len(read) + 1),
            f"the test part was read {len(read) + 1} times, and decided which epoch was kept: hold "
            "validation data out (data.validation) and keep best or last",
        )
    if read:
        return fine(
            "the test part decided nothing",
            f"it was read after {len(read)} epochs as well as at the end (test_every)",
        )
    return fine("the test part was read once, at the end")


def _choice(config: RunConfig, data: DataSet) -> Check:
    if config.keep == "best-on-test":
        return Check(False, None, 1.0, "the kept epoch is the one that was best on the test part")
    if config.keep == "best":
        count = len(data.validation)
        return fine(f"the kept epoch was best on {count} validation items, which are no others'")
    return fine("the last epoch was kept: nothing was chosen")


def _digests(split: Split) -> list[bytes]:
    found = []
    for indices in torch.arange(len(split)).split(_AT_ONCE):
        x = split.inputs(indices)
        items = x.unbind(1 if x.ndim % 2 else 0)
        found += [
            hashlib.blake2b(item.contiguous().numpy().tobytes(), digest_size=16).digest()
            for item in items
        ]
    return found


def _splits(data: DataSet) -> Check:
    parts = {name: _digests(data.split(name)) for name in SPLITS}
    shared = {
        (a, b): sum(digest in set(parts[a]) for digest in parts[b])
        for a, b in (("train", "test"), ("validation", "test"), ("train", "validation"))
    }
    counts = ", ".join(f"{name} {len(digests)}" for name, digests in parts.items())
    wrong = {pair: n for pair, n in shared.items() if n}
    if not wrong:
        return fine(f"no item is in two parts, by what it holds ({counts})")
    told = "; ".join(f"{n} of {b} are in {a}, too" for (a, b), n in wrong.items())
    return Check(
        False,
        None,
        max(n / len(parts[b]) for (_, b), n in wrong.items()),
        f"parts share items that hold the same: {told}. Results on these show memory: take the "
        "copies out",
    )


def _sessions(data: DataSet) -> Check:
    if data.sessions is None:
        return fine("the data says nothing of sessions: each item is taken to be on its own")
    sizes = [len(data.split(name)) for name in SPLITS]
    if sum(sizes) != len(data.sessions):
        return fine("the parts are a sample of those whose sessions are known: not compared")
    parts = [set(part.tolist()) for part in data.sessions.split(sizes)]
    wrong = {
        (SPLITS[a], SPLITS[b]): len(parts[a] & parts[b])
        for a, b in ((0, 2), (1, 2), (0, 1))
        if parts[a] & parts[b]
    }
    if not wrong:
        return fine(f"no session is in two parts ({', '.join(str(len(p)) for p in parts)})")
    told = "; ".join(f"{n} in {a} and {b}" for (a, b), n in wrong.items())
    return Check(
        False,
        None,
        float(max(wrong.values())),
        f"sessions are in two parts: {told}. What was recorded in one go is alike: divide by "
        "session (data.sessions)",
    )


def _normalisation(config: RunConfig) -> Check:
    if is_own(config.data.name):
        return fine("the data is your own code's, which may normalise by anything: not known")
    way = config.data.normalise
    if way == "none":
        return fine("inputs are scaled by constants alone")
    return fine(f"each recording is scaled by its own {way}: nothing is taken from other items")
