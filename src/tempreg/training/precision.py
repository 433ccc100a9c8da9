"""Arithmetic in float64 up to the loss; and loss scaling under float16 that finds no scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from lightning_fabric.plugins import DoublePrecision, Precision


LEAST_SCALE = 2.0**-14
"""Of a loss under float16: 30 overflows below the scale that it begins with."""


def scale_is_lost(precision: Precision) -> bool:
    """Whether gradients overflowed again and again, so that the scaler skips every step."""
    scaler = getattr(precision, "scaler", None)
    return scaler is not None and float(scaler.get_scale()) < LEAST_SCALE


def whole_double() -> DoublePrecision:
    """Fabric's "64-true" whose networks return float64: its own returns float32, which rounds
    each gradient to 7 digits."""
    from lightning_fabric.plugins import DoublePrecision  # loads dynamo, which takes seconds

    @final
    class WholeDouble(DoublePrecision):
        """Final."""

        def convert_output(self, data: Any) -> Any:
            """As it is."""
            return data

    return WholeDouble()
