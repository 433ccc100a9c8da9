"""What a benchmark found: rows, printed as they come and kept in a CSV file.

A row compares A with B: `ratio` is A / B, of the least times or of single values; `median`,
`lower` and `upper` (quartiles) are of the ratios of single rounds. A fitted exponent stands in
`a_value`, its standard error in `a_error`. Every row says what machine it is from.
"""

from __future__ import annotations

import csv
import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, final

from tempreg.bench.measure import ratio
from tempreg.errors import RequestError, RunStopped
from tempreg.files import replacing

Number = float | str
"""A field of a row; '' where it has none."""
PEERS = ("spikingjelly", "snntorch", "norse")


@final
class Disagreement(RunStopped):
    """Two ways to do the same thing gave different results, so no time was taken."""


@final
class BenchmarkFileError(RequestError):
    """A file that is no result of `tempreg bench`; the message says why."""


@final
@dataclass(frozen=True)
class Row:
    """One comparison; see the module's docstring. Empty fields are ''."""

    part: str
    measure: str
    setting: str
    a: str
    b: str
    a_value: float | str
    b_value: float | str
    unit: str
    ratio: float | str = ""
    median: float | str = ""
    lower: float | str = ""
    upper: float | str = ""
    rounds: int | str = ""
    a_error: float | str = ""
    threads: int | str = ""
    load: float | str = ""
    date: str = ""
    processor: str = ""
    cpus: int | str = ""
    python: str = ""
    torch: str = ""
    tempreg: str = ""
    peers: str = ""


COLUMNS = [f.name for f in fields(Row)]


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def machine() -> dict[str, Any]:
    """The fields of a row that say where it is from; `load` is the last minute's, at this time."""
    import torch

    from tempreg.training.environment import processor

    return {
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else "",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "processor": processor(),
        "cpus": os.cpu_count() or "",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "tempreg": _installed("tempreg"),
        "peers": "; ".join(f"{name} {_installed(name)}" for name in PEERS),
    }


def _rounded(value: float | str) -> float | str:
    """Five significant digits; more would be noise."""
    return float(f"{value:.5g}") if isinstance(value, float) else value


@final
@dataclass
class Results:
    """Collects the rows of one part, and prints each."""

    part: str
    rows: list[Row] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Something to know that is no row."""
        print(text, flush=True)

    def times(self, setting: str, times: Mapping[str, Sequence[float]], base: str) -> None:
        """A row for every way but `base`, over `base`; seconds by way, round by round."""
        for name, values in times.items():
            if name == base:
                continue
            found = ratio(values, times[base])
            self._add(
                (min(values), min(times[base])),
                (found.of_minima, found.median, found.lower, found.upper),
                measure="time",
                setting=setting,
                a=name,
                b=base,
                unit="s",
                rounds=found.rounds,
            )

    def values(
        self, measure: str, setting: str, values: Mapping[str, float], base: str, unit: str
    ) -> None:
        """The same for single values by way."""
        where: dict[str, Any] = {"measure": measure, "setting": setting, "b": base, "unit": unit}
        for name, value in values.items():
            if name != base:
                share = value / values[base] if values[base] else ""
                self._add((value, values[base]), (share,), a=name, **where)

    def single(
        self, measure: str, setting: str, name: str, value: float, unit: str, error: Number = ""
    ) -> None:
        """A row with one value and nothing to compare it with."""
        where: dict[str, Any] = {
            "measure": measure,
            "setting": setting,
            "a": name,
            "b": "",
            "unit": unit,
        }
        self._add((value, ""), a_error=_rounded(error), **where)

    def _add(
        self, values: tuple[float, Number], spread: tuple[Number, ...] = (), **others: Any
    ) -> None:
        """A row of these values, ratio and quartiles; `others` are fields by name."""
        names = ("a_value", "b_value", "ratio", "median", "lower", "upper")
        numbers: dict[str, Any] = dict(zip(names, map(_rounded, (*values, *spread)), strict=False))
        row = Row(part=self.part, **others, **numbers, **machine())
        self.rows.append(row)
        print(described(row), flush=True)


def described(row: Row) -> str:
    """A row as a line of text."""
    line = f"{row.setting:34} {row.measure:16} {row.a:24}"
    if row.b == "":
        error = f" +- {row.a_error}" if row.a_error != "" else ""
        return f"{line} {row.a_value}{error} {row.unit}"
    line += f" / {row.b:22} {row.ratio!s:>8}"
    if row.median != "":
        line += f"  median {row.median} ({row.lower} - {row.upper}), {row.rounds} rounds"
    return f"{line}  [{row.a_value} {row.unit}]"


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, as text; none where there is no such file.

    Raises:
        BenchmarkFileError: it is no file of `tempreg bench`.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BenchmarkFileError(f"{path} is no CSV file ({error}): name another") from None
    for number, line in enumerate(lines, 1):
        wrong = line != COLUMNS if number == 1 else len(line) != len(COLUMNS)
        if wrong:
            raise BenchmarkFileError(
                f"{path}, line {number}: these are not the columns of `tempreg bench`: name "
                "another file, or move this one away"
            )
    return [dict(zip(COLUMNS, line, strict=True)) for line in lines[1:]]


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Replace the CSV file."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
