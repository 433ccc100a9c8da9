"""Benchmarks: what tempreg costs, beside the floor and beside other libraries; `tempreg bench`.

Two or more ways to do the same thing run in turn in one process, after it was checked that they
give the same result; what is reported is ratios. Each part is a module with a function
`measure(results, quick)`. Imports nothing heavy.
"""

from __future__ import annotations

PARTS = {
    "import": "import of tempreg over import of torch, and tempreg --help",
    "penalty": "the penalty against its definition as a loop, and its share of a training step",
    "lif": "LIF forward and backward, every backend, against ReLU and other libraries",
    "step": "a training step of vggsnn and resnet19 against ReLU and other libraries",
    "pages": "a training step with huge pages asked for, as commands do, and without",
    "inference": "one recording: latency by timestep, throughput, early exit",
    "sparse": "convolutions that walk non-zeros against torch's, alone and in trained networks",
    "bf16": "a convolution and training steps in bf16 against float32",
    "memory": "a training step that computes layers or time again, or truncates, over T",
    "scaling": "time and memory over T, batch, width and depth, with the fitted exponent",
}
"""What each part measures, by name; in the order they run."""

MODULES = {name: f"tempreg.bench.{name}" for name in PARTS} | {
    "import": "tempreg.bench.start",  # import is no name for a module
}
