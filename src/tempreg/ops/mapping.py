"""vmap for autograd functions whose passes take one tensor at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def one_by_one(
    function: type[torch.autograd.Function], info: Any, dims: tuple[Any, ...], args: tuple[Any, ...]
) -> tuple[Any, Any]:
    """Each slice of the mapped arguments on its own; the results stacked along dimension 0."""
    results = [
        function.apply(
            *(
                a.select(dim, index) if isinstance(a, Tensor) and dim is not None else a
                for a, dim in zip(args, dims, strict=True)
            )
        )
        for index in range(info.batch_size)
    ]
    if isinstance(results[0], Tensor):
        return torch.stack(results), 0
    return tuple(map(torch.stack, zip(*results, strict=True))), (0,) * len(results[0])
