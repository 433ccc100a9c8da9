"""The three files of C: the network's header, its weights, and the runtime with its tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from tempreg.export.c.graph import Graph
from tempreg.export.c.memory import Memory, index_bytes, laid_out, stride
from tempreg.export.c.numbers import LayerNumbers, Numbers, numbers_of

RUNTIME = Path(__file__).parent
ROW = 1000
"""Bytes a string: as C99 wants every compiler to take, 4,095 characters at most."""


@final
@dataclass(frozen=True)
class Answer:
    """How a network's logits become an answer.

    Attributes:
        classes: their names.
        steps: timesteps after which it answers at the latest.
        thresholds: by timestep, the confidence from which on it answers; above 1: never.
        temperatures: by timestep, what the mean logits are divided by.
    """

    classes: Sequence[str]
    steps: int
    thresholds: Sequence[float]
    temperatures: Sequence[float]


@final
@dataclass(frozen=True)
class CFiles:
    """The text of each file."""

    source: str
    header: str
    weights: str


def emitted(
    graph: Graph, answer: Answer, *, prefix: str, stem: str, int8: bool, about: Iterable[str]
) -> CFiles:
    """The files of a network: `stem`.c, `stem`.h and `stem`_weights.h."""
    numbers, memory = numbers_of(graph, int8=int8), laid_out(graph)
    comment = "/* " + "\n * ".join(_safe(line) for line in about) + "\n */\n"
    runtime = (RUNTIME / "runtime.c").read_text(encoding="utf-8")
    neurons = (RUNTIME / ("int8.c" if int8 else "float32.c")).read_text(encoding="utf-8")
    runtime = runtime.replace("TABLES\n", _tables(graph, numbers, memory, answer))
    runtime = runtime.replace("NEURONS\n", neurons)
    source = comment + _head(graph, memory, answer, stem, int8=int8) + runtime
    weights = comment + _weights(numbers)
    header = (RUNTIME / "header.h").read_text(encoding="utf-8")
    frame = graph.maps[0]
    for word, value in (
        ("@CHANNELS@", frame.channels),
        ("@HEIGHT@", frame.height),
        ("@WIDTH@", frame.width),
        ("@CLASSES@", len(answer.classes)),
        ("@STEPS@", answer.steps),
        ("@NAMES@", ", ".join(_quoted(name) for name in answer.classes)),
        ("@GUARD@", f"{prefix.upper()}_H"),
    ):
        header = header.replace(word, str(value))
    return CFiles(
        *(re.sub(r"\bnet_", f"{prefix}_", text) for text in (source, comment + header, weights))
    )


def _head(graph: Graph, memory: Memory, answer: Answer, stem: str, *, int8: bool) -> str:
    kinds = ("int8_t", "int32_t", "int32_t") if int8 else ("float", "float", "float")
    largest, count = ("32767.0f", "(net_sum)lrintf(x)") if int8 else ("FLT_MAX", "(x)")
    logit = "((float)(sum) * head_scale[k] + head_bias[k])" if int8 else "(sum)"
    return f"""#include "{stem}.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef {kinds[0]} net_weight;
typedef {kinds[1]} net_sum;
typedef {kinds[2]} net_leak;
typedef uint{8 * index_bytes(graph)}_t net_index;
#include "{stem}_weights.h"

#define net_INT8 {int(int8)}
#define net_NOWHERE ((size_t)-1)
#define net_LARGEST {largest}
#define net_COUNT(x) {count}
#define net_LOGIT(sum, k) {logit}

