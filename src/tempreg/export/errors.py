"""What an export refuses."""

from __future__ import annotations

from tempreg.errors import RequestError


class ExportError(RequestError):
    """A network that a format can't hold; the message says why. Final."""
