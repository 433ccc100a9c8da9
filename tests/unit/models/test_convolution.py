"""Which way a network's convolutions run, and that it is torch's wherever somebody looks on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap
from torch.overrides import TorchFunctionMode

import tempreg
from tempreg.models import convolution
from tempreg.models.convolution import check_conv, convolved
from tempreg.models.layers import ConvNorm, choose_convolutions
from tempreg.ops import cbuild
from tempreg.ops.dispatch import BackendUnavailable
from tempreg.ops.sparse_limits import Limits
from tests.conftest import needs_compiler


@pytest.fixture
def walked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The passes that each convolution walked lists in."""
    calls: list[Any] = []
    real = convolution.sparse_conv2d

    def noted(*args: Any) -> Tensor:
        calls.append(args[5])
        return real(*args)

    monkeypatch.setattr(convolution, "sparse_conv2d", noted)
    return calls


@final
class Walking(nn.Module):
    """A convolution that walks lists."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """Its result."""
        return convolved(self.conv, x, "sparse")


@final
class Seen(TorchFunctionMode):
    """Sees calls of torch's functions."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


def conv_and_spikes(**changed: Any) -> tuple[nn.Conv2d, Tensor]:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 8, **{"kernel_size": 3, "padding": 1, **changed})
    return conv, (torch.rand(6, 4, 9, 9) < 0.2).float()


@needs_compiler
def test_sparse_walks_and_dense_does_not(walked: list[Any]) -> None:
    conv, x = conv_and_spikes()
    torch.testing.assert_close(convolved(conv, x, "sparse"), conv(x))
    assert torch.equal(convolved(conv, x, "dense"), conv(x))
    assert len(walked) == 1


@needs_compiler
@pytest.mark.parametrize(
    "changed",
    [
        {"groups": 2},
        {"dilation": 2},
        {"padding_mode": "circular"},
        {"padding": "same"},
        {"kernel_size": 1, "padding": 0},
        {"kernel_size": 9, "padding": 4},
        {"dtype": torch.float64},
        {"dtype": torch.bfloat16},
    ],
)
def test_what_has_no_lists_is_dense(changed: dict[str, Any], walked: list[Any]) -> None:
    conv, x = conv_and_spikes(**changed)
    x = x.to(conv.weight.dtype)
    assert torch.equal(convolved(conv, x, "sparse"), conv(x))
    assert not walked


def test_shapes_that_do_not_fit_are_torchs_to_refuse() -> None:
    conv, x = conv_and_spikes()
    with pytest.raises(RuntimeError, match="to have 4 channels"):
        convolved(conv, x[:, :3], "sparse")
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        convolved(nn.Conv2d(4, 8, 5), x[..., :3], "sparse")
    assert convolved(conv, x[:0], "sparse").shape == (0, 8, 9, 9)


@pytest.mark.filterwarnings("default:`torch.jit.script` is deprecated")  # torch's own, inside jvp
@needs_compiler
def test_whoever_looks_on_sees_torchs(walked: list[Any]) -> None:
    conv, x = conv_and_spikes()
    walking = Walking(conv)
    weights = {"conv.weight": conv.weight.detach()}

    def loss(given: dict[str, Tensor], one: Tensor) -> Tensor:
        out: Tensor = functional_call(walking, given, (one[None],))
        return out.square().sum()

    per_sample = vmap(grad(loss), in_dims=(None, 0))(weights, x)["conv.weight"]
    for one, found in zip(x, per_sample, strict=True):
        wanted = torch.autograd.grad(conv(one[None]).square().sum(), conv.weight)[0]
        torch.testing.assert_close(found, wanted)
    _, tangent = jvp(lambda given: convolved(conv, given, "sparse"), (x,), (torch.ones_like(x),))
    bias = conv.bias
    assert bias is not None
    torch.testing.assert_close(tangent, conv(torch.ones_like(x)) - bias[:, None, None])
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        found = forward_ad.unpack_dual(convolved(conv, dual, "sparse")).tangent
    assert torch.equal(found, tangent)
    with torch.autocast("cpu", torch.bfloat16):
        assert convolved(conv, x, "sparse").dtype == torch.bfloat16
    with Seen():
        convolved(conv, x, "sparse")
    compiled: Callable[..., Tensor] = torch.compile(convolved, backend="eager", fullgraph=True)
    assert torch.equal(compiled(conv, x, "sparse"), conv(x))
    conv.register_forward_hook(lambda *_: None)
    convolved(conv, x, "sparse")
    assert not walked


