"""Less memory for the same gradients: pieces of time, layers computed again, and truncation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tempreg
from tempreg.models import MODELS, SpikingNetwork
from tempreg.models.padding import lengths_for
from tempreg.models.recompute import Row, choose_recompute, packed, unpacked
from tempreg.objectives import AnytimeLoss, Objective, StepLoss, TRTLoss
from tempreg.training.passes import AtOnce, Passes, make_passes, square_root

STEPS, SAMPLES, SIZE = 7, 2, 16
SMALL: dict[str, dict[str, Any]] = {
    "csnn": {"channels": (4, 6)},
    "rsnn": {"channels": (8, 8)},
    "spikformer": {"width": 16, "depth": 1, "heads": 2},
    "spike_driven_transformer": {"width": 16, "depth": 1, "heads": 2},
    "qkformer": {"width": 32, "depth": 3, "heads": 2},
    "ms_resnet18": {"width": 8},
    "vggsnn": {"width": 8},
}


def network(name: str = "csnn", **options: Any) -> SpikingNetwork:
    """One in float64, whose spikes don't hang on the last bits."""
    torch.manual_seed(0)
    given = {"norm": "none", "v_threshold": 0.3, **SMALL.get(name, {}), **options}
    made = tempreg.create_model(
        name, num_classes=3, in_channels=2, num_steps=STEPS, input_size=SIZE, **given
    )
    return made.double()


def frames(steps: int = STEPS) -> Tensor:
    draws = torch.Generator().manual_seed(1)
    return (torch.rand(steps, SAMPLES, 2, SIZE, SIZE, generator=draws) < 0.4).double()


def stepped(
    model: SpikingNetwork, passes: Passes, x: Tensor, objective: Objective | None = None
) -> dict[str, Tensor]:
    """What a step computes: the loss, logits, gradients, and buffers after it."""
    torch.manual_seed(5)
    model.zero_grad()
    y = torch.tensor([0, 2])
    outputs = passes.outputs(x)
    loss = (objective or TRTLoss(model, lam=1e-3))(outputs, y, lengths_for(model, x))
    loss.backward()
    passes.finish()
    found = {"loss": loss.detach(), "logits": outputs.detach()}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        found[f"gradient of {name}"] = parameter.grad.clone()
    return found | {name: buffer.clone() for name, buffer in model.named_buffers()}


