"""What an export refuses."""

from __future__ import annotations

from typing import final

from tempreg.errors import RequestError


@final
class ExportError(RequestError):
    """A network that a format can't hold; the message says why."""
