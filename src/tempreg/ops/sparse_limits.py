"""Below which density a convolution is faster by walking non-zeros: measured once, and kept.

What was measured of a shape is kept in the folder of compiled kernels (see `cbuild`), by processor,
so that later runs on the machine decide as earlier ones did, and give the same bits. Measured is
one thread's processor time, which other work on the machine hardly changes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional as F

from tempreg.files import scratch
from tempreg.ops import cbuild
from tempreg.ops.sparse_conv import Pair, Passes, list_pass, result_pass, weights_pass

LEAST_PRODUCTS = 100_000_000
"""Below so many multiplications (a millisecond or two), to ask costs more than could be won."""
MOST_IMAGES = 16
"""That a shape is measured with; fewer images are rounded down to a power of two."""
SURELY = 0.93
"""How much of the dense time a sparse pass may take, so that noise doesn't make it the slower."""
_DENSITIES = (0.1, 0.4)
_ROUNDS = 3


@final
class Limits(NamedTuple):
    """Densities up to which a pass walks lists; 0: never. See `Passes`."""

    result: float
    weights: float

    def passes(self, density: float) -> Passes:
        """Which passes walk lists where that share of the inputs isn't zero."""
        return Passes(density < self.result, density < self.weights)


MOST_DENSITY = Limits(0.4, 0.6)
"""No pass walks lists beyond these, whatever was measured."""


@final
class _Shape(NamedTuple):
    """A convolution, without its numbers."""

    x: tuple[int, ...]
    weight: tuple[int, ...]
    stride: Pair
    padding: Pair


def limits_of(x: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Limits:
    """For x [N, C, H, W] and weight [K, C, kh, kw]; measured now where no process has before."""
    outputs, _, high, wide = weight.shape
    products = x.numel() * outputs * high * wide // (stride[0] * stride[1])
    if products < LEAST_PRODUCTS:
        return Limits(0, 0)
    images = 1 << (min(len(x), MOST_IMAGES).bit_length() - 1)
    shape = _Shape((images, *x.shape[1:]), tuple(weight.shape), stride, padding)
    return _limits(shape)


@functools.lru_cache(maxsize=512)
def _limits(shape: _Shape) -> Limits:
    known = [cbuild.processor(), torch.__version__, _sources(), shape, SURELY, MOST_DENSITY]
    name = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:20]
    return kept(cbuild.cache_dir() / "sparse" / f"{name}.json", lambda: measured(shape))


@functools.cache
def _sources() -> str:
    return cbuild.sources_digest("sparse").hexdigest()


def kept(path: Path, measure: Callable[[], Limits]) -> Limits:
    """What the file says; where there is none, what is measured, or what another process that was
    as early has written there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = measure()
        with scratch(path.parent) as folder:
            mine = folder / path.name
            mine.write_text(json.dumps(found._asdict()), encoding="utf-8")
            with suppress(FileExistsError):  # by now; a renaming would take its place
                os.link(mine, path)
    return Limits(**json.loads(path.read_text(encoding="utf-8")))


def measured(shape: _Shape) -> Limits:
    """From least times of both ways; those of a sparse pass are taken to lie on a line."""
    draws = torch.Generator().manual_seed(0)
    weight = torch.rand(shape.weight, generator=draws)
    places = torch.rand(shape.x, generator=draws)
    low, high = _DENSITIES
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            dense = _dense_times(places, weight, shape)
            at_low = _sparse_times((places < low).float() * 2, weight, shape)
            at_high = _sparse_times((places < high).float() * 2, weight, shape)
    finally:
        torch.set_num_threads(threads)
    found = []
    for way, first, last, most in zip(dense, at_low, at_high, MOST_DENSITY, strict=True):
        slope = max((last - first) / (high - low), 1e-12)
        found.append(min(max(low + (SURELY * way - first) / slope, 0.0), most))
    return Limits(*found)


def _dense_times(x: Tensor, weight: Tensor, shape: _Shape) -> tuple[float, float]:
    """Seconds of torch's result, and of its gradient of the weights."""
    how = shape.stride, shape.padding
    g = F.conv2d(x, weight, None, *how)
    rest = (1, 1), False, (0, 0), 1, (False, True, False)
    gradient = torch.ops.aten.convolution_backward
    return (
        _least(lambda: F.conv2d(x, weight, None, *how)),
        _least(lambda: gradient(g, x, weight, None, *how, *rest)),
    )


def _sparse_times(x: Tensor, weight: Tensor, shape: _Shape) -> tuple[float, float]:
    """The same of the passes that walk lists, with the making of these in each."""
    how = shape.stride, shape.padding
    lists = list_pass(x, weight, *how)
    g = result_pass(x, weight, lists, *how)
    making = _least(lambda: list_pass(x, weight, *how))
    return (
        making + _least(lambda: result_pass(x, weight, lists, *how)),
        making + _least(lambda: weights_pass(g, x, weight, lists, *how)),
    )


def _least(work: Callable[[], object]) -> float:
    """Seconds of the fastest call, after one that isn't counted."""
    work()
    times = []
    for _ in range(_ROUNDS):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times)
