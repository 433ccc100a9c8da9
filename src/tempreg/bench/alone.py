"""A measurement in a process of its own: memory, a first call, an import.

    python -m tempreg.bench.alone MODULE WORD ...

prints, as JSON, what the function `alone(WORD, ...)` of tempreg.bench.MODULE returns.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import final

from tempreg.errors import RunStopped

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@final
class ChildFailed(RunStopped):
    """A process that was to measure something ended with an error."""


def alone(module: str, *words: str, environment: Mapping[str, str] | None = None) -> float:
    """What `alone(*words)` of that module returns in a fresh process.

    Raises ChildFailed, with the last line that the process wrote.
    """
    command = [sys.executable, "-m", "tempreg.bench.alone", module, *words]
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise ChildFailed(f"{' '.join(command[2:])} ended with {done.returncode}: {said[-1]}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def measures_memory() -> bool:
    """Whether the system tells a process its peak memory, and lets it start anew (Linux)."""
    return STATUS.exists() and os.access(CLEAR, os.W_OK)


def peak_bytes(work: Callable[[], object]) -> int:
    """The most memory resident during `work` above what was resident before it.

    The kernel's own mark (VmHWM), set back before: unlike `ru_maxrss` it doesn't start at what
    the parent process held. What `work` frees in between counts where it wasn't used again.
    """
    CLEAR.write_text("5")
    before = _high_water()
    work()
    return _high_water() - before


def _high_water() -> int:
    (line,) = (x for x in STATUS.read_text().splitlines() if x.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    result = importlib.import_module(f"tempreg.bench.{sys.argv[1]}").alone(*sys.argv[2:])
    print(json.dumps(result))
