"""What a run was computed with: recorded, so that a difference can be explained later."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_PACKAGES = (
    "tempreg",
    "torch",
    "lightning-fabric",
    "numpy",
    "scipy",
    "safetensors",
    "cattrs",
    "pyyaml",
    "pillow",
    "matplotlib",
    "jinja2",
    "markupsafe",
    "rich",
    "argcomplete",
    "requests",
    "urllib3",
    "typing-extensions",
    "kornia",
    "tonic",
    "aedat",
    "h5py",
    "curvlinops-for-pytorch",
    "nir",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "triton",
    "tensorboard",
)
"""What tempreg imports, with its extras; null where it is not installed."""


def environment(
    backend: str,
    device: torch.device,
    processes: int,
    precision: str = "32-true",
    conv: str = "dense",
) -> dict[str, Any]:
    """Versions, commit, hardware, threads, and how it is computed, as was chosen: plain data.

    `packages` is what `pip install NAME==VERSION ...` needs; of torch without what follows a plus,
    which names the device that it was built for, as `torch` does.

    `processes` train together; what is said of device and threads is this one's.
    """
    return {
        "backend": backend,
        "conv": conv,
        "device": str(device),
        "device_name": (
            torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
        ),
        "torch": torch.__version__,
        "cpu_count": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch_threads": torch.get_num_threads(),
        "processes": processes,
        "precision": precision,
        "tf32": _tf32() if device.type == "cuda" else None,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "command": sys.argv,
    }


def _tf32() -> dict[str, bool]:
    """Which float32 operations of a GPU are computed in TF32."""
    return {
        "convolutions": torch.backends.cudnn.allow_tf32,
        "matrix_products": torch.backends.cuda.matmul.allow_tf32,
    }


def peak_memory_mb(device: torch.device) -> float | None:
    """The most memory held so far in MiB, by torch on a GPU, else by this process.

    None where the system doesn't say (Windows).
    """
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _commit() -> str | None:
    """The git commit that tempreg runs from, with "-dirty" where files differ from it.

    None where tempreg is installed and its version says all, or there is no git.
    """
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    words = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    words += ["--exclude", "*"]
    try:
        found = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return found.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return version(package).partition("+")[0] if package == "torch" else version(package)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """Its name, as well as the system tells."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a path of ours
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
