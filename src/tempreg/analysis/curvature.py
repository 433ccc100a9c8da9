"""Curvature of the surrogate: Hessian and Gauss-Newton matrix of what autograd differentiates.

The true loss of a spiking network is piecewise constant through its spikes: its Hessian is 0
almost everywhere. These numbers belong to the surrogate: they are those of a smooth network
which has, at these weights, the same spikes and the surrogate as its derivative. They say how
the gradients that training follows turn, and nothing of the loss that flatness measures.
Needs curvlinops, of the extra `curvature`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tempreg.analysis.aligned import aligned
from tempreg.analysis.capture import batch_dim, chunks, evaluating, logits_of
from tempreg.analysis.result import Result
from tempreg.analysis.scores import checked_logits
from tempreg.analysis.weights import moved_weights
from tempreg.errors import PackageMissing, to_install
from tempreg.foreign import is_spiking, library_of
from tempreg.neurons import PSN, Neuron, StepNeuron
from tempreg.ops.dispatch import check_state
from tempreg.ops.lif_reference import lif_reference
from tempreg.surrogate import BothModesSpike
from tempreg.unwrap import unwrap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
MATRICES = ("Hessian", "GGN")


@final
@dataclass(frozen=True, kw_only=True)
class SurrogateCurvature(Result):
    """Largest eigenvalue and trace of each of `matrices`, of the surrogate.

    `trace_error` is the standard error over probes; NaN for one probe.
    """

    quantity: ClassVar[str] = "surrogate_curvature"
    axes: ClassVar[dict[str, tuple[str, ...]]] = {
        "top": ("matrix",),
        "trace": ("matrix",),
        "trace_error": ("matrix",),
    }
    units: ClassVar[dict[str, str]] = dict.fromkeys(axes, "nats / weight²")
    matrices: list[str]
    top: Array
    trace: Array
    trace_error: Array

    def table(self) -> str:
        """One line a matrix."""
        columns = (self.matrices, self.top, self.trace, self.trace_error)
        heads = ("of the surrogate", "top eigenvalue", "trace", "standard error")
        return aligned(heads, list(zip(*columns, strict=True)), ".4g")

    def figure(self) -> Figure:
        """Both numbers of both matrices."""
        from tempreg.analysis.figures.flatness import curvature_figure

        return curvature_figure(self)


def surrogate_curvature(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    seed: int = 0,
    probes: int = 16,
    chunk: int = 32,
) -> SurrogateCurvature:
    """Curvature of CE(mean_t o[t], y) by the weights with two or more dimensions, in eval mode.

    Args:
        model: inputs -> logits [T, B, classes]. tempreg neurons run as their reference loop
            inside; others must be differentiable twice, in both modes.
        inputs, targets: see `tempreg.analysis.capture`.
        seed: of the probes and of Lanczos' start.
        probes: of the trace, Rademacher vectors (Hutchinson), >= 1.
        chunk: samples at once, >= 1, which bounds memory to a few graphs of so many samples.

    Raises:
        ValueError: bad arguments or data, or neurons of another library.
        PackageMissing: curvlinops is not installed.
    """
    from scipy.sparse.linalg import eigsh

    if probes < 1:
        raise ValueError(f"probes must be >= 1, got {probes}")
    checked_logits(model, inputs, targets, chunk)
    top, trace, error = [], [], []
    for matrix in MATRICES:
        with surrogate_operator(model, inputs, targets, matrix, chunk=chunk) as operator:
            size = operator.shape[1]
            generator = torch.Generator().manual_seed(seed)
            found = []
            for _ in range(probes):
                z = (torch.randint(0, 2, (size,), generator=generator) * 2 - 1).to(
                    dtype=operator.dtype, device=operator.device
                )
                found.append(float(z @ (operator @ z)))
            start = np.random.default_rng(seed).standard_normal(size)
            values = eigsh(
                operator.to_scipy(),
                k=1,
                which="LA",
                v0=start,
                tol=1e-4,
                return_eigenvectors=False,
            )
        top.append(float(values[0]))
        trace.append(float(np.mean(found)))
        spread = np.std(found, ddof=1) / np.sqrt(probes) if probes > 1 else np.nan
        error.append(float(spread))
    return SurrogateCurvature(
        matrices=list(MATRICES),
        top=np.array(top),
        trace=np.array(trace),
        trace_error=np.array(error),
        settings={"samples": len(targets), "seed": seed, "probes": probes, "chunk": chunk},
    )


@contextmanager
def surrogate_operator(
    model: nn.Module, inputs: Tensor, targets: Tensor, matrix: str, *, chunk: int
) -> Iterator[Any]:
    """curvlinops' linear operator of "Hessian" or "GGN", to be used inside the block."""
    network = unwrap(model)
    for name, module in network.named_modules():
        if is_spiking(module) and not isinstance(module, (Neuron, StepNeuron, PSN)):
            raise ValueError(
                "curvature needs neurons that can be differentiated twice, in both modes, which "
                f"{library_of(module) or 'another library'}'s {name!r} can't: load the weights "
                "into a network of tempreg's (tempreg.create_model), or of tempreg.LIF neurons, "
                "and analyse that"
            )
    if find_spec("curvlinops") is None:
        raise PackageMissing(
            f"curvature needs curvlinops, which is not installed: {to_install('curvature')}"
        )
    from curvlinops import GGNLinearOperator, HessianLinearOperator

    kind = {"Hessian": HessianLinearOperator, "GGN": GGNLinearOperator}[matrix]
    names = list(moved_weights(model))
    weights = [network.get_parameter(name) for name in names]
    # It wants data with the batch first, and a module whose parameters these are.
    dim = batch_dim(inputs)
    wrapped = _MeanLogits(network, dim)
    data = [(x.movedim(dim, 0), y) for x, y in chunks(inputs, targets, chunk)]
    with evaluating(model), both_modes(model):
        yield kind(wrapped, nn.CrossEntropyLoss(), weights, data, check_deterministic=False)


