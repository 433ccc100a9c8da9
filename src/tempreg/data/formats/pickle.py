"""Pickles of plain data and arrays, read without running what they name.

Python's pickle can name any function and call it. This reader knows the names with which
NumPy and Python write arrays of bytes, puts functions of its own in their place, and refuses
all others.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings
from collections.abc import Callable
from typing import Any, final

import numpy as np

from tempreg.data.errors import DataError

_FAULTS = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    ImportError,
    MemoryError,
    UnicodeError,
)


def read_pickle(data: bytes, where: str) -> Any:
    """Dictionaries, lists, strings (as bytes where Python 2 wrote them), numbers, arrays.

    Raises:
        DataError: a damaged pickle, or one that names anything else: it is not called.
    """
    try:
        with warnings.catch_warnings():  # of escapes in text that mean nothing to Python
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            _check_places(data)
            return _Reader(io.BytesIO(data), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{where} {error}") from None
    except _FAULTS as error:
        raise DataError(f"{where} can't be read as a pickle: {error}") from None


def _check_places(data: bytes) -> None:
    """Refuse places of notes beyond the file's length: Python makes room for all places below."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > len(data):
            raise DataError(f"notes something as number {argument:,}: it is damaged")


@final
class _Reader(pickle.Unpickler):
    """Final."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands in for the few names that are admitted, or DataError."""
        found = _ADMITTED.get((module.replace("numpy._core", "numpy.core"), name))
        if found is None:
            called = f"{module}.{name}"
            if not called.isprintable():
                called = repr(called)
            raise DataError(f"names {called}, which could run code: it is refused")
        return found

    def persistent_load(self, pid: Any) -> Any:
        """There are none in data."""
        raise DataError("refers to an object outside of it: it is refused")


@final
class _Array(np.ndarray[Any, np.dtype[np.uint8]]):
    """An array whose state is checked before NumPy takes it over."""

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, values = state
        if not isinstance(kind, _Bytes) or not isinstance(values, bytes):
            raise DataError(_NOT_BYTES)
        checked: Any = (1, shape, np.dtype(np.uint8), bool(fortran), values)
        super().__setstate__(checked)


@final
class _Bytes:
    """The one type of values."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like: bytes have none."""


@final
class _StandIn:
    """A function in the place of one that a pickle names.

    A pickle may set attributes of functions and classes that it gets: of this it can't.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *args: Any) -> Any:
        """What the function returns."""
        return self._call(*args)

    def __setstate__(self, state: Any) -> None:
        raise DataError("changes a function: it is refused")


def _array_kind(*_: Any) -> Any:
    """What _reconstruct is told to make; it is never called for an array as NumPy writes them."""
    raise DataError("makes an array without a state: it is refused")


def _dtype(code: Any, *_: Any) -> _Bytes:
    """The type of an array's values."""
    if code not in (b"u1", "u1"):
        raise DataError(_NOT_BYTES)
    return _Bytes()


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    """An empty array, whose state follows."""
    if kind is not _ADMITTED["numpy", "ndarray"]:
        raise DataError("rebuilds something else than an array: it is refused")
    array: _Array = _Array((0,), np.uint8)
    return array


def _encode(text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes into old pickles."""
    if encoding != "latin1" or not isinstance(text, str):
        raise DataError("holds text in an unknown encoding: it is refused")
    return text.encode("latin1")


def _frombuffer(values: Any, kind: Any, shape: Any, order: Any) -> Any:
    """How NumPy writes arrays in protocol 5."""
    if not isinstance(kind, _Bytes) or order not in ("C", "F"):
        raise DataError(_NOT_BYTES)
    return np.frombuffer(values, dtype=np.uint8).reshape(shape, order=order)


_NOT_BYTES = "holds an array of something else than bytes: it is refused"
_ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _StandIn(_reconstruct),
    ("numpy.core.numeric", "_frombuffer"): _StandIn(_frombuffer),
    ("numpy", "ndarray"): _StandIn(_array_kind),
    ("numpy", "dtype"): _StandIn(_dtype),
    ("_codecs", "encode"): _StandIn(_encode),
}
