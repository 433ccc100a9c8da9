"""What every analysis returns: arrays with named axes and units, the settings, and a drawing."""

from __future__ import annotations

import io
import json
from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

import numpy as np

from tempreg.errors import PackageMissing, RequestError
from tempreg.files import write_json
from tempreg.report.analyses import Analysis, Array
from tempreg.report.arrays import shaped
from tempreg.report.tidy import entries

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

VERSION = 1
R = TypeVar("R", bound="Result")


@final
class ResultError(RequestError):
    """A file that isn't a result of this analysis; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Result(ABC):
    """One analysis. Subclass it with the measured fields; define `figure`, and `table` to print.

    Fields are numbers, strings, lists of strings, or float64 arrays; an array that was not
    measured somewhere holds NaN there, which is null in the file. A field that came later than
    files in use has a default, which those files are read with.

    Attributes:
        quantity: the name of the analysis, and of its file.
        axes: the axes of each array field, by name, as ("layer", "timestep").
        units: the unit of each array field, in words a figure can show.
        settings: everything that shaped the numbers: estimator, seed, samples, T, ...
    """

    quantity: ClassVar[str]
    axes: ClassVar[dict[str, tuple[str, ...]]]
    units: ClassVar[dict[str, str]]
    settings: dict[str, Any] = field(default_factory=dict)

    @abstractmethod
    def figure(self) -> Figure:
        """A drawing that is legible in print, without relying on colour alone."""

    def table(self) -> str:
        """The most important numbers, as a few aligned lines for a terminal; here the single ones,
        each with its name."""
        single = {f.name: getattr(self, f.name) for f in fields(self)}
        shown = {n: v for n, v in single.items() if isinstance(v, (int, float))}
        width = max(map(len, shown), default=0)
        return "\n".join(f"{name:{width}}  {value:.4g}" for name, value in shown.items())

    def to_pandas(self) -> DataFrame:
        """A pandas DataFrame with a row a number: `array`, its place along each axis (layers by
        name, timesteps from 1), `value`.

        Raises:
            PackageMissing: pandas is not installed.
        """
        if find_spec("pandas") is None:
            raise PackageMissing("to_pandas needs the package pandas: pip install pandas")
        from pandas import DataFrame

        fields_of = {item.name: getattr(self, item.name) for item in fields(self)}
        arrays = {
            name: Array(fields_of[name], axes, self.units.get(name, ""))
            for name, axes in self.axes.items()
        }
        numbers = {k: float(v) for k, v in fields_of.items() if type(v) in (int, float)}
        words = {k: list(map(str, v)) for k, v in fields_of.items() if isinstance(v, list)}
        return DataFrame(entries(Analysis(self.quantity, arrays, numbers, words, self.settings)))

    def _repr_svg_(self) -> str:
        """The figure, which a notebook shows where a result is a cell's last value."""
        buffer = io.StringIO()
        self.figure().savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()

    def save(self, path: Path) -> None:
        """Replace the JSON file at `path`; `load` reads it back."""
        values = {item.name: plain(getattr(self, item.name)) for item in fields(self)}
        described: dict[str, dict[str, Any]] = {
            name: {"axes": list(axes), "unit": self.units.get(name, "")}
            for name, axes in self.axes.items()
        }
        for name, about in described.items():
            if not np.size(array := getattr(self, name)):  # which lists can't say the shape of
                about["shape"] = list(np.shape(array))
        content = {"quantity": self.quantity, "version": VERSION, "arrays": described, **values}
        write_json(path, content)

    @classmethod
    def load(cls: type[R], path: Path) -> R:
        """What `save` wrote; ResultError where the file is missing, damaged or another's."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ResultError(f"there is no result {path}: run the analysis first") from None
        except (OSError, ValueError, RecursionError) as error:
            raise ResultError(f"the result {path} is damaged ({error}): analyse again") from None
        if not isinstance(content, dict) or content.get("quantity") != cls.quantity:
            raise ResultError(f"{path} holds no result of the analysis {cls.quantity!r}")
        if content.get("version") != VERSION:
            raise ResultError(
                f"{path} has version {content.get('version')}, expected {VERSION}: analyse again"
            )
        later = {
            item.name
            for item in fields(cls)
            if item.default is not MISSING or item.default_factory is not MISSING
        }
        names = {item.name for item in fields(cls)} - (later - content.keys())
        if missing := sorted(names - content.keys()):
            raise ResultError(f"the result {path} lacks {missing[0]!r}: analyse again")
        values = {name: content[name] for name in names}
        values |= {
            item.name: float("nan")
            for item in fields(cls)
            if item.type in ("float", float) and content.get(item.name, 0) is None
        }
        described = content.get("arrays")
        try:
            for name, axes in cls.axes.items():
                if name not in values:
                    continue
                about = described.get(name) if isinstance(described, dict) else None
                values[name] = shaped(values[name], len(axes), about)
        except (TypeError, ValueError, OverflowError) as error:
            raise ResultError(f"the result {path} is damaged ({error}): analyse again") from None
        return cls(**values)


def plain(value: Any) -> Any:
    """As JSON has it: NaN and infinity of arrays become null."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value.item() if isinstance(value, np.generic) else value