@contextmanager
def both_modes(model: nn.Module) -> Iterator[None]:
    """Neurons differentiable any number of times, in both modes, inside; then as they were."""
    neurons = [m for m in unwrap(model).modules() if isinstance(m, Neuron)]
    before = [neuron.__dict__.get("forward") for neuron in neurons]
    stepped = [m for m in unwrap(model).modules() if isinstance(m, (StepNeuron, PSN))]
    try:
        for module in stepped:
            module.spike = BothModesSpike
        for neuron in neurons:
            neuron.__dict__["forward"] = partial(_reference, neuron)
        yield
    finally:
        for module in stepped:
            del module.spike
        for neuron, own in zip(neurons, before, strict=True):
            neuron.__dict__.pop("forward", None)
            if own is not None:
                neuron.__dict__["forward"] = own


def _reference(
    neuron: Neuron, x: Tensor, state: Tensor | None = None
) -> Tensor | tuple[Tensor, Tensor]:
    """`Neuron.forward` as the reference loop."""
    if state is not None:
        check_state(x, state)
    v0 = neuron.initial_state(x) if state is None else state
    tau = torch.as_tensor(neuron.current_tau()).to(v0)
    spikes, last = lif_reference(x.to(v0), v0, tau, neuron.spec, BothModesSpike)
    return spikes.to(x) if state is None else (spikes.to(x), last)


@final
class _MeanLogits(nn.Module):
    """mean_t o[t] [B, C] of inputs with the batch first."""

    def __init__(self, network: nn.Module, dim: int) -> None:
        super().__init__()
        self.network, self.dim = network, dim

    def forward(self, x: Tensor) -> Tensor:
        return logits_of(self.network, x.movedim(0, self.dim)).mean(dim=0)
