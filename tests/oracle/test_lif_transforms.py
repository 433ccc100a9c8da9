"""Second derivatives, vmap, torch.compile and torch.export of LIF, by backend."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from tempreg import LIF, PLIF
from tempreg.functional import lif
from tests.conftest import needs_compiler

FAST = ["eager", pytest.param("compiled", marks=needs_compiler)]
ALL = ["reference", *FAST]


def smooth(x: Tensor, backend: str) -> Tensor:
    return lif(x, tau=2.0, surrogate="sigmoid", surrogate_param=2.0, backend=backend)


def test_reference_has_second_derivatives() -> None:
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)

    def gradient(x: Tensor) -> Tensor:
        return torch.autograd.grad(smooth(x, "reference").sum(), x, create_graph=True)[0]

    # Surrogate gradients aren't derivatives of the spikes, but they are functions of x with
    # derivatives of their own wherever no spike flips.
    direction, step = torch.randn_like(x), 1e-6
    (exact,) = torch.autograd.grad((gradient(x) * direction).sum(), x)
    ahead, behind = (gradient((x + s * step).detach().requires_grad_()) for s in (1, -1))
    assert exact.abs().max() > 0
    jvp = (ahead - behind) / (2 * step)
    # The reset's dependence on s carries a surrogate too, which finite differences don't see:
    # compare where the first timestep is differentiated alone.
    alone = torch.randn(1, 50, dtype=torch.float64, requires_grad=True)
    (second,) = torch.autograd.grad(gradient(alone).sum(), alone)
    ahead, behind = (gradient((alone + s * step).detach().requires_grad_()) for s in (1, -1))
    torch.testing.assert_close(second, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-8)
    assert jvp.isfinite().all()


@pytest.mark.parametrize("backend", FAST)
def test_fast_backends_refuse_second_derivatives(backend: str) -> None:
    x = torch.randn(3, 4, requires_grad=True)
    (first,) = torch.autograd.grad(smooth(x, backend).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="backend='reference'"):
        first.sum().backward()


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("neuron", [LIF, PLIF])
def test_gradients_of_single_samples_by_vmap(backend: str, neuron: type[nn.Module]) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), neuron(backend=backend), nn.Linear(8, 3)).double()
    x = torch.randn(4, 5, 6, dtype=torch.float64)
    params = dict(net.named_parameters())

    def loss(params: dict[str, Tensor], sample: Tensor) -> Tensor:
        return functional_call(net, params, (sample.unsqueeze(1),)).square().sum()

    mapped = vmap(grad(loss), in_dims=(None, 1))(params, x)
    for index in range(5):
        alone = grad(loss)(params, x[:, index])
        for name, value in alone.items():
            torch.testing.assert_close(mapped[name][index], value)


@pytest.mark.parametrize("backend", ALL)
def test_batched_upstream_gradients(backend: str) -> None:
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(5, 4, 6, dtype=torch.float64)
    spikes = smooth(x, backend)
    (batched,) = torch.autograd.grad(spikes, x, upstream, is_grads_batched=True, retain_graph=True)
    for index in range(5):
        (alone,) = torch.autograd.grad(spikes, x, upstream[index], retain_graph=True)
        torch.testing.assert_close(batched[index], alone)


def test_reference_maps_over_tau() -> None:
    x, taus = torch.randn(4, 7), torch.tensor([1.5, 2.0, 4.0])
    mapped = vmap(lambda tau: lif(x, tau=tau, backend="reference"))(taus)
    for tau, spikes in zip(taus, mapped, strict=True):
        assert torch.equal(spikes, lif(x, tau=tau, backend="reference"))
    with pytest.raises(ValueError, match="vmap over tau"):
        vmap(lambda tau: lif(x, tau=tau, backend="eager"))(taus)


# Dynamo itself makes an instance of autograd functions and warns about it.
@pytest.mark.filterwarnings("default:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("backend", ALL)
def test_compiles_as_a_full_graph(backend: str) -> None:
    torch._dynamo.reset()
    net = nn.Sequential(nn.Linear(5, 6), LIF(backend=backend), nn.Linear(6, 2))
    x = torch.randn(3, 4, 5)
    whole = torch.compile(net, backend="aot_eager", fullgraph=True)
    expected, actual = net(x), whole(x)
    torch.testing.assert_close(actual, expected)
    wanted = torch.autograd.grad(expected.square().sum(), list(net.parameters()))
    got = torch.autograd.grad(actual.square().sum(), list(net.parameters()))
    for a, e in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, e)


@pytest.mark.parametrize("backend", ALL)
def test_exports(backend: str) -> None:
    net = nn.Sequential(nn.Linear(5, 6), LIF(backend=backend)).eval()
    x = torch.randn(3, 4, 5)
    program = torch.export.export(net, (x,))
    assert torch.equal(program.module()(x), net(x))
