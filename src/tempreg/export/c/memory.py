"""Where each array of the runtime lies in the state's memory; what is free is used again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

from tempreg.export.c.graph import Graph, Layer, Map, Operation

ALIGNED = 64
"""Bytes: a line of a cache."""
LARGEST_BLOCK = 64
"""Output channels that the runtime takes at once, at most."""


@final
@dataclass
class Part:
    """An array of so many bytes, from the operation that writes it to the last that reads it.

    A membrane potential is kept from call to call, so it lives always.
    """

    size: int
    first: int
    last: int
    offset: int = -1


@final
@dataclass
class Memory:
    """The arrays' parts, by map (dense, start, index, value) and by layer (membrane, spread).

    Attributes:
        size: bytes in all.
    """

    dense: list[Part] = field(default_factory=list)
    lists: list[tuple[Part, Part, Part]] = field(default_factory=list)
    membrane: list[Part] = field(default_factory=list)
    spread: list[Part] = field(default_factory=list)
    size: int = 0


def stride(map: Map) -> int:
    """Channels, filled up to whole eights."""
    return -(-map.channels // 8) * 8


def index_bytes(graph: Graph) -> int:
    """Bytes of the place of a non-zero in its row, column * channels + channel."""
    return 2 if max(map.width * map.channels for map in graph.maps) < 1 << 16 else 4


def laid_out(graph: Graph) -> Memory:
    """Every array its place, first the largest, each at the lowest offset that is free for it."""
    end = len(graph.operations)
    memory = Memory()
    for number, map in enumerate(graph.maps):
        dense, listed = _lives(graph, number)
        neurons = map.height * map.width * stride(map)
        pixels = map.height * map.width
        memory.dense.append(Part(neurons, *dense))
        # One more: the lists' end is written before it is known whether it counts.
        sizes = (4 * (pixels + 1), index_bytes(graph) * (neurons + 1), 4 * (neurons + 1))
        memory.lists.append(tuple(Part(size, *listed) for size in sizes))  # type: ignore[arg-type]
    for number, layer in enumerate(graph.layers):
        out = graph.maps[layer.output]
        size = 4 * out.height * out.width * stride(out) if layer.neuron is not None else 0
        memory.membrane.append(Part(size, -1, end))
        place = graph.operations.index(Operation("LAYER" if size else "HEAD", number))
        memory.spread.append(Part(_spread_bytes(graph, layer), place, place))
    lists = (part for three in memory.lists for part in three)
    parts = [*memory.dense, *lists, *memory.membrane, *memory.spread]
    memory.size = _placed([part for part in parts if part.size and part.last >= part.first])
    return memory


def _spread_bytes(graph: Graph, layer: Layer) -> int:
    """Of the lines of sums over which the network's inputs, which may be few, can be spread."""
    source = layer.sources[0]
    if layer.neuron is None or len(layer.sources) > 1 or source.map or source.weight is None:
        return 0
    rows, columns = source.weight.shape[:2]
    if source.step != 1 or max(rows, columns) <= source.padding:
        return 0
    block = min(stride(graph.maps[layer.output]), LARGEST_BLOCK)
    size: int = 4 * rows * (graph.maps[0].width + columns - 1) * block
    return size


def _lives(graph: Graph, number: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """When a map's counts, and when its lists, are written first and read last."""
    dense, listed = [], [-1] if number == 0 else []
    for place, operation in enumerate(graph.operations):
        if operation.kind in ("LAYER", "HEAD"):
            layer = graph.layers[operation.first]
            dense += [place] * (layer.output == number)
            for source in layer.sources:
                if source.map == number:
                    (dense if source.weight is None else listed).append(place)
        elif operation.kind == "LIST":
            if operation.first == number:
                dense.append(place)
                listed.append(place)
        else:
            reads = (operation.first, operation.second if operation.kind == "ADD" else -1)
            dense += [place] * (number in reads)
            written = listed if operation.kind == "TOTAL" else dense
            written += [place] * (operation.output == number)
    none = (0, -1)
    return (
        (min(dense), max(dense)) if dense else none,
        (min(listed), max(listed)) if listed else none,
    )


def _placed(parts: Sequence[Part]) -> int:
    placed: list[Part] = []
    for part in sorted(parts, key=lambda part: -part.size):
        beside = [p for p in placed if p.first <= part.last and part.first <= p.last]
        offset = 0
        for other in sorted(beside, key=lambda p: p.offset):
            if offset + part.size <= other.offset:
                break
            offset = max(offset, -(-(other.offset + other.size) // ALIGNED) * ALIGNED)
        part.offset = offset
        placed.append(part)
    return max((part.offset + part.size for part in placed), default=0)
