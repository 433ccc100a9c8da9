"""The examples of other frameworks train with TRT to a good accuracy, as a user runs them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.framework import needs

FOLDER = Path(__file__).parents[2] / "examples" / "frameworks"


@pytest.mark.parametrize("name", ["spikingjelly", "snntorch", "norse", "sinabs"])
def test_example_trains(name: str, tmp_path: Path) -> None:
    needs(name)
    words = [sys.executable, str(FOLDER / f"{name}_trt.py")]
    done = subprocess.run(
        words, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    terms = re.findall(r"cross_entropy ([\d.]+)  mse [\d.]+  penalty ([\d.]+)$", done.stdout, re.M)
    assert len(terms) == 6
    assert float(terms[-1][0]) < 0.6 * float(terms[0][0])
    assert float(terms[-1][1]) > 0
    found = re.search(r"^test accuracy ([\d.]+)%$", done.stdout, re.M)
    assert found
    assert float(found[1]) > 80  # chance is 10; five seeds gave 88 and more