struct net_state {{
    int step;
    float sum[{len(answer.classes)}]; /* of the logits so far */
    union {{
        double aligned[{-(-memory.size // 8)}];
        unsigned char bytes[{memory.size}];
    }} memory;
}};

"""


def _tables(graph: Graph, numbers: Numbers, memory: Memory, answer: Answer) -> str:
    maps = []
    for x, dense, lists in zip(graph.maps, memory.dense, memory.lists, strict=True):
        places = [max(0, part.offset) for part in (dense, *lists)]
        maps.append([x.height, x.width, x.channels, stride(x), *places])
    sources: list[list[object]] = []
    layers: list[list[object]] = []
    operations: list[list[object]] = []
    for each in numbers.layers:
        first = len(sources)
        for s in each.sources:
            spread = [s.source.step, s.source.padding]
            sources.append([s.source.map, s.rows, s.columns, *spread, s.weights, s.gain])
        layers.append(_layer(each, first, memory, len(layers), int8=numbers.int8))
    for o in graph.operations:
        operations.append([f"net_{o.kind}", o.first, o.second, o.output])
    text = _structs("net_map", "maps", maps) + _structs("net_source", "sources", sources)
    text += _structs("net_layer", "layers", layers)
    text += _structs("net_operation", "operations", operations)
    text += _floats("thresholds", answer.thresholds) + _floats("temperatures", answer.temperatures)
    if numbers.int8:
        text += _floats("head_scale", numbers.head_scale) + _floats("head_bias", numbers.head_bias)
    return text


def _layer(
    each: LayerNumbers, first: int, memory: Memory, number: int, *, int8: bool
) -> list[object]:
    leak = round(each.leak * 65536) if int8 else _float(each.leak)
    membrane = max(0, memory.membrane[number].offset)
    lines = memory.spread[number]
    spread = lines.offset if lines.size else "net_NOWHERE"
    places = [int(each.bias_by_pixel), each.bias, membrane, spread, each.threshold, each.reset]
    head = [each.layer.output, len(each.sources), first]
    return [*head, *places, int(each.soft), leak, each.shift]


def _structs(kind: str, name: str, rows: Sequence[Sequence[object]]) -> str:
    lines = ",\n".join("    {" + ", ".join(map(str, row)) + "}" for row in rows)
    return f"static const {kind} {name}[] = {{\n{lines}}};\n"


def _floats(name: str, values: Iterable[float]) -> str:
    return f"static const float {name}[] = {{{', '.join(map(_float, values))}}};\n"


def _float(value: float) -> str:
    """A float32 that C reads back to the bit."""
    return f"{float(np.float32(value)).hex()}f"


def _weights(numbers: Numbers) -> str:
    kinds = ("int8_t", "int32_t") if numbers.int8 else ("float", "float")
    tables = zip(kinds, ("net_weights", "net_sums"), (numbers.weights, numbers.sums), strict=True)
    text = (
        "#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__\n"
        '#error "these are the bytes of little-endian numbers"\n#endif\n'
        "#if defined(__GNUC__) /* to lines of a cache */\n"
        "#define ALIGNED __attribute__((aligned(64)))\n#else\n#define ALIGNED\n#endif\n"
    )
    return text + "".join(_table(kind, name, np.concatenate(t)) for kind, name, t in tables)


def _table(kind: str, name: str, values: NDArray[np.generic]) -> str:
    """Numbers as strings of their bytes: a compiler reads millions of them in seconds."""
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    rows = -(-len(data) // ROW)
    codes = np.frombuffer(data.ljust(rows * ROW, b"\0"), np.uint8)
    text = np.full((rows, ROW * 4 + 4), ord("\\"), np.uint8)
    text[:, 0], text[:, -3:] = ord('"'), tuple(b'",\n')
    for digit, shift in enumerate((6, 3, 0), start=2):
        text[:, digit:-3:4] = ((codes >> shift) & 7).reshape(rows, ROW) + ord("0")
    return (
        f"static const union {{\n    unsigned char bytes[{rows}][{ROW}];\n"
        f"    {kind} values[{len(values)}];\n}} {name}_bytes ALIGNED = {{{{\n"
        f"{text.tobytes().decode('ascii')}}}}};\n#define {name} {name}_bytes.values\n"
    )


def _quoted(name: str) -> str:
    """A name as a C string, in ASCII."""
    escaped = "".join(
        chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in name.encode()
    )
    return f'"{escaped}"'


def _safe(line: str) -> str:
    """Text that can't end a comment."""
    ascii_only = line.encode("ascii", "backslashreplace").decode()
    return ascii_only.replace("*/", "* /").replace("\n", " ").replace("\\", "/")
