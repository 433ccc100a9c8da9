"""The commands that are attacked: what each needs beforehand, and what it must leave behind."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.local_server import CONTENT, serving, wanted
from tests.unit.data.formats.recordings.layouts import write_recordings

TINY = ("--num-steps", "2", "--model.channels", "[4, 8]")
TRAIN = (
    "train", "nmnist-trt", *TINY, "--epochs", "3", "--snapshot-every", "1", "--fisher-every", "1",
    "--out", "run",
)  # fmt: skip
RECOMPUTE, BF16 = ("--recompute", "layers"), ("--precision", "bf16-mixed")
OWN = (
    "train", "nmnist-trt", *TINY, "--epochs", "2", "--data.name=event-folder", "--data.path=own",
    "--data.size=16", "--out", "run",
)  # fmt: skip
COMPARE = (
    "compare", "nmnist-trt", *TINY, "--epochs", "2", "--objectives", "rate,trt", "--seeds", "1",
    "--jobs", "2", "--analyses", "spikes", "--samples", "8", "--out", "study",
)  # fmt: skip
GROW = (
    "compare", "--out", "study", "--seeds", "2", "--add", "step", "--jobs", "2",
)  # fmt: skip
MINE = ("train", "mine.yaml", "--epochs", "3", "--snapshot-every", "1", "--out", "run")
FILES = {
    "my_net.py": """
import torch
from torch import nn

import tempreg


class Net(nn.Module):
    def __init__(self, num_classes, in_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4, 5, stride=4)
        self.lif = tempreg.LIF()
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(4, num_classes)

    def forward(self, x):
        steps, batch = x.shape[:2]
        spikes = self.lif(self.conv(x.flatten(0, 1)).unflatten(0, (steps, batch)))
        return self.head(self.drop(spikes.mean(dim=(3, 4))))
""",
    "mine.yaml": """
num_steps: 2
data: {name: nmnist}
model: {name: "my_net:Net"}
objective: {name: trt}
""",
}
"""A network of one's own, and the settings that name it."""
FETCHING = """
import sys
from tests.unit.data.fetch.test_fetch import DOWNLOADS, SOURCES, Download, Small, main
SOURCES['small'] = Small()
DOWNLOADS['small'] = (Download(*sys.argv[1:4], int(sys.argv[4])),)
del sys.argv[1:5]
sys.exit(main())
"""
"""`tempreg data fetch` of a data set that stands on a server of this machine."""


@dataclass(frozen=True)
class Command:
    """A command line, and the folders in its box that it starts with. Final.

    Attributes:
        name: in the table.
        words: after `tempreg`.
        resume: what is added when it is run again.
        needs: folders that are copied into the box: results of other commands, by their names.
        keeps: whether compiled kernels are in the cache beforehand.
        dropped: files of `needs` that the command makes.
        study: whether its result is a study's folder, whose page shows times.
        writes: whether it writes anything; else what it prints is its result.
        once: whether it refuses to be run again where it was done.
    """

    name: str
    words: tuple[str, ...]
    resume: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    keeps: bool = True
    dropped: tuple[str, ...] = ()
    study: bool = False
    writes: bool = True
    once: bool = False


COMMANDS = {
    command.name: command
    for command in (
        Command("train", TRAIN, ("--resume",)),
        Command("train recompute", (*TRAIN, *RECOMPUTE), ("--resume",)),
        Command("train bf16", (*TRAIN, *BF16), ("--resume",)),
        Command("train, empty cache", OWN, ("--resume",), keeps=False),
        Command("train own network", MINE, ("--resume",)),
        Command("compare", COMPARE, study=True),
        Command("compare grows", GROW, needs=("compare",), study=True),
        Command(
            "analyze",
            ("analyze", "run", "gradients", "fisher", "spikes", "--samples", "16"),
            needs=("train",),
        ),
        Command("report", ("report", "study"), needs=("compare",),
                dropped=("study/report.html", "study/results.md", "study/results.tex")),
        Command("data check", ("data", "check", "nmnist"), writes=False),
        Command("data cut", ("data", "cut", "own", "--ms", "5", "--to", "cut"), once=True),
        Command("data fetch", ("data", "fetch", "small", "--to", "small")),
        Command("export nir", ("export", "run", "--format", "nir"), needs=("train",)),
        Command("export onnx", ("export", "run", "--format", "onnx"), needs=("train",)),
        Command("export torch", ("export", "run", "--format", "torch"), needs=("train",)),
        Command("export c", ("export", "run", "--format", "c"),
                needs=("train", "calibrate")),
        Command("calibrate", ("calibrate", "run", "--risk", "0.3"), needs=("train",)),
        Command("audit", ("audit", "run"), needs=("train",)),
        Command("import", ("import", "run/model.nir", "nmnist-trt", "--num-steps", "2",
                "--out", "mine.yaml"), needs=("train", "export nir")),
        Command("predict --stream", ("predict", "run", "--stream", "own.csv", "--speed", "1000"),
                needs=("train",), writes=False),
    )
}  # fmt: skip


def prepare(command: Command, box: Path, wholes: Path) -> None:
    """Fill an empty box: what the command needs, from the undisturbed results in `wholes`."""
    for name in command.needs:
        shutil.copytree(wholes / name, box, dirs_exist_ok=True)
    for name in command.dropped:
        (box / name).unlink()
    (box / "cache").mkdir(exist_ok=True)
    kernels = wholes / "train" / "cache" / "kernels"
    if command.keeps and kernels.is_dir():
        shutil.copytree(kernels, box / "cache" / "kernels", dirs_exist_ok=True)
    if "--data.path=own" in command.words or "own" in command.words:
        write_recordings(box / "own")
    if "mine.yaml" in command.words[1:2]:
        for name, text in FILES.items():
            (box / name).write_text(text)
    if "own.csv" in command.words:
        rows = [f"{1000 * i},{i % 34},{i * 7 % 34},{i % 2}" for i in range(1000)]
        (box / "own.csv").write_text("\n".join(["t,x,y,p", *rows]) + "\n")
    if command.name == "data fetch":
        (box / "small" / "set").mkdir(parents=True)
        (box / "small" / "set" / "a.txt").write_text("hello")


Line = Callable[[bool], list[str]]
"""The command line of a first run (False), or of one after an attack (True)."""


@contextmanager
def line_of(command: Command) -> Iterator[Line]:
    """How to start it; while a server runs, where it needs one."""
    if command.name != "data fetch":
        start = [sys.executable, "-m", "tempreg", *command.words]
        yield lambda again: [*start, *(command.resume if again else ())]
        return
    with serving() as server:
        server.mode = "slow"
        download = wanted(server)
        words = [download.url, download.name, download.checksum, str(len(CONTENT))]
        yield lambda again: [sys.executable, "-c", FETCHING, *words, *command.words]
