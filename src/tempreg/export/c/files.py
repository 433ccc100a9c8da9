"""`tempreg export --format c`: NAME.c, NAME.h and NAME_weights.h beside each other."""

from __future__ import annotations

import re

import numpy as np

from tempreg.errors import RequestError
from tempreg.export.c.emit import Answer, emitted
from tempreg.export.c.graph import graph_of
from tempreg.export.request import Request
from tempreg.files import write_text

NEVER = 2.0
"""A confidence that no answer reaches."""


def write(request: Request) -> list[str]:
    """See `formats.Format`. `net_decide` answers as the run was calibrated, else at the end.

    Raises:
        RequestError: a prefix or a file name that C can't have; ExportError among them, where the
            runtime doesn't know the network, or int8 can't hold it.
    """
    model, stem = request.network, request.file.stem
    if not re.fullmatch(r"[A-Za-z_]\w*", request.prefix, re.ASCII):
        raise RequestError(
            f"--prefix {request.prefix!r} is no name in C: letters, digits and _, no digit first"
        )
    if not re.fullmatch(r"[\w.-]+", stem, re.ASCII) or request.file.suffix != ".c":
        raise RequestError(
            f"--out {request.file}: the C files include each other by name, so give one of letters "
            "and digits that ends in .c"
        )
    channels = np.ones(getattr(model, "in_channels", 1))
    scaling = (1.0, 0.0) if request.raw else (request.scale, request.offset)
    scale, offset = (channels * np.asarray(v, float) for v in scaling)
    graph = graph_of(model, request.input_size, scale, offset)
    steps = model.num_steps
    thresholds = request.thresholds or [NEVER] * steps
    answer = Answer(request.classes, steps, thresholds, request.temperatures or [1.0] * steps)
    kind = "int8 weights, int32 potentials" if request.int8 else "float32"
    about = [
        f"A spiking network ({type(model).__name__}, {kind}) written by tempreg.",
        f"Include {stem}.h; compile {stem}.c as C99 with -O3, link with -lm.",
    ]
    files = emitted(graph, answer, prefix=request.prefix, stem=stem, int8=request.int8, about=about)
    write_text(request.file.with_name(f"{stem}_weights.h"), files.weights)
    write_text(request.file.with_name(f"{stem}.h"), files.header)
    write_text(request.file, files.source)
    frame = f"{[model.in_channels, *request.input_size]}"
    images = "standardised" if request.raw else "pixels 0 ... 255"
    meant = "events counted" if request.events else images
    early = "as calibrated" if request.thresholds else f"after {steps} timesteps"
    return [
        f"C99: {stem}.c, {stem}.h, {stem}_weights.h; {kind}; frames {frame} ({meant}), one "
        f"timestep a call of {request.prefix}_step; it answers {early}; docs/export.md"
    ]
