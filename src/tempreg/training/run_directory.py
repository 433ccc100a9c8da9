"""The folder of a run: its names, who may write into it, and how it is read back.

config.yaml        the resolved configuration; feeding it back repeats the run
environment.json   versions, device, backend, threads
data.json          classes and shape of the data, and how one more file is read
metrics.jsonl      one JSON object a line: epoch, split, loss, terms, accuracy, ...
summary.json       the result, written last: its presence says that the run is finished
checkpoints/       last.pt to go on from, best.safetensors by validation, epoch-NNNN.safetensors
                   where asked for
analysis/          results and figures of `tempreg analyze`
model.safetensors  the weights that were kept and tested
README.md          a model card for them
calibration.json   when it may answer early (`tempreg calibrate`)
test_items.npz     correct [T, N]: which test items were right at each step; items [N]: their ids;
                   labels [N]; probabilities [N, C] after the last step
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
from torch import Tensor

from tempreg.errors import RequestError
from tempreg.files import (
    TEMPORARY_SUFFIX,
    Busy,
    exclusive,
    link_out,
    naming,
    replacing,
    write_json,
    write_text,
)

# What a run that was killed before its config.yaml existed may have left behind, but for
# hidden files and an empty folder of checkpoints.
_BEGUN = {"environment.json", "data.json", "metrics.jsonl"}
_IN_PLACE = (".lock", "metrics.jsonl", "checkpoints", "analysis", "tensorboard")
"""What isn't replaced as a whole when it is written to."""


_DECIDES_BITS = {
    "torch_threads": "CPU threads:",
    "processes": "processes:",
    "backend": "the LIF backend",
    "conv": "convolutions",
    "device": "the device",
    "torch": "torch",
    "precision": "precision",
}


@final
class RunDirectoryError(RequestError):
    """A folder that can't be used for this; the message says why."""


