"""The formats that a network can be written in: a line each, and no time to import.

To add one, write a module of this package with a function `write`, and its line in `FORMATS`.
"""

from __future__ import annotations

from typing import NamedTuple, final


@final
class Format(NamedTuple):
    """How a network is written.

    Attributes:
        suffix: of the file.
        module: of this package. Its `write` takes a `request.Request`, replaces the file, and
            returns what to tell about it, a sentence each.
        stateful: whether it can hold one timestep, with potentials in and out.
        int8: whether it can hold whole numbers.
        raw: whether it can leave out how pixels are scaled.
    """

    suffix: str
    module: str
    stateful: bool = False
    int8: bool = False
    raw: bool = False


FORMATS = {
    "c": Format(".c", "c.files", int8=True),
    "nir": Format(".nir", "nir_file", raw=True),
    "onnx": Format(".onnx", "onnx_file", stateful=True, raw=True),
    "torch": Format(".pt2", "program", stateful=True, raw=True),
}
"""By the name that `tempreg export --format` takes."""
HUB = "hub"
"""What it takes for a folder to publish, see `tempreg.runs.hub`: of the run, not of its network."""
