"""Runs commands in one process with whatever tempreg Python finds first: for `test_extending`.

Standard input has a JSON list of commands, each a list of words; standard output gets a JSON list
of their exit codes, what they printed, and what they said on standard error.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from types import SimpleNamespace
from typing import Any

import torch

from tempreg.cli.main import main
from tempreg.data.augment import Augmentation
from tempreg.functional import lif
from tempreg.study import process


def said(words: list[str]) -> tuple[int, str, str]:
    """A command's exit code, output and errors."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            code = main(words)
        except SystemExit as end:  # of --help, and of words that can't be
            code = int(end.code or 0)
    return code, out.getvalue(), errors.getvalue()


class Here:
    """A study's processes, in this one, for another one takes seconds to start."""

    def __init__(self, words: list[str], *, stderr: Any, **_: Any) -> None:
        self.code, _, errors = said(words[words.index("tempreg") + 1 :])
        stderr.write(errors)

    def poll(self) -> int:
        return self.code


def values() -> dict[str, float]:
    """By how much what the recipes add differs from what it should be."""
    x = torch.linspace(-2, 3, 60, dtype=torch.float32).reshape(4, 15)
    gradients = {}
    for backend in ("reference", "eager", "wide", "compiled"):
        given = x.clone().requires_grad_()
        spikes = lif(given, tau=2.0, surrogate="fast", surrogate_param=3.0, backend=backend)
        spikes.cos().sum().backward()
        gradients[backend] = given.grad
    u = torch.linspace(-200, 200, 4_000_001, dtype=torch.float64)
    from tempreg.surrogate import DERIVATIVES

    noise = Augmentation(noise=0.5)(torch.zeros(1, 1, 100, 100), torch.Generator().manual_seed(0))
    found = {
        "integral": float(torch.trapezoid(DERIVATIVES["fast"](u, 3.0), u)) - 1,
        "noise": float(noise.std()) - 0.5,
    }
    for backend, gradient in gradients.items():
        found[backend] = float((gradient - gradients["reference"]).abs().max())
    return found


if __name__ == "__main__":
    process.subprocess = SimpleNamespace(Popen=Here, DEVNULL=None)  # type: ignore[attr-defined]
    commands = json.load(sys.stdin)
    answers = [said(words) for words in commands]
    json.dump({"file": main.__code__.co_filename, "said": answers, **values()}, sys.stdout)
