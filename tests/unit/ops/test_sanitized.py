"""The sanitizers, as tests/sanitize starts them, see what a kernel does wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tempreg.ops.cbuild import KERNELS
from tests.conftest import needs_compiler
from tests.sanitize.environment import COMPILER, sanitized

POOLED = """
import sys
from pathlib import Path
import torch
from tempreg.ops import cbuild
from tempreg.ops.pool import average_pool_2x2
cbuild.KERNELS = Path(sys.argv[1])
x = torch.randn(1, 1, 6, 10)
assert torch.equal(average_pool_2x2(x.requires_grad_()), torch.nn.functional.avg_pool2d(x, 2))
print("pooled")
"""
LOOP = "c < columns; c++) {\n                REAL sum"
TOO_FAR = LOOP.replace("columns", "columns + 1")


@needs_compiler
@pytest.mark.skipif(shutil.which(COMPILER) is None, reason="needs gcc, whose sanitizers it has")
def test_a_column_too_far_is_seen(tmp_path: Path) -> None:
    done = {}
    for name in ("sound", "faulty"):
        kernels = tmp_path / name
        shutil.copytree(KERNELS, kernels)
        if name == "faulty":
            body = kernels / "pool_body.h"
            text = body.read_text()
            assert LOOP in text
            body.write_text(text.replace(LOOP, TOO_FAR))
        environment = sanitized(tmp_path / f"{name} cache")
        done[name] = subprocess.run(
            [sys.executable, "-c", POOLED, str(kernels)],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done["sound"].stdout == "pooled\n", done["sound"].stderr
    assert done["faulty"].returncode != 0
    assert "heap-buffer-overflow" in done["faulty"].stderr
