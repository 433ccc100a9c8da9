"""Batch norm and LIF in one pass against the norm and then the neurons, and when it is taken."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from tempreg import IF, LIF, PLIF, create_model
from tempreg.models import fused
from tempreg.models.layers import ConvNorm, ConvNormNeuron, TdBatchNorm2d, norm_factory
from tempreg.ops.spec import LIFSpec
from tempreg.surrogate import DERIVATIVES
from tests.conftest import needs_compiler

pytestmark = needs_compiler
NORMS = {
    "bn": nn.BatchNorm2d,
    "tdbn": lambda c: TdBatchNorm2d(c, v_threshold=0.7, alpha=math.sqrt(0.5)),
    "plain": lambda c: nn.BatchNorm2d(c, affine=False),
    "batch only": lambda c: nn.BatchNorm2d(c, track_running_stats=False),
    "mean so far": lambda c: nn.BatchNorm2d(c, momentum=None),
    "slow": lambda c: nn.BatchNorm2d(c, momentum=0.01, eps=1e-2),
}
SHAPES = st.sampled_from([(1, 1, 1, 3), (2, 3, 4, 5), (3, 5, 1, 1), (1, 70, 3, 2), (2, 2, 37, 41)])
SPECS = st.builds(
    LIFSpec,
    v_threshold=st.floats(0.2, 1.5),
    v_reset=st.sampled_from([0.0, -0.3, 0.1, None]),
    surrogate=st.sampled_from(list(DERIVATIVES)),
    surrogate_param=st.floats(0.5, 4.0),
    detach_reset=st.booleans(),
)


@pytest.fixture(autouse=True)
def poisoned_memory() -> Iterator[None]:
    """Fresh memory holds NaN, so that reading what nobody wrote shows."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def norm_of(kind: str, channels: int, dtype: torch.dtype, draws: torch.Generator) -> nn.BatchNorm2d:
    norm: nn.BatchNorm2d = NORMS[kind](channels).to(dtype)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            if tensor is not None:
                tensor.add_(0.4 * torch.randn(channels, generator=draws).to(dtype))
        if norm.running_var is not None:
            norm.running_var.mul_(0.5 + 3 * torch.rand(channels, generator=draws).to(dtype))
    return norm


