"""Tests of Triton kernels on a machine without a GPU, in a process of their own.

Either Triton's interpreter is in charge, which runs kernels on CPU tensors, or its compiler, which
translates them for a GPU and refuses what the interpreter lets pass: that is settled when triton is
first imported. So each file of such tests runs pytest again on itself, where functions with other
names are collected.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest


def run_again(file: str, mode: str, cache: Path) -> None:
    """Run the functions of a file whose names begin with `mode`: "interpreted" or "compiled"."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("the package 'triton' is not installed")
    environment = {**os.environ, "TRITON_CACHE_DIR": str(cache)}
    environment.pop("TRITON_INTERPRET", None)
    if mode == "interpreted":
        environment["TRITON_INTERPRET"] = "1"
    words = ["-p", "no:cacheprovider", "-o", f"python_functions={mode}_*", file]
    child = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stdout + child.stderr
