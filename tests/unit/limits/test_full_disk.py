"""No file may grow: each writer says so of its file, and none ends the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("nir", reason="needs the package nir (tempreg[nir])")

PROGRAM = """
import resource
from pathlib import Path
import torch
from tempreg import create_model
from tempreg.export.nir_file import write_nir
from tempreg.export.program import Unrolled, frames_like, traced, write_program
from tempreg.training.checkpoint import Position, save_checkpoint, save_weights

model = create_model(
    "csnn", num_classes=2, in_channels=2, num_steps=2, input_size=8, channels=(4, 8)
).eval()
optimizer = torch.optim.Adam(model.parameters())
module = Unrolled(model)
program = traced(module, frames_like(model, (8, 8), events=True, stateful=False))
writers = (
    lambda path: write_nir(model, path, input_size=(8, 8)),
    lambda path: write_program(program, path),
    lambda path: save_checkpoint(path, model, optimizer, Position(), {}, ""),
    lambda path: save_weights(path, model),
)
for most in (1000, 0):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    for number, write in enumerate(writers):
        try:
            write(Path(f"{number}"))
        except OSError as error:
            print(error.filename or error)
"""


def test_each_writer_names_its_file(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    for named in (run.stdout.splitlines()[:4], run.stdout.splitlines()[4:]):
        assert named[:3] == ["0", "1", "2"]
        assert named[3].startswith("can't write 3: ")
    assert list(tmp_path.iterdir()) == []
