"""The golden files in this folder are the ones that were given."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["reference.json", "models.json", "published_frames.npz"])
def test_golden_file_is_unchanged(name: str, shared: Path) -> None:
    assert Path(__file__).with_name(name).read_bytes() == (shared / "golden" / name).read_bytes()
