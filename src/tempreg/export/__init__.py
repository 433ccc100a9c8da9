"""A trained network in the formats of other tools: NIR, ONNX, a torch.export program.

Modules and plain arguments come in, files go out; which run they are of is `runs.export`'s.
The functions load on first use, for the command's help lists the formats only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tempreg.export.errors import ExportError

if TYPE_CHECKING:
    from tempreg.export.any_module import nir, onnx, torch

__all__ = ["ExportError", "nir", "onnx", "torch"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from tempreg.export import any_module

        return getattr(any_module, name)
    raise AttributeError(f"module 'tempreg.export' has no attribute {name!r}")
