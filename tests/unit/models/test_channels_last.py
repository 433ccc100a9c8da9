"""Networks under bfloat16 autocast on a CPU: one order of memory throughout, and few copies."""

from __future__ import annotations

from collections import Counter
from typing import Any, final

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils._python_dispatch import TorchDispatchMode

from tempreg import LIF, create_model
from tempreg.models.convolution import channels_last
from tempreg.models.layers import ConvNorm, ConvNormNeuron, norm_factory
from tempreg.models.recompute import packed, unpacked
from tests.conftest import needs_compiler

HALF = torch.bfloat16


@final
class Noted(TorchDispatchMode):
    """Notes which operators gave which tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[str, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        first = result[0] if isinstance(result, tuple) else result
        if isinstance(first, Tensor):
            self.made.append((str(func), first))
        return result

    def of(self, *names: str) -> list[Tensor]:
        return [made for name, made in self.made if any(part in name for part in names)]


def step(name: str, channels: int) -> Noted:
    """The operators of a training step of a small network."""
    torch.manual_seed(0)
    own = {"channels": (8, 16)} if name == "csnn" else {}
    model = create_model(
        name, num_classes=10, in_channels=channels, num_steps=3, input_size=16, **own
    )
    with Noted() as noted:
        with torch.autocast("cpu", HALF):
            outputs = model(torch.randn(3, 2, channels, 16, 16))
        outputs.float().square().sum().backward()
    return noted


@needs_compiler
@pytest.mark.parametrize(("name", "channels"), [("csnn", 2), ("csnn", 1), ("sew_resnet18", 3)])
def test_channels_are_last_throughout(name: str, channels: int) -> None:
    noted = step(name, channels)
    kernels = noted.of("norm_lif_forward", "norm_lif_backward", "average_pool.", "convolution.")
    assert len(kernels) > 5
    for made in kernels:
        assert made.dtype == HALF
        frames = made.flatten(0, 1) if made.ndim == 5 else made
        assert frames.is_contiguous(memory_format=torch.channels_last)
    # Copies of whole maps: the frames, cast and brought into order; a linear head flattens its
    # input, and brings its gradient so.
    copies = [t for t in noted.of("clone", "_to_copy", "contiguous", "copy_") if t.ndim > 3]
    maps = [t for t in copies if t.shape[0] in (3, 6) and t.shape[-1] > 1 and t.shape[-1] != 3]
    assert len(maps) <= 3, [(tuple(t.shape), t.dtype) for t in maps]


def test_weights_are_cast_once_a_step() -> None:
    """Autocast keeps what it cast; every call of the convolution within it finds that."""
    conv = nn.Conv2d(2, 5, 3)
    x = torch.randn(4, 2, 7, 7).to(HALF)
    with Noted() as noted, torch.autocast("cpu", HALF):
        for _ in range(3):
            conv(x)
    casts = Counter(tuple(t.shape) for t in noted.of("_to_copy"))
    assert casts == {(5, 2, 3, 3): 1, (5,): 1}


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 1, 4, 5), (1, 3, 1, 1), (3, 2, 1, 6)])
def test_the_order_says_so_to_a_convolution(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    ordered = channels_last(x)
    assert torch.equal(ordered, x)
    assert ordered.is_contiguous(memory_format=torch.channels_last)
    if min(shape[2:]) > 1:
        conv = nn.Conv2d(shape[1], 6, 3, padding=1)
        made = conv(ordered)
        assert made.stride()[1] == 1
    assert channels_last(ordered).data_ptr() == ordered.data_ptr()


def test_float32_keeps_its_order() -> None:
    unit = ConvNorm(2, 5, norm_factory("bn", 1.0, 3))
    x = torch.randn(3, 2, 2, 6, 6)
    assert unit.spikes(x, LIF(), 3).is_contiguous()
    with torch.autocast("cpu", torch.float16):
        assert unit.spikes(x, LIF(), 3).is_contiguous()


def test_gradients_of_single_samples_by_vmap() -> None:
    """torch.func knows no such order: there images stay as they are."""
    conv = ConvNorm(2, 4, norm_factory("none", 1.0, 3))
    x = torch.randn(5, 3, 2, 2, 6, 6)
    weights = dict(conv.named_parameters())

    def loss(weights: dict[str, Tensor], sample: Tensor) -> Tensor:
        with torch.autocast("cpu", HALF):
            return functional_call(conv, weights, (sample,)).float().square().sum()

    mapped = vmap(grad(loss), in_dims=(None, 0))(weights, x)
    for index, sample in enumerate(x):
        alone = grad(loss)(weights, sample)
        for name, gradient in alone.items():
            torch.testing.assert_close(mapped[name][index], gradient, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("steps", [1, 2])
def test_one_image_has_the_gradients_of_the_equations(steps: int) -> None:
    """torch's gradient of batch norm is wrong for strides that `flatten` can give one image."""
    torch.manual_seed(0)
    block = ConvNormNeuron(ConvNorm(3, 6, norm_factory("bn", 1.0, 1)), LIF(backend="eager"))
    block = block.double()
    x = torch.randn(steps, 1, 3, 7, 5, dtype=torch.float64) * 2
    last = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (steps, 1))
    weights = list(block.parameters())
    upstream = torch.randn(steps, 1, 6, 7, 5, dtype=torch.float64)
    plain, ours = (torch.autograd.grad(block(each), weights, upstream) for each in (x, last))
    for a, b in zip(plain, ours, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [HALF, torch.float64])
def test_bits_of_spikes_come_back_in_their_order(dtype: torch.dtype) -> None:
    spikes = (torch.rand(4, 3, 5, 7) < 0.3).to(dtype)
    for x in (
        spikes,
        spikes.contiguous(memory_format=torch.channels_last),
        spikes[:, ::2],
        spikes[:1].expand(4, 3, 5, 7),
    ):
        kept = packed(x)
        assert not isinstance(kept, Tensor)
        back = unpacked(kept)
        assert torch.equal(back, x)
        assert back.dtype == dtype
        if x.is_contiguous(memory_format=torch.channels_last):
            assert back.is_contiguous(memory_format=torch.channels_last)
