"""What walks with a network of one's own share: a kill between epochs, a study in this process."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from tempreg.study import process
from tests.cli.following import Here


class Killed(BaseException):
    """What stands for a kill between two epochs."""


def killed_after_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    def observer(*_: object) -> object:
        def observe(epoch: int, network: object) -> None:
            if epoch == 2:
                raise Killed

        return observe

    monkeypatch.setattr("tempreg.runs.fit.observer_for", observer)


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of a study's runs, for processes of their own take seconds to start."""
    here = SimpleNamespace(Popen=Here, DEVNULL=subprocess.DEVNULL)
    monkeypatch.setattr(process, "subprocess", here)
