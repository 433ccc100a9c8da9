"""A NIR file as a graph: what nir makes of it, its timestep, and an order of its nodes."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from math import prod
from pathlib import Path
from typing import Any, final

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
        _refuse_many(path)
        graph = nir.read(path)
    except DAMAGED as error:
        if isinstance(error, NIRError) or out_of_memory(error):
            raise
        why = one_line(str(error)) or type(error).__name__
        raise NIRError(f"{path} is no NIR graph, or a damaged one: {why}") from None
    if not isinstance(graph, nir.NIRGraph):
        raise NIRError(f"{path} holds a {type(graph).__name__}, not a graph")
    return graph


def _refuse_many(path: Path) -> None:
    """NIRError where a file says that it has more numbers than can be read."""
    import h5py  # a requirement of nir's

    sizes: dict[str, int] = {}

    def note(name: str, held: Any) -> None:
        if isinstance(held, h5py.Dataset) and held.shape is not None:
            sizes[name] = prod(held.shape) * held.dtype.itemsize

    with h5py.File(path, "r") as file:
        file.visititems(note)
    if sum(sizes.values()) > _MOST_BYTES:
        name = max(sizes, key=lambda each: sizes[each])
        raise NIRError(
            f"{path} declares {sum(sizes.values()):,} bytes of numbers, most of them in {name}, "
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
