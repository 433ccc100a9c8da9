"""What starting costs: `import tempreg` over `import torch`, and `tempreg --help`."""

from __future__ import annotations

import subprocess
import sys

from tempreg.bench.measure import alternate
from tempreg.bench.results import Results

PROGRAMS = {
    "import torch": "import torch",
    "import tempreg": "import torch, tempreg",
    "tempreg --help": "from tempreg.cli.main import main; main(['--help'])",
}


def measure(results: Results, quick: bool) -> None:
    """Whole processes, in turn; the difference is of medians, and of minima."""

    def process(program: str) -> object:
        return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    works = {name: lambda p=program: process(p) for name, program in PROGRAMS.items()}
    times = alternate(works, rounds=3 if quick else 15)
    results.times("a process", times, "import torch")
    for name, pick in (("least", min), ("median", lambda v: sorted(v)[len(v) // 2])):
        added = pick(times["import tempreg"]) - pick(times["import torch"])
        results.single("time added", f"a process, {name}", "import tempreg", added, "s")
        help_time = pick(times["tempreg --help"])
        results.single("time", f"a process, {name}", "tempreg --help", help_time, "s")