@final
class RunDirectory:
    """Paths of a run and the reading and writing of its small files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.environment = path / "environment.json"
        self.data = path / "data.json"
        self.metrics = path / "metrics.jsonl"
        self.summary = path / "summary.json"
        self.weights = path / "model.safetensors"
        self.card = path / "README.md"
        self.calibration = path / "calibration.json"
        self.test_items = path / "test_items.npz"
        self.checkpoint = path / "checkpoints" / "last.pt"
        self.best = path / "checkpoints" / "best.safetensors"

    def snapshot(self, epoch: int) -> Path:
        """The weights after an epoch (from 1), where they were kept."""
        return self.path / "checkpoints" / f"epoch-{epoch:04}.safetensors"

    def check_new(self) -> None:
        """RunDirectoryError unless the folder is absent or empty, and has a name for its files."""
        if (known := str(self.path).encode(errors="replace").decode()) != str(self.path):
            raise RunDirectoryError(
                f"the folder {known} has a name that isn't UTF-8, by which weights can't be read "
                "back: give another --out"
            )
        if self.config.exists():
            raise RunDirectoryError(
                f"{self.path} holds a run already: add --resume to continue it, or give another "
                "--out"
            )
        if self.path.is_dir():
            names = {p.name for p in self.path.iterdir() if not p.name.startswith(".")}
            checkpoints = self.checkpoint.parent
            if checkpoints.is_dir() and not any(checkpoints.iterdir()):
                names.discard(checkpoints.name)
            if names <= _BEGUN:
                return
        elif not self.path.exists():
            return
        raise RunDirectoryError(f"{self.path} is not an empty folder: give another --out")

    def check_run(self, *, finished: bool = False) -> None:
        """RunDirectoryError unless a run was begun here (or finished, where that is asked for)."""
        if not self.config.is_file():
            raise RunDirectoryError(f"{self.path} holds no run: it has no config.yaml")
        if finished and not self.weights.is_file():
            raise RunDirectoryError(
                f"the run in {self.path} is not finished: it has no model.safetensors; continue "
                "it with `tempreg train --resume --out ...`"
            )

    def refuse_links(self) -> None:
        """RunDirectoryError where what is written in its place is a link out of the folder."""
        if told := link_out(self.path, _IN_PLACE):
            raise RunDirectoryError(told)

    def create(self, config: str, environment: dict[str, Any], data: dict[str, Any]) -> None:
        """Begin a run in its folder: what is known beforehand, config.yaml last."""
        write_json(self.environment, environment)
        write_json(self.data, data)
        self.metrics.touch()
        write_text(self.config, config)

    def note_environment(self, now: dict[str, Any], begun: Mapping[str, Any]) -> None:
        """Record that a run goes on here; a warning where that changes its weights.

        `begun` has what earlier versions didn't record.
        """
        before = {"processes": 1, **begun, **self.read_json(self.environment)}
        for key, words in _DECIDES_BITS.items():
            if before.get(key) != now[key]:
                much = "" if key == "precision" else " in the last bits"
                warnings.warn(
                    f"this run was computed with {words} {before.get(key)} and goes on with "
                    f"{now[key]}: its weights will differ{much}",
                    stacklevel=2,
                )
        earlier = before.pop("earlier", [])
        if {**before, "command": None} != {**now, "command": None}:
            earlier = [*earlier, before]
        write_json(self.environment, {**now, "earlier": earlier})

    def append_metrics(self, /, **values: Any) -> None:
        """One line of metrics.jsonl."""
        with naming(self.metrics), self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(values, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read_metrics(self) -> list[dict[str, Any]]:
        """All whole lines of metrics.jsonl; a last one cut short by a kill is left out."""
        if not self.metrics.exists():
            return []
        try:
            text = self.metrics.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]
            lines: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]
            if all(isinstance(line["epoch"], int) for line in lines):
                return lines
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        raise RunDirectoryError(f"{self.metrics} is damaged: restore it, or delete it to go on")

    def drop_metrics_from(self, epoch: int) -> None:
        """Forget the lines of `epoch` (from 1) and later, which will be trained again."""
        lines = [json.dumps(v) + "\n" for v in self.read_metrics() if v["epoch"] < epoch]
        write_text(self.metrics, "".join(lines))

    def write_summary(self, summary: dict[str, Any]) -> None:
        """The result, which marks the run as finished."""
        write_json(self.summary, summary)

    def write_test_items(
        self, correct: Tensor, logits: Tensor, targets: Tensor, ids: Tensor
    ) -> None:
        """Of every test item: bool [T, N], float [N, C], int64 [N], and which it is, int64 [N]."""
        with replacing(self.test_items) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                correct=correct.numpy().astype(np.uint8),
                items=ids.numpy(),
                labels=targets.numpy(),
                probabilities=logits.softmax(dim=1).numpy().astype(np.float16),
            )

    def read_json(self, path: Path) -> dict[str, Any]:
        """A JSON file of this run; RunDirectoryError where it is missing or damaged."""
        try:
            value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunDirectoryError(f"the run in {self.path} has no {path.name}") from None
        except (ValueError, RecursionError) as error:
            raise RunDirectoryError(f"{path} is damaged: {error}") from None
        if not isinstance(value, dict):
            raise RunDirectoryError(f"{path} is damaged: expected an object, got {value!r}")
        return value

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and keep other processes from training in it.

        RunDirectoryError where one already does, or where there can be no folder.
        """
        with ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                self.refuse_links()
                stack.enter_context(exclusive(self.path / ".lock"))
            except Busy:
                raise RunDirectoryError(
                    f"another process is training in {self.path}: wait for it, or give another "
                    "--out"
                ) from None
            except OSError as error:
                raise RunDirectoryError(
                    f"the folder {self.path} can't be written to ({error.strerror}): give another "
                    "--out"
                ) from None
            self.checkpoint.parent.mkdir(exist_ok=True)
            for left in [*self.path.rglob(f".*{TEMPORARY_SUFFIX}")]:  # by a kill while writing
                if left.is_dir():
                    shutil.rmtree(left)
                else:  # of an earlier version
                    left.unlink()
            yield
