"""Packs what an unfinished study needs to go on elsewhere and to be evaluated, without weights.

    python benchmarks/studies/keep.py STUDY FILE.tar.xz [--weights ARM,ARM --replicates N]
    tar -xJf FILE.tar.xz -C FOLDER_OF_STUDIES        # then the study's script again

A finished run is one that has a summary.json: it isn't trained again. Of its other files the
settings, metrics, analyses and which test items it got right are kept; with --weights the weights
of some arms' first N replicates too, for analyses that are made later.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

SMALL = ("config.yaml", "summary.json", "metrics.jsonl", "data.json", "environment.json")


def files(study: Path, arms: set[str], replicates: int) -> Iterator[Path]:
    """What is kept, in an order in which like files lie side by side."""
    yield from (p for p in sorted(study.iterdir()) if p.suffix in {".yaml", ".json", ".csv"})
    runs = [p.parent for p in sorted(study.glob("*/*/*/summary.json"))]
    for name in SMALL:
        yield from (run / name for run in runs)
    for run in runs:
        yield from sorted((run / "analysis").glob("*.json*"))
        yield from (run / n for n in ("test_items.npz",) if run.parts[-3] == "runs")
        if run.parts[-2] in arms and int(run.name) < replicates:
            yield run / "model.safetensors"
    yield from sorted(study.glob("runs/*/*.analysed"))


def content(path: Path) -> bytes:
    """A file's bytes; of test items, without the probabilities, which are most of it."""
    if path.name != "test_items.npz":
        return path.read_bytes()
    with np.load(path) as arrays:
        kept = {name: arrays[name] for name in ("correct", "items", "labels")}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **kept)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--weights", default="", help="arms whose weights are kept too")
    parser.add_argument("--replicates", type=int, default=5, help="of how many repetitions")
    words = parser.parse_args()
    arms = set(filter(None, words.weights.split(",")))
    with tarfile.open(words.file, "w:xz", preset=9) as archive:
        for path in files(words.study, arms, words.replicates):
            data = content(path)
            info = tarfile.TarInfo(str(path.relative_to(words.study.parent)))
            info.size, info.mtime = len(data), int(path.stat().st_mtime)
            archive.addfile(info, io.BytesIO(data))


if __name__ == "__main__":
    main()
