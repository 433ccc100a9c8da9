"""What pages and messages tell people to install can be installed: there is no release as yet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tempreg.errors import BY_PIP, to_install

ROOT = Path(__file__).parents[2]
TEXTS = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]


def test_no_text_names_a_distribution_that_is_not_there() -> None:
    for path in TEXTS:
        found = re.findall(r"pip install[^\n]*\btempreg\b|['\"]tempreg\[", path.read_text())
        assert not [text for text in found if "clone of tempreg" not in text], path


def test_every_extra_that_is_named_is_one() -> None:
    tomllib = pytest.importorskip("tomllib")  # of Python 3.11
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    named = set()
    for path in TEXTS:
        text = path.read_text()
        named |= set(re.findall(r"to_install\('(\w+)'\)", text))
        named |= set(re.findall(r"pip install (?:-e )?'\.\[(\w+)\]'", text))
    assert {"onnx", "nir", "events", "augment", "curvature", "tensorboard"} <= named
    assert named <= extras.keys()
    assert to_install("onnx").startswith(BY_PIP.format(extra="onnx"))
