"""A NumPy array in a file that nobody vouches for: first what it declares, then the array."""

from __future__ import annotations

import math
import tokenize
import warnings
from typing import IO, Any, Literal, final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@final
class Header:
    """What a .npy file declares, with `file` left at its array.

    Attributes:
        bytes: what the array takes.

    Raises:
        ValueError: the file isn't one, or its array would hold Python objects, which may run code.
    """

    def __init__(self, file: IO[bytes]) -> None:
        try:
            version = npy.read_magic(file)
            if version not in _READERS:
                raise ValueError(
                    f"it is of version {version[0]}.{version[1]} of .npy: 1.0 and 2.0 are read"
                )
            with warnings.catch_warnings():
                # As Python 2 wrote it, which is slower to read; and escapes that mean nothing.
                warnings.filterwarnings("ignore", "Reading `.npy` or `.npz` file required")
                warnings.simplefilter("ignore", SyntaxWarning)
                warnings.simplefilter("ignore", DeprecationWarning)
                self._shape, fortran, self._dtype = _READERS[version](file)
        except (EOFError, TypeError, SyntaxError, RecursionError, tokenize.TokenError) as error:
            raise ValueError(f"its header can't be read: {error}") from None
        if self._dtype.hasobject:
            raise ValueError("it holds Python objects, which may run code: store numbers")
        if min(self._shape, default=0) < 0:
            raise ValueError(f"its header declares the shape {self._shape}")
        self._order: Literal["F", "C"] = "F" if fortran else "C"
        self.bytes = math.prod(self._shape) * int(self._dtype.itemsize)

    def array(self, file: IO[bytes]) -> NDArray[Any]:
        """The array itself; ValueError where the file ends before it does."""
        raw = file.read(self.bytes)
        if len(raw) < self.bytes:
            raise ValueError(f"it declares {self.bytes} bytes but has {len(raw)}: it is truncated")
        values = np.frombuffer(raw, self._dtype, -1 if raw else 0)
        return values.reshape(self._shape, order=self._order)
