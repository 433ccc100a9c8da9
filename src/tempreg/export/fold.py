"""Batch norm as part of the convolution before it, for inference."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tempreg.export.errors import ExportError
from tempreg.models.layers import ConvNorm

BY_TIMESTEP = (
    "the norms tebn and tab have parameters of their own for each timestep, which this format "
    "can't say: export all timesteps to onnx or torch, or train with norm bn or tdbn"
)


def folded(unit: ConvNorm, factor: float, gain: float) -> tuple[Tensor, Tensor]:
    """Weights [C_out, C_in, k, k] and biases [C_out] of one convolution, in float64.

        gain * norm(conv(factor * x)) = conv'(x) + bias', with running statistics, where
        w' = w * s * factor,  bias' = gain * beta - mean * s,  s = gain * gamma / sqrt(var + eps)

    Args:
        unit: convolution without bias, then batch norm (or `TdBatchNorm2d`); or one with bias,
            then nothing, and s = gain.
        factor: what its input has yet to be multiplied by, as 1/4 after a 2x2 sum.
        gain: what its output is to be multiplied by.

    Raises:
        ExportError: a norm with parameters by timestep.
    """
    norm = unit.norm
    if unit.timed:
        raise ExportError(BY_TIMESTEP)
    if not isinstance(norm, nn.BatchNorm2d):
        assert unit.conv.bias is not None
        with torch.no_grad():
            return unit.conv.weight.double() * (gain * factor), unit.conv.bias.double() * gain
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = gain * float(getattr(norm, "gain", 1.0))
    with torch.no_grad():
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt() * gain
        weight = unit.conv.weight.double() * scale[:, None, None, None] * factor
        bias = norm.bias.double() * gain - norm.running_mean.double() * scale
    return weight, bias
