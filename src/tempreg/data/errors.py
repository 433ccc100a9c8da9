"""What is said of data that can't be used, and the size beyond which it can't."""

from __future__ import annotations

from typing import final

from tempreg.errors import RequestError

LARGEST_SIDE = 2**15
"""Rows or columns of a sample or a sensor, or channels."""


@final
class DataError(RequestError):
    """Data that is missing, damaged or not what it should be; names the file and place."""
