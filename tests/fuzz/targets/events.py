"""Readers of recordings, and of the tables that come with them."""

from __future__ import annotations

import importlib.util
import io
import random
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from tempreg.cli.events_in import Lines
from tempreg.data.errors import DataError
from tempreg.data.formats.recordings import READERS, read_recording
from tempreg.data.formats.spoken import read_spoken, spoken_recordings
from tempreg.data.sources.events import DVS128Gesture
from tests.fuzz.targets.base import Target, inside, made_by
from tests.unit.data.formats.recordings import test_event_files as layouts


def events() -> list[Target]:
    """See this module."""
    made = {
        ".bin": [layouts.forty_bit], ".bs2": [layouts.forty_bit],
        ".aedat": [layouts.dvs128, lambda e: layouts.dvs128(e, 1), layouts.aedat3],
        ".aedat2": [layouts.dvs128], ".aedat4": [layouts.aedat4], ".dat": [layouts.dat],
        ".raw": [layouts.evt2, layouts.evt3], ".npy": [_npy], ".npz": [_npz],
        ".h5": [_h5], ".hdf5": [_h5], ".csv": [_csv], ".mat": [_mat],
    }  # fmt: skip
    assert made.keys() == READERS.keys()

    def target(suffix: str) -> Target:
        return Target(
            f"recording {suffix}", f"a{suffix}",
            lambda: [make(_recording()) for make in made[suffix]],
            lambda folder: read_recording(folder / f"a{suffix}"),
        )  # fmt: skip

    def gestures(folder: Path) -> None:
        for user in ("user01_led", "user02_led"):
            (folder / f"{user}.aedat").touch()
            labels = "class,startTime_usec,endTime_usec\n1,100,300\n11,500,520\n"
            (folder / f"{user}_labels.csv").write_text(labels)
        (folder / "trials_to_train.txt").write_text("user01_led.aedat\n")
        (folder / "trials_to_test.txt").write_text("user02_led.aedat\n")

    def gesture_samples(folder: Path) -> None:
        source = DVS128Gesture()
        if absent := source.missing(folder):
            raise DataError(absent[0])
        inside(folder, [sample.path for sample in source.samples(folder)[1]])

    def gesture(name: str, file: str) -> Target:
        return Target(name, file, lambda: made_by(gestures, file), gesture_samples, gestures)

    return [
        *(target(suffix) for suffix in made if suffix not in (".hdf5", ".aedat2")),
        gesture("trials (DVS128 Gesture)", "trials_to_train.txt"),
        gesture("labels (DVS128 Gesture)", "user01_led_labels.csv"),
        Target(
            "utterances .h5",
            "a.h5",
            lambda: [_spoken()],
            _read_spoken,
        ),
        Target("events in lines", "events", lambda: [_lines()], _read_lines),
        *([Target("graph .nir", "a.nir", lambda: [_graph()], _read_graph)] if _NIR else []),
    ]


_NIR = importlib.util.find_spec("nir") is not None


def _lines() -> bytes:
    return b"".join(b"%d, %d %d\t%d\n" % tuple(row) for row in _recording().tolist())


def _read_lines(folder: Path) -> None:
    """As a sender's: in pieces of any size."""
    given, lines = (folder / "events").read_bytes(), Lines()
    sizes = random.Random(len(given))
    while given:
        size = sizes.choice((1, 7, 300, 5000))
        lines.events(given[:size])
        given = given[size:]
    lines.end()
    if lines.malformed:  # which a stream counts, and goes on
        raise DataError(f"{lines.malformed} lines are no events")


def _graph() -> bytes:
    import nir

    per_neuron = [np.full(3, value) for value in (4e-3, 1.0, 0.0, 1.0, 0.0)]
    graph = nir.NIRGraph.from_list(nir.Affine(np.ones((3, 16)), np.zeros(3)), nir.LIF(*per_neuron))
    held = io.BytesIO()
    nir.write(held, graph)
    return held.getvalue()


def _read_graph(folder: Path) -> None:
    from tempreg.interop.nir_graphs import FromNIR

    FromNIR(folder / "a.nir")


@cache
def _recording() -> layouts.Events:
    rng = np.random.default_rng(3)
    t = np.sort(rng.integers(0, 300_000, 60))
    return np.stack([t, *rng.integers(0, 34, (2, 60)), rng.integers(0, 2, 60)], axis=1)


def _npy(events: layouts.Events) -> bytes:
    out = io.BytesIO()
    np.save(out, events)
    return out.getvalue()


def _npz(events: layouts.Events) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **dict(zip("txyp", events.T, strict=True)))
    return out.getvalue()


def _h5(events: layouts.Events) -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for name, values in zip("txyp", events.T, strict=True):
            file[f"events/{name}"] = values
    return out.getvalue()


def _spoken() -> bytes:
    """Two utterances of the Spiking Heidelberg Digits' layout."""
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["labels"] = np.array([1, 0])
        for name, kind in (("times", "f4"), ("units", "u2")):
            rows = file.create_dataset(f"spikes/{name}", (2,), h5py.vlen_dtype(kind))
            rows[0], rows[1] = np.arange(20) / 40, [1, 699]
    return out.getvalue()


def _read_spoken(folder: Path) -> None:
    read_spoken(folder / "a.h5")
    for _ in spoken_recordings(folder / "a.h5", 70):
        pass


def _csv(events: layouts.Events) -> bytes:
    out = io.StringIO()
    np.savetxt(out, events, "%d", ",", header="t,x,y,p", comments="")
    return out.getvalue().encode()


def _mat(events: layouts.Events) -> bytes:
    out = io.BytesIO()
    scipy.io.savemat(out, dict(zip("txyp", events.T, strict=True)), do_compression=True)
    return out.getvalue()