def passes(
    x: Tensor, norm: nn.BatchNorm2d, neuron: nn.Module, steps: int, upstream: Tensor, one: bool
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Spikes, gradients of x and the norm's parameters, and the norm's buffers."""
    norm, x = copy.deepcopy(norm), x.clone().requires_grad_()
    if one:
        assert fused.applies(x, norm, neuron, steps)
        spikes = fused.normed_spikes(x, norm, getattr(norm, "gain", 1.0), neuron, steps)
    else:
        current = norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        spikes = neuron(current.expand(steps, *current.shape[1:]))
    leaves = [x, *norm.parameters()]
    return spikes, list(torch.autograd.grad(spikes, leaves, upstream)), list(norm.buffers())


@given(
    kind=st.sampled_from(list(NORMS)),
    spec=SPECS,
    shape=SHAPES,
    steps=st.integers(1, 7),
    static=st.booleans(),
    training=st.booleans(),
    tau=st.sampled_from([None, 1.0, 2.0, 2.7]),
    offset=st.sampled_from([0.0, 0.0, 30.0]),
    seed=st.integers(0, 10**6),
)
def test_equals_norm_then_neurons_in_float64(
    kind: str, spec: LIFSpec, shape: tuple[int, ...], steps: int, static: bool, training: bool,
    tau: float | None, offset: float, seed: int,
) -> None:  # fmt: skip
    draws = torch.Generator().manual_seed(seed)
    size = (1 if static else steps, *shape)
    x = 3 * torch.randn(size, generator=draws, dtype=torch.float64) + offset
    norm = norm_of(kind, shape[1], x.dtype, draws).train(training)
    neuron = IF(**spec._asdict()) if tau is None else LIF(tau=tau, **spec._asdict())
    upstream = torch.randn((steps, *shape), generator=draws, dtype=x.dtype)
    one, two = (passes(x, norm, neuron, steps, upstream, way) for way in (True, False))
    assert torch.equal(one[0], two[0])
    for a, e in zip(one[1] + one[2], two[1] + two[2], strict=True):
        torch.testing.assert_close(a, e, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["bn", "tdbn"])
def test_float32_spikes_differ_at_the_threshold_alone(kind: str, training: bool) -> None:
    draws = torch.Generator().manual_seed(2)
    x = torch.randn(6, 4, 8, 31, 29, generator=draws) * 2 + 1
    norm = norm_of(kind, 8, x.dtype, draws).train(training)
    upstream = torch.randn(x.shape, generator=draws)
    neuron = LIF(v_threshold=0.8)
    one, two = (passes(x, norm, neuron, 6, upstream, way) for way in (True, False))
    exact = passes(x.double(), norm.double(), neuron, 6, upstream.double(), False)
    wrong = (one[0] != exact[0]).float().mean()
    assert one[0].sum() > 1000
    assert wrong <= 1e-4
    assert (one[0] != two[0]).float().mean() <= 1e-4
    for a, e in zip(one[1] + one[2], exact[1] + exact[2], strict=True):
        assert (a - e).double().norm() <= 2e-2 * e.double().norm()


def test_statistics_lose_no_digits_far_from_zero() -> None:
    """E[x^2] - E[x]^2 in the same precision would be wrong in its first digit here."""
    x = torch.randn(3, 4, 2, 15, 17) + 4096.0
    mean, var = torch.ops.tempreg.channel_statistics(x)
    exact = x.double().transpose(0, 2).flatten(1)
    torch.testing.assert_close(mean.double(), exact.mean(1), rtol=1e-7, atol=0)
    torch.testing.assert_close(var.double(), exact.var(1, unbiased=False), rtol=1e-6, atol=0)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_rounding_alone(threads: int) -> None:
    before = torch.get_num_threads()
    draws = torch.Generator().manual_seed(4)
    x = torch.randn(4, 3, 5, 40, 37, generator=draws, dtype=torch.float64)
    norm, neuron = norm_of("bn", 5, x.dtype, draws), LIF()
    upstream = torch.randn(x.shape, generator=draws, dtype=x.dtype)
    try:
        torch.set_num_threads(threads)
        first, again = (passes(x, norm, neuron, 4, upstream, True) for _ in range(2))
        plain = passes(x, norm, neuron, 4, upstream, False)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(first[0], plain[0])
    for a, b, e in zip(first[1] + first[2], again[1] + again[2], plain[1] + plain[2], strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(a, e, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("training", [True, False])
def test_nan_and_inf_are_not_hidden(value: float, training: bool) -> None:
    draws = torch.Generator().manual_seed(1)
    x = torch.randn(3, 2, 4, 3, 3, generator=draws)
    x[1, 0, 2, 1, 1] = value
    norm = norm_of("bn", 4, x.dtype, draws).train(training)
    one, two = (passes(x, norm, LIF(), 3, torch.ones_like(x), way) for way in (True, False))
    assert torch.equal(one[0].isnan(), two[0].isnan())
    assert one[0].isnan().any() or value == -math.inf
    others = [0, 1, 3]
    torch.testing.assert_close(one[1][0][:, :, others], two[1][0][:, :, others])


def block(neuron: nn.Module | None = None, channels: int = 6) -> ConvNormNeuron:
    torch.manual_seed(0)
    return ConvNormNeuron(
        ConvNorm(3, channels, norm_factory("bn", 1.0, 1)), neuron or LIF(v_threshold=0.5)
    )


def is_fused(module: nn.Module, x: Tensor) -> bool:
    """Whether the spikes come from the one pass, by what autograd recorded."""
    return "NormLIF" in type(module(x).grad_fn).__name__


def test_taken_by_default_and_off_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 4, 3, 7, 7)
    assert is_fused(block(), x)
    assert is_fused(block().eval(), x)
    assert is_fused(block(IF()), x)
    assert is_fused(block(LIF(backend="compiled")), x)
    monkeypatch.setenv("TEMPREG_FUSE", "0")
    assert not is_fused(block(), x)


@pytest.mark.parametrize("neuron", [LIF(backend="eager"), LIF(backend="reference"), PLIF()])
def test_not_for_other_neurons(neuron: nn.Module) -> None:
    assert not is_fused(block(neuron), torch.randn(2, 4, 3, 7, 7))


def test_not_for_other_norms() -> None:
    class Doubled(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    module, x = block(), torch.randn(2, 4, 3, 7, 7)
    module.unit.norm = Doubled(6)
    assert not is_fused(module, x)
    assert module(x).sum() > block()(x).sum()


def register(module: nn.Module, kind: str, seen: list[Any]) -> Any:
    def note(*args: Any) -> None:
        seen.append(args)

    return getattr(module, f"register_{kind}")(note)


@pytest.mark.parametrize("where", ["unit", "unit.norm", "neuron"])
@pytest.mark.parametrize(
    "kind",
    ["forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"],
)
def test_a_hook_sees_what_it_waits_for(where: str, kind: str) -> None:
    module, x, seen = block(), torch.randn(2, 4, 3, 7, 7, requires_grad=True), []
    expected = module(x).detach()
    handle = register(module.get_submodule(where), kind, seen)
    spikes = block()(x)
    module.unit.norm.reset_running_stats()
    watched = module(x)
    watched.sum().backward()
    assert len(seen) == 1
    torch.testing.assert_close(watched.detach(), expected)
    assert torch.equal(watched.detach(), spikes.detach())
    handle.remove()
    assert is_fused(module, x)


def test_a_global_hook_is_called_too() -> None:
    seen: list[type] = []
    handle = nn.modules.module.register_module_forward_hook(lambda m, *_: seen.append(type(m)))
    try:
        block()(torch.randn(2, 4, 3, 7, 7))
    finally:
        handle.remove()
    assert {nn.BatchNorm2d, LIF, ConvNorm} <= set(seen)


def test_a_hook_on_the_convolution_is_called_in_the_one_pass() -> None:
    module, seen = block(), []
    register(module.unit.conv, "forward_hook", seen)
    assert is_fused(module, torch.randn(2, 4, 3, 7, 7))
    assert len(seen) == 1


def test_a_batch_too_small_for_statistics_is_refused() -> None:
    with pytest.raises(ValueError, match="more than one value a channel"):
        block()(torch.randn(1, 1, 3, 1, 1))


def test_an_empty_batch() -> None:
    module = block().eval()
    assert module(torch.zeros(2, 0, 3, 5, 5)).shape == (2, 0, 6, 5, 5)


def test_no_gradients_asked_for() -> None:
    module = block()
    for parameter in module.unit.norm.parameters():
        parameter.requires_grad_(False)
    x = torch.randn(2, 4, 3, 7, 7, requires_grad=True)
    module(x).sum().backward()
    assert x.grad is not None
    assert module.unit.norm.weight.grad is None
    with torch.no_grad():
        assert not module(x).requires_grad


def test_second_derivatives_are_refused() -> None:
    module, x = block(), torch.randn(2, 4, 3, 7, 7, requires_grad=True)
    (first,) = torch.autograd.grad(module(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="backend='reference'"):
        first.sum().backward()


def test_batched_upstream_gradients() -> None:
    module, x = block().double(), torch.randn(2, 4, 3, 5, 5, dtype=torch.float64)
    weight = module.unit.norm.weight
    spikes = module(x)
    upstream = torch.randn(3, *spikes.shape, dtype=torch.float64)
    (batched,) = torch.autograd.grad(
        spikes, weight, upstream, is_grads_batched=True, retain_graph=True
    )
    for index in range(3):
        (alone,) = torch.autograd.grad(spikes, weight, upstream[index], retain_graph=True)
        torch.testing.assert_close(batched[index], alone)


def tiny(name: str = "csnn", **options: Any) -> nn.Module:
    torch.manual_seed(0)
    if name == "csnn":
        options["channels"] = (4, 6)
    return create_model(
        name, num_classes=3, in_channels=2, num_steps=3, input_size=11, **options
    ).double()


def test_gradients_of_single_samples_by_vmap() -> None:
    model = tiny().eval()
    x = torch.randn(4, 2, 11, 11, dtype=torch.float64) * 3
    params = dict(model.named_parameters())

    def loss(params: dict[str, Tensor], sample: Tensor) -> Tensor:
        return functional_call(model, params, (sample.unsqueeze(0),)).square().sum()

    mapped = vmap(grad(loss), in_dims=(None, 0))(params, x)
    for index in range(4):
        model.zero_grad()
        model(x[index : index + 1]).square().sum().backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(mapped[name][index], parameter.grad)


@pytest.mark.filterwarnings("default:.*should not be instantiated:DeprecationWarning")
def test_compiles_and_exports() -> None:
    torch._dynamo.reset()
    model = tiny().eval()
    x = torch.randn(2, 2, 11, 11, dtype=torch.float64)
    expected = model(x)
    torch.testing.assert_close(torch.compile(model, backend="aot_eager")(x), expected)
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), expected)


@pytest.mark.parametrize("name", ["csnn", "resnet19", "sew_resnet18"])
@pytest.mark.parametrize("norm", ["bn", "tdbn"])
@pytest.mark.parametrize("static", [True, False])
def test_whole_networks(
    name: str, norm: str, static: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(name, norm=norm)
    x = 2 * torch.randn(*([] if static else [3]), 2, 2, 11, 11, dtype=torch.float64)
    results = []
    for setting in "10":
        monkeypatch.setenv("TEMPREG_FUSE", setting)
        network = copy.deepcopy(model)
        trained = network(x)
        gradients = torch.autograd.grad(trained.square().sum(), list(network.parameters()))
        results.append([trained, *gradients, *network.buffers(), network.eval()(x)])
    for a, e in zip(*results, strict=True):
        torch.testing.assert_close(a, e, rtol=1e-7, atol=1e-9)
    assert results[0][0].abs().sum() > 0
