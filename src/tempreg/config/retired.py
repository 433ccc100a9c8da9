"""Values that settings once had: what they did, and what does it now."""

from __future__ import annotations

from typing import Any

_RETIRED = {
    ("data", "resize", "paper"): (
        "paper is no more, for it did something that the published scripts don't do: their "
        "CIFAR10-DVS frames are data.frames published (with data.resize area); to resize frames "
        "otherwise, choose area or bilinear"
    ),
}
"""By section, name and value."""


def retired(data: dict[str, Any]) -> str | None:
    """A sentence on the first such value in settings by section, or None."""
    for (section, name, value), sentence in _RETIRED.items():
        held = data.get(section)
        if isinstance(held, dict) and held.get(name) == value:
            return f"{section}.{name}: {sentence}"
    return None
