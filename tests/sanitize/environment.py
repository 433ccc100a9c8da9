"""A process in which C that Python loads is watched by the sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.crash.attacks import WITH_PROJECT

COMPILER = "gcc"
FLAGS = "-g -fsanitize=address,undefined -fno-sanitize-recover=all"


def sanitized(cache: Path) -> dict[str, str]:
    """The environment: kernels are compiled into `cache` with the sanitizers, whose libraries are
    loaded before Python's own. One thread, for OpenMP has none in a kernel built so."""
    return {
        **WITH_PROJECT,
        "CC": f"{COMPILER} {FLAGS}",
        "LD_PRELOAD": " ".join(map(_library, ("libasan.so", "libubsan.so"))),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python frees little at its end
        "TEMPREG_CACHE_DIR": str(cache),
        "OMP_NUM_THREADS": "1",
    }


def _library(name: str) -> str:
    found = subprocess.run(
        [COMPILER, f"-print-file-name={name}"], check=True, capture_output=True, text=True
    )
    return found.stdout.strip()