@needs_compiler
def test_auto_goes_by_density_and_needs(monkeypatch: pytest.MonkeyPatch, walked: list[Any]) -> None:
    monkeypatch.setattr(convolution, "limits_of", lambda *_: Limits(0.3, 0.6))
    conv, _ = conv_and_spikes()
    plane = torch.zeros(13, 4, 10, 10)
    for share, passes in ((0.1, (True, True)), (0.5, (False, True)), (0.9, None)):
        x = plane.clone()
        x[..., : round(10 * share)] = 1
        walked.clear()
        torch.testing.assert_close(convolved(conv, x, "auto"), conv(x))
        assert walked == ([] if passes is None else [passes])
        walked.clear()
        with torch.no_grad():
            convolved(conv, x, "auto")
        assert walked == ([(True, True)] if share == 0.1 else [])


@needs_compiler
def test_names_and_places_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="unknown conv 'fast': choose one of auto, dense, sparse"):
        tempreg.create_model(
            "csnn", num_classes=2, in_channels=1, num_steps=1, input_size=8, conv="fast"
        )
    with pytest.raises(ValueError, match="of which Linear has none"):
        choose_convolutions(nn.Linear(2, 2), "sparse")
    choose_convolutions(nn.Linear(2, 2), "auto")
    with pytest.raises(BackendUnavailable, match="runs on a CPU, not on cuda"):
        check_conv("sparse", "cuda")
    check_conv("auto", "cuda")

    def missing(*_: str) -> None:
        raise cbuild.KernelUnavailable("no C compiler was found")

    monkeypatch.setattr(cbuild, "load", missing)
    with pytest.raises(BackendUnavailable, match="cannot run here: no C compiler was found"):
        check_conv("sparse")
    convolution._measurable.cache_clear()
    conv, x = conv_and_spikes()
    with pytest.warns(UserWarning, match="conv 'auto' is 'dense' here: no C compiler"):
        assert torch.equal(convolved(conv, x, "auto"), conv(x))
    convolution._measurable.cache_clear()


@needs_compiler
@pytest.mark.parametrize("name", ["csnn", "sew_resnet18", "spikformer"])
def test_a_network_learns_the_same(name: str) -> None:
    """To rounding, which flips no spike here."""
    gradients = []
    x = (torch.rand(2, 3, 2, 16, 16, generator=torch.Generator().manual_seed(0)) < 0.2).float()
    small = {"width": 16, "depth": 1, "heads": 2} if name == "spikformer" else {}
    for conv in ("dense", "sparse"):
        torch.manual_seed(0)
        model = tempreg.create_model(
            name, num_classes=3, in_channels=2, num_steps=2, input_size=16, conv=conv, **small
        )
        out = model(x)
        out.square().sum().backward()
        gradients.append([out.detach(), *(p.grad for p in model.parameters())])
        units = [m for m in model.modules() if isinstance(m, ConvNorm)]
        assert units
        assert all(unit.way == conv for unit in units)
    for mine, theirs in zip(*gradients, strict=True):
        assert mine is not None
        assert theirs is not None
        close = float(torch.linalg.vector_norm(mine - theirs))
        assert close <= 1e-3 * (1e-3 + float(torch.linalg.vector_norm(theirs)))


@needs_compiler
def test_the_way_is_no_part_of_the_weights() -> None:
    makes = {"num_classes": 2, "in_channels": 1, "num_steps": 1, "input_size": 8}
    sparse = tempreg.create_model("csnn", conv="sparse", **makes)
    dense = tempreg.create_model("csnn", **makes)
    dense.load_state_dict(sparse.state_dict())
    x = torch.ones(1, 1, 8, 8)
    out = functional_call(sparse.eval(), dense.state_dict(), (x,))
    torch.testing.assert_close(out, dense.eval()(x))
