"""SVHN's cropped digits: train_32x32.mat and test_32x32.mat (MATLAB 5).

Each holds `X`, uint8 [32, 32, 3, N], and `y` [N, 1], where 10 stands for the digit 0
(http://ufldl.stanford.edu/housenumbers).
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from tempreg.data.base import DataSet
from tempreg.data.errors import DataError
from tempreg.data.formats.mat import HEADER_BYTES, numeric_arrays
from tempreg.data.source import Source
from tempreg.data.sources.arrays import Images, Statistics, array_data_set
from tempreg.errors import warnings_about
from tempreg.options import DataOptions

MAX_VALUES = 3_000_000_000
"""A file that claims more is refused before memory is taken; the largest part has 1.6e9."""


@final
class SVHN(Source):
    """73,257 / 26,032 house numbers' digits, 32 x 32."""

    name: ClassVar[str] = "svhn"
    title: ClassVar[str] = "SVHN, cropped digits"
    kind: ClassVar[Literal["images", "events"]] = "images"
    licence: ClassVar[str] = "non-commercial use only (Netzer et al. 2011)"
    homepage: ClassVar[str] = "http://ufldl.stanford.edu/housenumbers"
    instructions: ClassVar[str] = "Put train_32x32.mat and test_32x32.mat there."

    @override
    def missing(self, folder: Path) -> list[str]:
        return [str(path) for path in _files(folder).values() if not path.is_file()]

    def load(self, options: DataOptions) -> DataSet:
        """See `Source`; the validation part is drawn from the training part."""
        folder = self.complete_folder(options)
        parts = {part: read_svhn(path) for part, path in _files(folder).items()}
        statistics = Statistics((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970))
        return array_data_set(self.name, parts, tuple("0123456789"), options, statistics)


def read_svhn(path: Path) -> Images:
    """The images and digits of one file; scipy reads data alone and runs nothing.

    Raises:
        DataError: no MATLAB 5 file, a damaged one, or one without these arrays.
    """
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    try:
        if path.stat().st_size < HEADER_BYTES:
            raise DataError(f"{path} is too short for a MATLAB 5 file")
        numeric = numeric_arrays(path)
        with warnings_about(path):
            claimed = {name: (shape, kind) for name, shape, kind in whosmat(path)}
        for name, kind in (("X", "uint8"), ("y", "numbers")):
            known = name in claimed and (numeric is None or name in numeric)
            if not known or kind not in ("numbers", claimed[name][1]):
                raise DataError(f"{path} lacks the array {name} of {kind}")
            if math.prod(claimed[name][0]) > MAX_VALUES:
                raise DataError(f"{path}: {name} claims more than {MAX_VALUES:,} values")
        with warnings_about(path):
            arrays = loadmat(path, variable_names=["X", "y"])
    except (
        MatReadError,
        ValueError,
        TypeError,
        NotImplementedError,
        OSError,
        EOFError,
        LookupError,
        OverflowError,
        MemoryError,
        zlib.error,
    ) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path} can't be read as a MATLAB 5 file: {str(error) or 'it claims too much memory'}"
        ) from None
    x, y = arrays["X"], arrays["y"].ravel()
    if x.ndim != 4 or x.shape[2] != 3 or x.shape[3] != len(y) or y.dtype.kind not in "iuf":
        raise DataError(
            f"{path}: X must be [H, W, 3, N] and y [N, 1], and they are {x.shape} "
            f"and {arrays['y'].shape}"
        )
    labels = y.astype(np.int64)
    if (labels != y).any():
        raise DataError(f"{path}: y must hold whole numbers")
    return Images(x.transpose(3, 0, 1, 2), np.where(labels == 10, 0, labels))


def _files(folder: Path) -> dict[str, Path]:
    return {part: folder / f"{part}_32x32.mat" for part in ("train", "test")}
