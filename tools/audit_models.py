"""Audits every built-in network at a size that it is made for, and says how long that took.

python tools/audit_models.py [NAME ...]
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import tempreg
from tempreg.models import MODELS

SIZES = {
    "csnn": 34,
    "vggsnn": 48,
    "resnet19": 32,
    "sew_resnet18": 64,
    "sew_resnet34": 64,
    "ms_resnet18": 64,
    "spikformer": 32,
    "spike_driven_transformer": 32,
    "qkformer": 32,
    "rsnn": 34,
}
SMALLER: dict[str, dict[str, int]] = {
    "spikformer": {"width": 96, "depth": 1},
    "spike_driven_transformer": {"width": 96, "depth": 1},
    "qkformer": {"width": 96, "depth": 3},
    "ms_resnet18": {"width": 16},
}
"""Networks of any width, audited where that takes seconds."""


def main() -> int:
    failed = 0
    for name in sys.argv[1:] or MODELS:
        torch.manual_seed(0)
        size = SIZES[name]
        model = tempreg.create_model(
            name,
            num_classes=10,
            in_channels=2,
            num_steps=4,
            input_size=size,
            **SMALLER.get(name, {}),
        )
        began, used = time.perf_counter(), time.process_time()
        audit = tempreg.audit(model, torch.rand(4, 2, 2, size, size))
        took, cpu = time.perf_counter() - began, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        said = "passes" if audit.passed else f"FAILS\n{audit.table()}"
        print(
            f"{name} at {size} x {size}, T 4: {said}, {took:.1f} s ({cpu:.1f} s of processors), "
            f"peak memory so far {peak:.0f} MiB",
            flush=True,
        )
        failed += not audit.passed
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
