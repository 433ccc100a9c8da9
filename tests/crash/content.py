"""What a folder holds: what must be equal bit for bit, and whether files are whole."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load

from tempreg.data.frames.cache import opened

TIMES = {"at", "seconds", "peak_memory_mb"}
NEVER_THE_SAME = {"environment.json", "costs.csv"}
"""Files that tell when, where and how fast."""


def contents(box: Path, *, study: bool) -> dict[str, str]:
    """A digest of each file below the box, times left out.

    Not of logs, compiled kernels, what is hidden, and notes of when recordings were changed; nor,
    in a `study` that was trained anew, of its page, which shows times.
    """
    found = {}
    for path in sorted(p for p in box.rglob("*") if p.is_file()):
        name = path.relative_to(box).as_posix()
        timely = path.name in NEVER_THE_SAME or path.suffix in (".log", ".so", ".content")
        hidden = any(part.startswith(".") for part in path.relative_to(box).parts)
        if timely or hidden or (study and path.name == "report.html"):
            continue
        found[name] = hashlib.sha256(_lasting(path, box)).hexdigest()
    return found


def _lasting(path: Path, box: Path) -> bytes:
    """A file's bytes, or those of what it holds without times."""
    if path.name == "metrics.jsonl":
        *lines, rest = path.read_text().split("\n")
        return repr([*(_timeless(json.loads(line)) for line in lines), rest]).encode()
    if path.name == "curves.csv":
        return "".join(x for x in path.read_text().splitlines(True) if "seconds," not in x).encode()
    if path.name == "study.yaml":
        held = yaml.safe_load(path.read_text())
        grown = [_timeless(addition) for addition in held.get("added", [])]
        return repr({**held, "added": grown}).encode()
    if path.name == "mine.yaml":  # of `import`, which names the graph by its whole path
        return path.read_bytes().replace(bytes(box.resolve()), b"BOX")
    if path.name == "summary.json":
        return repr(_timeless(json.loads(path.read_text()))).encode()
    if path.suffix == ".pt":
        held = torch.load(path, weights_only=True)
        held["position"] = _timeless(held["position"])
        return _flat(held)
    return path.read_bytes()


def _timeless(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in TIMES}


def _flat(value: Any) -> bytes:
    if isinstance(value, torch.Tensor):
        return repr((value.dtype, value.shape)).encode() + value.contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return b"".join(repr(key).encode() + _flat(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return b"".join(_flat(item) for item in value)
    return repr(value).encode()


def leftovers(box: Path) -> list[str]:
    """Hidden files and folders below the box that no command means to keep."""
    kept = {".lock", ".fetched.json"}
    hidden = (p for p in box.rglob(".*") if p.name not in kept)
    return sorted(p.relative_to(box).as_posix() for p in hidden)


def halves(box: Path) -> list[str]:
    """Files with a final name that aren't whole."""
    names = ((p, p.relative_to(box)) for p in sorted(box.rglob("*")) if p.is_file())
    return [
        name.as_posix()
        for path, name in names
        if not any(part.startswith(".") for part in name.parts) and not _whole(path)
    ]


def _whole(path: Path) -> bool:
    """Whether a file can be read; of the lines of a file that grows, all but the last."""
    raw = path.read_bytes()
    try:
        match path.suffix:
            case ".json":
                json.loads(raw)
            case ".jsonl":
                for line in raw[: raw.rfind(b"\n") + 1].splitlines():
                    json.loads(line)
            case ".yaml":
                return isinstance(yaml.safe_load(raw), dict)
            case ".csv":
                rows = [*csv.reader(io.StringIO(raw.decode()))]
                return raw.endswith(b"\n") and len({len(row) for row in rows}) == 1
            case ".safetensors":
                load(raw)
            case ".pt":
                torch.load(io.BytesIO(raw), weights_only=True)
            case ".npz":
                with np.load(io.BytesIO(raw), allow_pickle=False) as file:
                    return all(file[name].size for name in file.files)
            case ".html" | ".svg":
                return raw.rstrip().endswith((b"</html>", b"</svg>"))
            case ".frames":
                return opened(path) is not None
            case _:
                return bool(raw) or path.suffix == ".log"
    except (ValueError, RuntimeError, EOFError, SafetensorError, pickle.UnpicklingError,
            zipfile.BadZipFile, yaml.YAMLError):  # fmt: skip
        return False
    return True
