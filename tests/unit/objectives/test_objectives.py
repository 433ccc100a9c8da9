"""Objectives: layouts, targets, selections, wrapped models and errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from tempreg import LIF, PLIF, Objective, RateLoss, TETLoss, TRTLoss
from tempreg.functional import trt_penalty
from tempreg.objectives import selected_parameters
from tempreg.unwrap import unwrap


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))


def objectives() -> list[Objective]:
    return [RateLoss(), TETLoss(lam=0.1), TRTLoss(network(), lam=0.01)]


def batch(*extra: int) -> tuple[Tensor, Tensor]:
    outputs = torch.randn(5, 3, 4, *extra, dtype=torch.float64)
    return outputs, torch.randint(4, (3, *extra))


@pytest.mark.parametrize("extra", [(), (2, 3)])
@pytest.mark.parametrize("index", range(3))
def test_layouts_and_targets_are_equivalent(index: int, extra: tuple[int, ...]) -> None:
    criterion = objectives()[index]
    outputs, targets = batch(*extra)
    expected = criterion(outputs, targets)
    one_hot = F.one_hot(targets, 4).movedim(-1, 1)
    assert criterion(list(outputs), targets) == expected
    assert criterion(iter(outputs), targets) == expected
    for other in (one_hot, one_hot.float(), one_hot.double(), targets.int()):
        torch.testing.assert_close(criterion(outputs, other), expected)
    criterion.time_dim = 1
    torch.testing.assert_close(criterion(outputs.movedim(0, 1), targets), expected)


def test_equations_written_out() -> None:
    outputs, targets = batch()
    onehot = F.one_hot(targets, 4).double()
    per_step = torch.stack([F.cross_entropy(o, targets) for o in outputs]).mean()
    rate = F.cross_entropy(outputs.mean(0), targets)
    torch.testing.assert_close(RateLoss()(outputs, targets), rate)
    tet = 0.7 * per_step + 0.3 * ((outputs - 2.0) ** 2).mean()
    torch.testing.assert_close(TETLoss(lam=0.3, means=2.0)(outputs, targets), tet)
    model = network().double()
    mse = torch.stack([F.mse_loss(o, onehot) for o in outputs]).mean()
    weights = [p for n, p in model.named_parameters() if "bias" not in n]
    penalty = trt_penalty(weights, num_steps=5, lam=0.2, decay=0.4, eps=1e-3)
    criterion = TRTLoss(model, lam=0.2, decay=0.4, eps=1e-3, eta=0.25)
    torch.testing.assert_close(criterion(outputs, targets), 0.75 * per_step + 0.25 * mse + penalty)


@given(st.floats(0.0, 1.0))
def test_soft_targets_interpolate(share: float) -> None:
    outputs = torch.randn(5, 2, 4, generator=torch.Generator().manual_seed(1)).double()
    a, b = F.one_hot(torch.tensor([0, 1]), 4).double(), F.one_hot(torch.tensor([3, 2]), 4).double()
    mixed = RateLoss()(outputs, share * a + (1 - share) * b)
    torch.testing.assert_close(
        mixed, share * RateLoss()(outputs, a) + (1 - share) * RateLoss()(outputs, b)
    )


@pytest.mark.parametrize("index", range(3))
def test_terms_add_up_and_are_detached(index: int) -> None:
    criterion = objectives()[index]
    outputs, targets = batch()
    outputs.requires_grad_()
    loss = criterion(outputs, targets)
    torch.testing.assert_close(sum(criterion.terms.values()), loss.detach())
    assert not any(term.requires_grad for term in criterion.terms.values())
    assert next(iter(criterion.terms)) == "cross_entropy"


def test_no_penalty_is_the_loss_without_it() -> None:
    outputs, targets = batch()
    model = network()
    bare = TRTLoss(model, lam=0.0, eta=0.05)
    loss = bare(outputs, targets)
    full = TRTLoss(model, lam=0.3, eta=0.05)
    with_penalty = full(outputs, targets)
    assert "penalty" not in bare.terms
    torch.testing.assert_close(with_penalty - full.terms["penalty"], loss)
    rate = TRTLoss(model, lam=0.0, eta=0.0)
    assert set((rate(outputs, targets), rate.terms)[1]) == {"cross_entropy"}


def test_half_precision_outputs_are_computed_in_float32() -> None:
    outputs, targets = batch()
    for criterion in objectives():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = criterion(outputs.bfloat16(), targets)
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, criterion(outputs.bfloat16().float(), targets))


class TestSelection:
    def names(self, model: nn.Module, select: object) -> set[str]:
        return set(selected_parameters(model, select))  # type: ignore[arg-type]

    def test_policies(self) -> None:
        model = network()
        assert self.names(model, "paper") == {"0.weight", "1.weight", "2.weight"}
        assert self.names(model, "weights") == {"0.weight", "2.weight"}
        assert self.names(model, lambda name, p: name.startswith("2")) == {"2.weight", "2.bias"}

    def test_frozen_and_shared_parameters(self) -> None:
        model = network()
        criterion = TRTLoss(model)
        model[0].weight.requires_grad_(False)
        assert set(criterion.penalised_parameters()) == {"1.weight", "2.weight"}
        tied = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
        tied["b"].weight = tied["a"].weight
        assert self.names(tied, "weights") == {"a.weight"}

    def test_neuron_constants_are_left_alone(self) -> None:
        model = nn.Sequential(nn.Linear(2, 2), PLIF())
        assert self.names(model, "paper") == {"0.weight"}
        assert self.names(model, lambda name, p: name.endswith("w")) == {"1.w"}

    def test_nothing_selected(self) -> None:
        with pytest.raises(ValueError, match="selects no trainable parameter of LIF"):
            TRTLoss(LIF())
        assert TRTLoss(LIF(), lam=0.0)(*batch()).isfinite()

    def test_everything_frozen_later_is_no_penalty(self) -> None:
        model = network()
        criterion = TRTLoss(model, lam=1.0)
        model.requires_grad_(False)
        criterion(*batch())
        assert criterion.terms["penalty"] == 0

    def test_unknown_policy(self) -> None:
        with pytest.raises(ValueError, match="unknown selection 'all'"):
            TRTLoss(network(), select="all")


# Loading dynamo warns of torch.jit, which it uses itself.
@pytest.mark.filterwarnings("default:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("wrap", ["parallel", "compile", "both"])
def test_wrapped_models_keep_their_names(wrap: str) -> None:
    bare = wrapped = network()
    if wrap != "compile":
        wrapped = nn.DataParallel(wrapped)
    if wrap != "parallel":
        wrapped = torch.compile(wrapped)
    picked: list[str] = []
    TRTLoss(wrapped, select=lambda name, p: picked.append(name) is None)
    assert picked == [name for name, _ in bare.named_parameters()]


def test_fabric_and_ddp_keep_the_names(tmp_path: Path) -> None:
    from lightning_fabric import Fabric
    from torch.nn.parallel import DistributedDataParallel

    bare = network()
    assert unwrap(Fabric(accelerator="cpu", devices=1).setup_module(bare)) is bare
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        assert unwrap(DistributedDataParallel(bare)) is bare
    finally:
        torch.distributed.destroy_process_group()


def test_a_users_own_child_called_module_is_not_unwrapped() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(2, 2)
            self.other = nn.Linear(2, 2)

    assert set(TRTLoss(Net()).penalised_parameters()) == {"module.weight", "other.weight"}


def test_the_loss_does_not_own_the_model() -> None:
    criterion = TRTLoss(network())
    assert not list(criterion.parameters())
    assert not criterion.state_dict()


@pytest.mark.parametrize(
    ("outputs", "targets", "words"),
    [
        ((5, 3, 4), (5,), r"\[5\] don't match outputs of shape \[5, 3, 4\]"),
        ((5, 3, 4), (3, 5), r"\[3, 5\] don't match outputs of shape \[5, 3, 4\]"),
        ((5, 3, 4), (3, 2), "set time_dim=1"),
        ((5, 3, 4, 2), (3,), r"expected class indices \[3, 2\]"),
        ((3, 4), (3,), "time, batch and class"),
        ((0, 3, 4), (3,), "no timestep"),
    ],
)
def test_shapes_that_do_not_fit(
    outputs: tuple[int, ...], targets: tuple[int, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        RateLoss()(torch.zeros(outputs), torch.zeros(targets, dtype=torch.int64))


def test_other_bad_arguments() -> None:
    with pytest.raises(ValueError, match="integer dtype"):
        RateLoss()(torch.zeros(2, 3, 4), torch.zeros(3))
    with pytest.raises(ValueError, match="list of per-step outputs is empty"):
        RateLoss()([], torch.zeros(3))
    with pytest.raises(ValueError, match="different shapes"):
        RateLoss()([torch.zeros(3, 4), torch.zeros(2, 4)], torch.zeros(3))
    with pytest.raises(ValueError, match="time_dim must be"):
        RateLoss(time_dim=2)
    with pytest.raises(ValueError, match="decay must be"):
        TRTLoss(network(), decay=-0.5)
    with pytest.raises(ValueError, match="eta must be"):
        TRTLoss(network(), eta=1.5)
    with pytest.raises(ValueError, match="lam must be"):
        TETLoss(lam=-0.1)


def test_the_loss_has_the_type_of_the_outputs() -> None:
    outputs, targets = batch()
    for labels in (targets, F.one_hot(targets, 4).double()):
        assert TRTLoss(network(), eta=0.5)(outputs.float(), labels).dtype == torch.float32


class Projected(Objective):
    """The square of the outputs through a matrix. Final."""

    matrix = torch.linspace(-1, 1, 12).reshape(4, 3)

    def compute(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        del targets
        return {"projected": (outputs @ self.matrix).square().mean()}


def test_objectives_compute_in_full_precision_under_autocast() -> None:
    outputs, targets = batch()
    outputs = outputs.float()
    wanted = (outputs @ Projected.matrix).square().mean()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Projected()(outputs, targets), wanted)


class Gated(LIF):
    """A neuron with a matrix among its constants. Final."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Parameter(torch.ones(2, 2))


@pytest.mark.parametrize("select", ["paper", "weights"])
def test_constants_of_neurons_are_no_weights(select: str) -> None:
    model = nn.Sequential(nn.Linear(2, 2), Gated())
    assert list(selected_parameters(model, select)) == ["0.weight"]
