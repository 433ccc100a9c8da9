"""What some networks can be made with: how wide, how deep, whether spikes come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from tempreg.options.field import setting


@dataclass(frozen=True)
class SizeOptions:
    """Settings of some networks; each null is the network's own value, that of its publication."""

    width: int | None = setting(
        None,
        "transformers: channels of a token; ms_resnet18 and vggsnn: of the first convolution",
        ">= 8, at most 65536 or null",
    )
    depth: int | None = setting(None, "transformers: blocks", ">= 1, at most 1024 or null")
    heads: int | None = setting(
        None, "transformers: heads of attention", ">= 1, at most 65536 or null"
    )
    poolings: int | None = setting(
        None,
        "spikformer and spike_driven_transformer: how often H and W are halved before tokens are "
        "made",
        ">= 0, at most 4 or null",
    )
    recurrent: bool = setting(True, "rsnn: spikes come back to their layer a timestep later")


class SizeKeywords(TypedDict, total=False):
    """Keyword arguments of networks; see `SizeOptions`."""

    width: int | None
    depth: int | None
    heads: int | None
    poolings: int | None
    recurrent: bool
