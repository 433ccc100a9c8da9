"""Places on this machine in what is published: nobody else's business."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import Any


def without_places(value: Any) -> Any:
    """The value with the last part alone of each text in it, at any depth, that is a whole path.

    "/home/me/net.py:Net", which names code, becomes "net.py:Net". Paths that begin where a command
    is run stay.
    """
    if isinstance(value, dict):
        return {key: without_places(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(without_places(held) for held in value)
    if not isinstance(value, str):
        return value
    if PureWindowsPath(value).drive and PureWindowsPath(value).is_absolute():
        return PureWindowsPath(value).name
    whole = PurePosixPath(value).is_absolute() or value.startswith("~")
    return PurePosixPath(value).name if whole else value
