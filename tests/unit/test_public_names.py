"""What is there after `import tempreg` alone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "reference"


def documented() -> list[str]:
    """Every module below tempreg that the reference names something of."""
    text = "".join(page.read_text() for page in DOCS.glob("*.md"))
    return sorted({name.split(".")[1] for name in re.findall(r"::: (tempreg\.[a-z_]+\.)", text)})


def test_the_reference_names_modules() -> None:
    assert {"data", "analysis", "runs"} <= set(documented())


@pytest.mark.parametrize("name", ["data", "models"])
def test_modules_are_attributes_in_a_fresh_process(name: str) -> None:
    code = f"import tempreg, sys; assert 'torch' not in sys.modules; print(tempreg.{name}.__name__)"
    made = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert (made.stdout.strip(), made.returncode) == (f"tempreg.{name}", 0), made.stderr


@pytest.mark.parametrize("name", documented())
def test_every_documented_module_is_known_to_the_package(name: str) -> None:
    import tempreg

    assert tempreg.__getattr__(name).__name__ == f"tempreg.{name}"
