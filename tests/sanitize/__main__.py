"""`python -m tests.sanitize`: every C kernel on random inputs, and random networks' exported C.

Kernels go through the property tests of tests/oracle, which hold them to their references, compiled
with the sanitizers; in rounds of other seeds, until the minutes are spent. What a sanitizer says
ends its process, so the exit code is 1 where anything was seen.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.attacks import ROOT
from tests.sanitize.environment import sanitized
from tests.sanitize.exported import Tally, try_one

KERNELS = {
    "lif.c": "tests/oracle/test_lif_backends.py",
    "lif.c and norm_lif.c of bfloat16": "tests/oracle/test_bfloat16.py",
    "norm_lif.c": "tests/oracle/test_norm_lif.py",
    "penalty.c": "tests/oracle/test_penalty.py",
    "pool.c": "tests/oracle/test_pool.py",
    "sparse.c": "tests/oracle/test_sparse_conv.py",
    "step.c": "tests/oracle/test_step_kernel.py",
}
"""By kernel, the tests that run it on random shapes, densities, timesteps and layouts."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sanitize", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20, help="half for each (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, default=ROOT / "build" / "sanitize.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        kernels = _kernels(Path(cache), args.seed, 30 * args.minutes)
    tally = _exported(args.seed, 30 * args.minutes)
    args.log.parent.mkdir(parents=True, exist_ok=True)
    args.log.write_text(json.dumps({"kernels": kernels, "exported": vars(tally)}, indent=1) + "\n")
    failed = [name for name, found in kernels.items() if found["failed"]]
    print(f"kernels: {kernels}\nexported: {tally}")
    return 1 if failed or tally.faults else 0


def _kernels(cache: Path, seed: int, seconds: float) -> dict[str, dict[str, object]]:
    """Rounds, tests and failures by kernel."""
    found: dict[str, dict[str, object]] = {name: {"rounds": 0, "failed": []} for name in KERNELS}
    end, rounds = time.monotonic() + seconds, 0
    while rounds == 0 or time.monotonic() < end:
        for name, tests in KERNELS.items():
            words = [
                sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests,
                "--hypothesis-profile", "other-seeds", f"--hypothesis-seed={seed + rounds}",
            ]  # fmt: skip
            done = subprocess.run(
                words, cwd=ROOT, env=sanitized(cache), capture_output=True, text=True, check=False
            )
            found[name]["rounds"] = rounds + 1
            last = (done.stdout.strip().splitlines() or [""])[-1]
            if done.returncode != 0:
                said = f"seed {seed + rounds}: {last} {done.stderr[-1500:]}"
                found[name]["failed"] = [*found[name]["failed"], said]  # type: ignore[misc]
            print(f"{name}: round {rounds + 1}: {last}", flush=True)
        rounds += 1
    return found


def _exported(seed: int, seconds: float) -> Tally:
    tally, end, number = Tally(), time.monotonic() + seconds, 0
    while number == 0 or time.monotonic() < end:
        try_one(number, seed, tally)
        number += 1
    return tally


if __name__ == "__main__":
    sys.exit(main())
