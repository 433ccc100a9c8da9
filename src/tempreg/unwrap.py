"""Finds the user's model inside what runs it: DDP, DataParallel, torch.compile, Fabric."""

from __future__ import annotations

from torch import nn

_WRAPPER_PACKAGES = (
    "torch.nn.parallel.",
    "torch.distributed.",
    "lightning_fabric.",
    "lightning.fabric.",
)


def unwrap(model: nn.Module) -> nn.Module:
    """The innermost model, whose parameter names are those that its author gave."""
    while True:
        compiled = model._modules.get("_orig_mod")
        kind = f"{type(model).__module__}."
        if compiled is not None and kind.startswith("torch._dynamo."):
            model = compiled
        elif kind.startswith(_WRAPPER_PACKAGES) and isinstance(
            inner := getattr(model, "module", None), nn.Module
        ):
            model = inner
        else:
            return model
