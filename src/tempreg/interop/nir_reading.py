"""A NIR file as a graph: what nir makes of it, its timestep, and an order of its nodes."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from math import prod
from pathlib import Path
from typing import Any, final

from tempreg.data.formats.hdf5_heaps import damaged_heaps
from tempreg.data.formats.hdf5_links import elsewhere
from tempreg.errors import PackageMissing, RequestError, one_line, out_of_memory, to_install

DAMAGED = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,
)
"""What h5py, nir and torch raise of files that aren't as they should be."""
_MOST_BYTES = 4 * 2**30
"""Of all numbers of a graph; a file of a few bytes can claim any number."""
_MOST_DEPTH, _MOST_ENTRIES = 32, 1_000_000
"""Of groups in each other, and of groups and data sets."""


@final
class NIRError(RequestError):
    """A file that is no NIR graph, or one with something that has no form here; it says what."""


def read_graph(path: Path) -> Any:
    """A `nir.NIRGraph`.

    Raises:
        NIRError: there is no such file, or it holds no graph.
        PackageMissing: the package nir isn't installed.
    """
    try:
        import nir
    except ModuleNotFoundError:
        raise PackageMissing(f"{path} needs the package nir: {to_install('nir')}") from None
    if not path.is_file():
        raise NIRError(f"there is no file {path}")
    try:
        _refuse_odd(path)
        graph = nir.read(path)
    except DAMAGED as error:
        if isinstance(error, NIRError) or out_of_memory(error):
            raise
        why = one_line(str(error)) or type(error).__name__
        raise NIRError(f"{path} is no NIR graph, or a damaged one: {why}") from None
    if not isinstance(graph, nir.NIRGraph):
        raise NIRError(f"{path} holds a {type(graph).__name__}, not a graph")
    return graph


def _refuse_odd(path: Path) -> None:
    """NIRError for numbers in other files, more of them than can be read, or nodes in a circle.

    What nir reads is counted each time that a link leads to it, as nir reads it.
    """
    import h5py  # a requirement of nir's

    whole, largest, entries = 0, (0, ""), 0
    with h5py.File(path, "r") as file:
        if told := elsewhere(file):
            raise NIRError(f"{path}: {told}")
        if damaged := damaged_heaps(file):
            raise NIRError(f"{path} is damaged: {damaged}")
        groups: list[tuple[Any, str, int]] = [(file, "", 0)]
        while groups:
            group, place, depth = groups.pop()
            entries += len(group)
            if depth > _MOST_DEPTH or entries > _MOST_ENTRIES:
                raise NIRError(
                    f"{path} has more than {_MOST_DEPTH} groups in each other or "
                    f"{_MOST_ENTRIES:,} entries, or a link in a circle: no graph that can be read"
                )
            for name, held in group.items():
                if isinstance(held, h5py.Group):
                    groups.append((held, f"{place}{name}/", depth + 1))
                elif isinstance(held, h5py.Dataset) and held.shape is not None:
                    size = prod(held.shape) * held.dtype.itemsize
                    whole, largest = whole + size, max(largest, (size, f"{place}{name}"))
    if whole > _MOST_BYTES:
        raise NIRError(
            f"{path} declares {whole:,} bytes of numbers, most of them in {largest[1]}, "
            "more than can be read"
        )


def timestep_of(path: Path, graph: Any) -> float:
    """Seconds, as the file's metadata have them, else 1e-4; NIRError for what is no number."""
    said = graph.metadata.get("dt", 1e-4)
    try:
        return float(said)
    except (TypeError, ValueError):
        raise NIRError(
            f"{path}: its metadata give {one_line(str(said))!r} as dt, which is no number of "
            "seconds: give the timestep, as dt"
        ) from None


def order_of(path: Path, sources: dict[str, list[str]]) -> list[str]:
    """Nodes, each after those that it takes from; NIRError where they go round in a cycle."""
    try:
        return list(TopologicalSorter(sources).static_order())
    except CycleError as error:
        around = " -> ".join(error.args[1])
        raise NIRError(
            f"{path} has a cycle, {around}: recurrent graphs have no form here"
        ) from None
