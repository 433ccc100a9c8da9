"""Every reader of a file that a person may have been given, with valid files to begin from."""

from __future__ import annotations

from tests.fuzz.targets.base import Target
from tests.fuzz.targets.events import events
from tests.fuzz.targets.images import images
from tests.fuzz.targets.tensors import tensors
from tests.fuzz.targets.texts import texts

__all__ = ["Target", "targets"]


def targets() -> dict[str, Target]:
    """All readers by name."""
    found = [*events(), *images(), *tensors(), *texts()]
    return {target.name: target for target in found}
