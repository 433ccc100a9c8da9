"""Signals and errors that end a command: what is said, and with which exit code."""

from __future__ import annotations

import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tempreg.cli.main import COMMANDS, main
from tempreg.training.checkpoint import Position, load_checkpoint, restore_weights, save_checkpoint


def command(monkeypatch: pytest.MonkeyPatch, does: Callable[[], object]) -> None:
    """`tempreg odd` does it."""
    module = types.ModuleType("tempreg.cli.odd")
    module.run = lambda words: does() and 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tempreg.cli.odd", module)
    monkeypatch.setitem(COMMANDS, "odd", "nothing")


def in_convolution() -> None:
    raise RuntimeError("could not create a primitive")


@pytest.mark.parametrize(
    "takes",
    [lambda: torch.empty(2**55), lambda: np.empty(2**55), lambda: bytes(2**60), in_convolution],
)
def test_memory_that_ran_out_is_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    takes: Callable[[], object],
) -> None:
    command(monkeypatch, takes)
    assert main(["odd"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tempreg: there is not enough memory")


@pytest.mark.parametrize("error", [RuntimeError("odd"), ValueError("odd"), ImportError("odd")])
def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail() -> None:
        raise error

    command(monkeypatch, fail)
    with pytest.raises(type(error), match="odd"):
        main(["odd"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_interrupts_and_is_given_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    command(monkeypatch, lambda: signal.raise_signal(number))
    assert main(["odd"]) == 130
    assert capsys.readouterr().err == "tempreg: interrupted\n"
    assert signal.getsignal(number) == before


def test_who_handles_sigterm_goes_on_doing_so(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        command(monkeypatch, lambda: signal.raise_signal(signal.SIGTERM) or True)
        assert main(["odd"]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_without_memory_a_checkpoint_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    save_checkpoint(tmp_path / "last.pt", net, optimizer, Position(), {}, "")

    def exhausted(*_: object, **__: object) -> None:
        torch.empty(2**55)

    monkeypatch.setattr(torch, "load", exhausted)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        load_checkpoint(tmp_path / "last.pt", net, optimizer, "")

    def mapped(path: Path) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("tempreg.training.checkpoint.load_file", mapped)
    with pytest.raises(OSError, match="Cannot allocate memory"):
        restore_weights(net, tmp_path / "w.safetensors")
