"""`python -m tests.sanitize.coverage`: which lines of the C kernels their tests run, by gcov.

What a processor lacks (AVX-512, where there is none) isn't compiled, and isn't counted.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tempreg.ops.cbuild import KERNELS
from tests.crash.attacks import ROOT, WITH_PROJECT
from tests.sanitize.__main__ import KERNELS as TESTED

COMPILER = """#!/bin/sh
# Keeps what gcov needs of an object that is linked and thrown away. Without OpenMP, for gcov leaves
# out the functions that its loops become.
gcc --coverage "$@" -O0 -fno-openmp || exit
while [ $# -gt 0 ]; do
  if [ "$1" = -o ]; then
    notes="${2%.o}.gcno"
    if [ -f "$notes" ]; then
      kept="$KEPT/$(basename "$(dirname "$2")")"
      mkdir -p "$kept" && cp "$notes" "$kept"
    fi
  fi
  shift
done
"""
Lines = dict[str, dict[int, bool]]
"""By source file, each line that was compiled, and whether it ran."""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = measured(Path(folder).resolve(), sorted(set(TESTED.values())))
    print("| Source | lines | run |\n| --- | ---: | ---: |")
    for name, lines in sorted(found.items()):
        print(f"| {name} | {len(lines)} | {100 * sum(lines.values()) / len(lines):.0f}% |")
        print(f"{name} never: {[n for n, ran in lines.items() if not ran]}", file=sys.stderr)
    every = [ran for lines in found.values() for ran in lines.values()]
    print(f"| all | {len(every)} | {100 * sum(every) / len(every):.1f}% |")
    return 0


def measured(folder: Path, tests: list[str]) -> Lines:
    """The lines of kernels that these tests run."""
    compiler, cache, kept = folder / "cc", folder / "cache", folder / "kept"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    depth = len((cache / "kernels").parts) - 1  # of the scratch folders' parent, which is left out
    environment = {
        **WITH_PROJECT, "CC": str(compiler), "TEMPREG_CACHE_DIR": str(cache), "KEPT": str(kept),
        "GCOV_PREFIX": str(kept), "GCOV_PREFIX_STRIP": str(depth), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    subprocess.run(words, cwd=ROOT, env={**os.environ, **environment}, check=True)
    found: Lines = {}
    for data in sorted(kept.rglob("*.gcda")):
        _add(found, data)
    return found


def _add(found: Lines, data: Path) -> None:
    """A kernel of one element type; a line has run if it did in any."""
    words = ["gcov", "--json-format", "--preserve-paths", data.name]
    subprocess.run(words, cwd=data.parent, check=True, capture_output=True)
    for path in data.parent.glob("*.gcov.json.gz"):
        with gzip.open(path) as file:
            read = json.load(file)
        for source in read["files"]:
            name = Path(source["file"])
            if KERNELS in name.parents:
                lines = found.setdefault(name.name, {})
                for line in source["lines"]:
                    number = line["line_number"]
                    lines[number] = lines.get(number, False) or line["count"] > 0
        path.unlink()


if __name__ == "__main__":
    sys.exit(main())