def both(
    make: Callable[[], SpikingNetwork], x: Tensor, how: Callable[[SpikingNetwork], Passes]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What a step computes all at once, and as `how` says."""
    whole, other = make(), make()
    return stepped(whole, AtOnce(whole), x), stepped(other, how(other), x)


def in_time(model: SpikingNetwork) -> Passes:
    return make_passes(model, model, object(), recompute="time")


def in_layers(model: SpikingNetwork) -> Passes:
    choose_recompute(model, True)
    return AtOnce(model)


def close(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        scale = float(value.abs().max()) + 1e-12
        torch.testing.assert_close(found[name], value, atol=1e-10 * scale, rtol=1e-9, msg=name)


def same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    assert [name for name in wanted if not torch.equal(found[name], wanted[name])] == []


@pytest.mark.parametrize("name", MODELS)
def test_pieces_have_the_gradients_of_the_whole(name: str) -> None:
    if name in ("resnet19", "sew_resnet34"):
        pytest.skip("of the same layers as sew_resnet18, and large")
    wanted, found = both(lambda: network(name), frames(), in_time)
    close(found, wanted)
    assert float(found["gradient of head.weight"].abs().max()) > 0


@pytest.mark.parametrize(
    "options",
    [
        {"neuron": "plif"},
        {"neuron": "if", "tau": 1.0},
        {"neuron": "alif"},
        {"neuron": "cuba"},
        {"neuron": "threshold"},
        {"neuron": "masked_psn"},
        {"neuron": "sliding_psn"},
        {"readout": "membrane"},
        {"readout": "attention"},
        {"dropout": 0.5},
        {"v_reset": None, "backend": "reference"},
    ],
)
def test_pieces_carry_every_state(options: dict[str, Any]) -> None:
    close(*reversed(both(lambda: network(**options), frames(), in_time)))


def test_gradients_go_through_all_pieces() -> None:
    """The last logits' gradient by the weights, of neurons that never forget."""
    options: dict[str, Any] = {"tau": 1.0, "v_threshold": 20.0, "surrogate": "atan"}
    found = []
    for how in ({}, {"recompute": "time"}, {"truncate": 3}):
        model = network(**options)
        passes = make_passes(model, model, object(), **how)
        passes.outputs(frames())[-1].sum().backward()
        passes.finish()
        found.append(model.stem.conv.weight.grad)
    whole, time, truncated = found
    assert whole is not None
    assert float(whole.abs().max()) > 0
    torch.testing.assert_close(time, whole)
    assert not torch.allclose(truncated, whole)


def test_images_are_shown_at_each_timestep_of_a_piece() -> None:
    close(*reversed(both(network, frames()[0], in_time)))


def test_sequences_of_unequal_length() -> None:
    x = frames()
    x[3:, 0] = 0

    def made() -> SpikingNetwork:
        model = network()
        model.padded = True
        return model

    wanted, found = both(made, x, in_time)
    close(found, wanted)
    assert torch.equal(found["logits"][3, 0], found["logits"][-1, 0])


def test_a_piece_is_as_long_as_the_square_root() -> None:
    assert [square_root(n) for n in (1, 2, 4, 5, 16, 17, 64, 100)] == [1, 2, 2, 3, 4, 5, 8, 10]


@pytest.mark.parametrize("norm", ["none", "bn", "tdbn", "tebn", "tab"])
@pytest.mark.parametrize("name", ["csnn", "ms_resnet18", "qkformer", "rsnn"])
def test_layers_computed_again_have_the_same_bits(name: str, norm: str) -> None:
    same(*reversed(both(lambda: network(name, norm=norm), frames(), in_layers)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_layers_computed_again_in_other_precisions(dtype: torch.dtype) -> None:
    whole, other = (network(norm="bn", dropout=0.5).float() for _ in range(2))
    choose_recompute(other, True)
    x, steps = frames().float(), []
    for model in (whole, other):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            steps.append(stepped(model, AtOnce(model), x))
    same(steps[1], steps[0])


def test_layers_computed_again_leave_padding_out_of_statistics() -> None:
    x = frames()
    x[2:, 1] = 0

    def made() -> SpikingNetwork:
        model = network(norm="bn", dropout=0.3)
        model.padded = True
        return model

    wanted, found = both(made, x, in_layers)
    same(found, wanted)
    plain = network(norm="bn", dropout=0.3)
    assert not torch.equal(stepped(plain, AtOnce(plain), x)["loss"], wanted["loss"])


def test_what_a_layer_keeps_is_its_input_as_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []

    def noted(x: Tensor) -> Any:
        kept.append(packed(x))
        return kept[-1]

    monkeypatch.setattr("tempreg.models.recompute.packed", noted)
    model = network(norm="bn")
    in_layers(model).outputs(frames())
    assert len(kept) == 2  # the frames, and the stem's spikes, before a pooling
    assert [bits.dtype for bits, *_ in kept] == [torch.uint8] * 2
    assert kept[1][0].numel() * 8 == STEPS * SAMPLES * 4 * SIZE * SIZE


@pytest.mark.parametrize("shape", [(1,), (8,), (13,), (3, 5, 7)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_packing_loses_nothing(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    spikes = (torch.rand(shape) < 0.3).to(dtype)
    for x in (spikes, spikes * 2, spikes - 0.5, spikes / 0.0, torch.zeros(shape, dtype=dtype)):
        back = unpacked(packed(x))
        assert back.dtype == x.dtype
        assert torch.equal(back.nan_to_num(7.0), x.nan_to_num(7.0))


def test_a_row_is_a_sequence() -> None:
    torch.manual_seed(0)
    row = Row(nn.AvgPool2d(2), nn.Conv2d(2, 3, 1), nn.ReLU(), nn.Conv2d(3, 1, 1), nn.AvgPool2d(2))
    x = torch.rand(1, 2, 8, 8)
    wanted = nn.Sequential(*row)(x)
    row.recomputes = True
    assert torch.equal(row(x), wanted)
    assert [*row.state_dict()] == ["1.weight", "1.bias", "3.weight", "3.bias"]


def test_a_network_of_ones_own_has_no_layers_to_choose() -> None:
    with pytest.raises(ValueError, match="for networks by name, and Linear is none"):
        choose_recompute(nn.Linear(2, 2), True)
    choose_recompute(nn.Linear(2, 2), False)


class Triangle(torch.autograd.Function):
    """A spike whose derivative is max(0, 1 - |u|)."""

    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return (u > 0).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, *g: Any) -> Tensor:
        (u,) = ctx.saved_tensors
        return g[0] * (1 - u.abs()).clamp(min=0)


def by_hand(model: SpikingNetwork, x: Tensor, length: int) -> Tensor:
    """Logits of a network of one layer, with states detached between pieces: another's words."""
    weights: Any = model
    v = torch.zeros(())
    logits = []
    for piece in x.split(length):
        v = v.detach()
        current = F.conv2d(
            piece.flatten(0, 1), weights.stem.conv.weight, weights.stem.conv.bias, padding=1
        )
        if isinstance(weights.stem.norm, nn.BatchNorm2d):
            norm = weights.stem.norm
            mean, var = current.mean((0, 2, 3)), current.var((0, 2, 3), unbiased=False)
            current = (current - mean[:, None, None]) / (var[:, None, None] + norm.eps).sqrt()
            current = current * norm.weight[:, None, None] + norm.bias[:, None, None]
        for h in current.unflatten(0, piece.shape[:2]):
            h = v / 2 + h
            s = Triangle.apply(h - 0.3)
            v = (1 - s) * h
            logits.append(weights.head(F.avg_pool2d(s, 2).flatten(1)))
    return torch.stack(logits)


@pytest.mark.parametrize("norm", ["none", "bn"])
@pytest.mark.parametrize("length", [1, 3, 7, 20])
@pytest.mark.parametrize("objective", [StepLoss, AnytimeLoss])
def test_truncation_is_the_chain_rule_within_pieces(
    objective: type[Objective], length: int, norm: str
) -> None:
    model, other = (network(norm=norm, channels=(4,)) for _ in range(2))
    passes = make_passes(model, model, object(), truncate=length)
    found = stepped(model, passes, frames(), objective())
    outputs = by_hand(other, frames(), length)
    loss = objective()(outputs, torch.tensor([0, 2]))
    loss.backward()
    torch.testing.assert_close(found["logits"], outputs.detach())
    torch.testing.assert_close(found["loss"], loss.detach())
    for name, parameter in other.named_parameters():
        torch.testing.assert_close(found[f"gradient of {name}"], parameter.grad)
    if length < 7:
        close_to_all = stepped(other, AtOnce(other), frames(), objective())
        whole = close_to_all["gradient of stem.conv.weight"]
        assert not torch.allclose(found["gradient of stem.conv.weight"], whole)


def test_one_piece_is_computed_once() -> None:
    wanted, found = (network(norm="bn", dropout=0.5) for _ in range(2))
    calls: list[Any] = []
    found.register_forward_pre_hook(lambda *given: calls.append(given))
    passes = make_passes(found, found, object(), truncate=STEPS)
    same(stepped(found, passes, frames()), stepped(wanted, AtOnce(wanted), frames()))
    assert len(calls) == 1


@pytest.mark.parametrize("name", ["csnn", "rsnn"])
def test_pieces_with_layers_computed_again_have_the_same_bits(name: str) -> None:
    found = []
    for again in (False, True):
        model = network(name, norm="bn", dropout=0.3)
        choose_recompute(model, again)
        passes = make_passes(model, model, object(), truncate=3)
        found.append(stepped(model, passes, frames()))
    same(*found)


def test_running_statistics_take_each_piece_in_once() -> None:
    model = network(norm="bn", channels=(4,))
    stepped(model, make_passes(model, model, object(), truncate=3), frames())
    norm: Any = model.stem.norm
    assert int(norm.num_batches_tracked) == 3
    other = nn.BatchNorm2d(4).double()
    with torch.no_grad():
        for piece in frames().split(3):
            other(network(norm="bn", channels=(4,)).stem.conv(piece.flatten(0, 1)))
    torch.testing.assert_close(norm.running_mean, other.running_mean)
    torch.testing.assert_close(norm.running_var, other.running_var)


def test_the_network_is_as_it_was() -> None:
    model = network(dropout=0.2)
    passes = in_time(model)
    stepped(model, passes, frames())
    assert (model.num_steps, model.padded) == (STEPS, False)
    assert not any("forward" in vars(module) for module in model.modules())
    with pytest.raises(ValueError, match="takes"):
        passes.outputs(frames()[:, :, :1])
    assert (model.num_steps, model.padded) == (STEPS, False)
    assert not any("forward" in vars(module) for module in model.modules())
