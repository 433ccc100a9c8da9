"""How a GPU computes with float32, and whether it gives the same bits each time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def arithmetic(device: str, *, tf32: bool, deterministic: bool = False) -> Iterator[None]:
    """Inside, a device of this type computes so; of a CPU nothing is changed.

    Args:
        device: "cpu", "cuda".
        tf32: convolutions of float32 in TF32; matrix products stay as torch has them.
        deterministic: operations of which torch has such that sum in one order; it warns of those
            that have none. cuBLAS then has a workspace of its own, and cuDNN looks for no quicker
            way. Begin before the first operation: cuBLAS reads its setting once.
    """
    if device == "cpu":
        yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark
    strict = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn.allow_tf32 = tf32
    if deterministic:
        os.environ.setdefault(_WORKSPACE, ":4096:8")
        cudnn.deterministic, cudnn.benchmark = True, False
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = before
        torch.use_deterministic_algorithms(strict, warn_only=warned)
