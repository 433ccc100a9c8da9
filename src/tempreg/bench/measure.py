"""Times of several ways to do the same thing, taken in turn, and what their ratios are.

On a machine that others use too, a single time says little: so the ways run in turn, round by
round. The ratio of the least times is the steadiest figure; the median and the quartiles are of
the ratios of single rounds, whose two times were taken close together.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, final

Work = Callable[[], object]
LEAST_ROUNDS = 3


@final
class Ratio(NamedTuple):
    """What the times of A and B say of A / B.

    Attributes:
        of_minima: the least time of A over the least time of B.
        median, lower, upper: median and quartiles of A / B over the single rounds.
        rounds: how many there were.
    """

    of_minima: float
    median: float
    lower: float
    upper: float
    rounds: int


def seconds(work: Work) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(
    works: Mapping[str, Work], *, rounds: int, budget: float = float("inf")
) -> dict[str, list[float]]:
    """Seconds of each work in each round, after one call of each that isn't counted.

    No round is begun after `budget` seconds, the calls that aren't counted among them, but at
    least three are made.
    """
    start = time.perf_counter()
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for done in range(max(rounds, LEAST_ROUNDS)):
        if done >= LEAST_ROUNDS and time.perf_counter() - start > budget:
            break
        for name, work in works.items():
            times[name].append(seconds(work))
    return times


def ratio(a: Sequence[float], b: Sequence[float]) -> Ratio:
    """A / B from the times of at least two rounds, as many of A as of B."""
    single = [x / y for x, y in zip(a, b, strict=True)]
    lower, median, upper = statistics.quantiles(single, n=4, method="inclusive")
    return Ratio(min(a) / min(b), median, lower, upper, len(single))


def compare(name: str, a: Work, b: Work, rounds: int) -> None:
    """Print A / B on a line: the ratio of the minima, quartiles and median of single rounds."""
    times = alternate({"a": a, "b": b}, rounds=rounds)
    found = ratio(times["a"], times["b"])
    spread = f"{found.lower:.2f} - {found.median:.2f} - {found.upper:.2f}"
    print(f"{name:58} {found.of_minima:8.2f}   (rounds: {spread})", flush=True)
