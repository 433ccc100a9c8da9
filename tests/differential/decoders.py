"""Readers of other people, each as a function from a path to events [N, 4]: t, x, y, p."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.differential import plain, plain_aedat
from tests.differential.guarded import Guarded
from tests.differential.stream import Event

Decoder = Callable[[Path], NDArray[np.int64]]


def columns(t: Any, x: Any, y: Any, p: Any) -> NDArray[np.int64]:
    """Side by side."""
    return np.stack([np.asarray(each).astype(np.int64) for each in (t, x, y, p)], axis=1)


def fields(events: NDArray[Any]) -> NDArray[np.int64]:
    """Of a structured array, by the names that these libraries use."""
    names = events.dtype.names or ()
    t = "t" if "t" in names else "timestamp"
    p = next(name for name in ("p", "on", "polarity") if name in names)
    return columns(events[t], events["x"], events["y"], events[p])


def ours_in_words(decode: Callable[[bytes], list[Event]]) -> Decoder:
    """One of `plain`."""
    return lambda path: np.array(decode(path.read_bytes()), np.int64).reshape(-1, 4)


def faery(path: Path) -> NDArray[np.int64]:
    """faery: .raw, .dat, .aedat4."""
    import faery as library

    stream = library.events_stream_from_file(path, dimensions_fallback=(2048, 2048))
    packets = [packet.copy() for packet in stream]
    return fields(np.concatenate(packets)) if packets else np.empty((0, 4), np.int64)


def faery_csv(path: Path) -> NDArray[np.int64]:
    """faery, which is told where each column is."""
    import faery as library

    names = path.read_text().splitlines()[0].split(",")
    properties = library.CsvProperties.default()
    properties.t_index, properties.x_index = names.index("t"), names.index("x")
    properties.y_index, properties.on_index = names.index("y"), names.index("p")
    stream = library.events_stream_from_file(
        path, dimensions_fallback=(2048, 2048), csv_properties=properties
    )
    packets = [packet.copy() for packet in stream]
    return fields(np.concatenate(packets)) if packets else np.empty((0, 4), np.int64)


def expelliarmus(encoding: str) -> Decoder:
    """expelliarmus: dat, evt2 and evt3."""
    from expelliarmus import Wizard

    return Guarded(lambda path: fields(Wizard(encoding).read(path)))


def evt3(path: Path) -> NDArray[np.int64]:
    """evt3."""
    import evt3 as library

    found = library.decode_file(str(path))
    return columns(found.timestamp, found.x, found.y, found.polarity)


def evutils(path: Path, **options: Any) -> NDArray[np.int64]:
    """evutils, which raises for a damaged packet instead of a warning."""
    from evutils.io import EventReader

    found = EventReader(path, strict=True, **options).read_all()
    found = found[0] if isinstance(found, tuple) else found
    return columns(found.t, found.x, found.y, found.p)


def evutils_dvs128(path: Path) -> NDArray[np.int64]:
    """Addresses of jAER count from below and from the right, and have 0 for ON."""
    is_2 = path.read_bytes().startswith(b"#!AER-DAT2")
    found = evutils(path, **({"layout": "dvs128"} if is_2 else {}))
    return columns(found[:, 0], 127 - found[:, 1], 127 - found[:, 2], 1 - found[:, 3])


def tonic() -> ModuleType:
    """tonic.io alone: the whole of tonic would want its other dependencies."""
    if "tonic_io" not in sys.modules:
        package = importlib.util.find_spec("tonic")
        assert package is not None
        assert package.submodule_search_locations
        file = Path(package.submodule_search_locations[0], "io.py")
        spec = importlib.util.spec_from_file_location("tonic_io", file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules["tonic_io"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["tonic_io"])
        # It returns three values where tonic 1.7.0's own readers take two.
        theirs = sys.modules["tonic_io"].read_aedat_header_from_file
        sys.modules["tonic_io"].read_aedat_header_from_file = lambda path: theirs(path)[:2]
    return sys.modules["tonic_io"]


def tonic_mnist(path: Path) -> NDArray[np.int64]:
    """Its reader of N-MNIST."""
    return fields(tonic().read_mnist_file(str(path), tonic().events_struct))


def tonic_dvs128(path: Path) -> NDArray[np.int64]:
    """Its DVS128 has x and y exchanged, and both as they are in the address."""
    _, found = tonic().read_dvs_128(str(path))
    t, x, y, p = fields(found).T
    return columns(t, 127 - y, 127 - x, 1 - p)


def tonic_packets(path: Path) -> NDArray[np.int64]:
    """Its reader of DVS128 Gesture's AEDAT 3.1."""
    return fields(tonic().read_dvs_ibm(str(path))[1])


def dv_processing(path: Path) -> NDArray[np.int64]:
    """The maker's own library for AEDAT 4."""
    import dv_processing as dv

    reader, parts = dv.io.MonoCameraRecording(str(path)), []
    while (batch := reader.getNextEventBatch()) is not None:
        parts.append(fields(batch.numpy()))
    return np.concatenate([np.empty((0, 4), np.int64), *parts])


def evio_mnist(path: Path) -> NDArray[np.int64]:
    """evio's reader of N-MNIST."""
    from evio.formats import nmnist

    return fields(nmnist.read(path))


def numpy_npz(path: Path) -> NDArray[np.int64]:
    """numpy.load and nothing else."""
    with np.load(path) as held:
        return columns(*(held[name] for name in "txyp"))


PLAIN = "plain (ours, from the description)"
OF_RAW = ours_in_words(plain.raw_file)
OF_AEDAT = ours_in_words(plain_aedat.aedat)
DECODERS: dict[str, dict[str, Decoder]] = {
    "EVT 2.0": {
        PLAIN: OF_RAW,
        "faery": faery,
        "expelliarmus": expelliarmus("evt2"),
        "evutils": evutils,
    },
    "EVT 2.1": {PLAIN: OF_RAW, "evutils": evutils},
    "EVT 3.0": {
        PLAIN: OF_RAW,
        "faery": faery,
        "expelliarmus": expelliarmus("evt3"),
        "evt3": evt3,
        "evutils": evutils,
    },
    "Prophesee .dat": {
        PLAIN: ours_in_words(plain.dat_file),
        "faery": faery,
        "expelliarmus": expelliarmus("dat"),
        "evutils": evutils,
    },
    "N-MNIST .bin": {
        PLAIN: ours_in_words(plain_aedat.forty_bit),
        "tonic": tonic_mnist,
        "evio": evio_mnist,
    },
    "AEDAT 1": {PLAIN: OF_AEDAT, "evutils": evutils_dvs128},
    "AEDAT 2": {PLAIN: OF_AEDAT, "tonic": tonic_dvs128, "evutils": evutils_dvs128},
    "AEDAT 3.1": {PLAIN: OF_AEDAT, "tonic": tonic_packets, "evutils": evutils},
    "AEDAT 4": {"faery": faery, "dv-processing": dv_processing, "evutils": evutils},
    "HDF5": {"evutils": evutils},
    ".npz": {"NumPy": numpy_npz},
    ".csv": {"faery": faery_csv, "evutils": evutils},
}


def answer(decode: Decoder, path: Path) -> NDArray[np.int64] | str:
    """Events, or what was raised; what it prints is dropped."""
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return decode(path)
    except BaseException as error:  # other libraries' errors have no base in common
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {error}"
