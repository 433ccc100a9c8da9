"""Neurons beyond LIF: adaptive threshold, synaptic current, recurrent, learnable threshold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from typing_extensions import Unpack, override

from tempreg.neurons.steps import State, StepNeuron
from tempreg.ops.spec import checked_tau
from tempreg.ops.step_c import Equation, StepFunction, runs_here
from tempreg.options.field import check_option
from tempreg.options.keywords import passes_on_to
from tempreg.options.neuron import NeuronConstants, NeuronOptions, StepOptions
from tempreg.surrogate import Spike


class _TwoStates(StepNeuron, ABC):
    """An equation that kernels/step.c has; subclass it and define `equation`, which says which.

    On a CPU it runs there, where nobody could tell: not under torch.func, torch.compile or
    torch.export, not in half precision, not where `spike` was replaced. "reference" as `backend` is
    the loop of `StepNeuron`, which can be differentiated any number of times.
    """

    def __init__(self, backend: str, **constants: Unpack[NeuronConstants]) -> None:
        super().__init__(**constants)
        if backend not in ("auto", "reference"):
            raise ValueError(f"unknown backend {backend!r}: choose one of auto, reference")
        self.backend = backend

    @abstractmethod
    def equation(self) -> Equation:
        """Its name and constants in C."""

    @override
    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        if self.backend == "reference" or self.spike is not Spike or not runs_here(x):
            return super().run(x, state)
        spikes, *last = StepFunction.apply(x, *state, self.equation(), self.spec)
        return spikes, tuple(last)


@final
class ALIF(_TwoStates):
    """LIF with an adaptive threshold: each spike raises it, and it falls back.

        h[t] = v[t-1] / tau + x[t]
        s[t] = 1 if h[t] > v_threshold + rho b[t-1] else 0
        b[t] = rho b[t-1] + jump s[t]

    After Bellec et al. (2018, arXiv 1803.09574), with the threshold's decay before the spike, as
    Norse's LSNN has it. rho in [0, 1], jump >= 0; v is reset as in `functional.lif`, where a soft
    reset subtracts the raised threshold.
    """

    states: tuple[str, ...] = ("v", "b")

    @passes_on_to(StepNeuron.__init__)
    def __init__(
        self,
        *,
        tau: float = NeuronOptions.tau,
        rho: float = StepOptions.rho,
        jump: float = StepOptions.jump,
        backend: str = "auto",
        **constants: Unpack[NeuronConstants],
    ) -> None:
        super().__init__(backend, **constants)
        self.tau = checked_tau(tau)
        for name, value in (("rho", rho), ("jump", jump)):
            check_option(StepOptions, name, value)
        self.rho, self.jump = float(rho), float(jump)

    @override
    def equation(self) -> Equation:
        return Equation("alif", self.tau, self.rho, self.jump)

    @override
    def charge(self, x: Tensor, state: State) -> State:
        v, b = state
        return v / self.tau + x, self.rho * b

    @override
    def threshold(self, state: State) -> Tensor:
        return self.spec.v_threshold + state[1]

    @override
    def reset(self, s: Tensor, state: State) -> State:
        return self.after_spikes(s, state), state[1] + self.jump * s


@final
class CubaLIF(_TwoStates):
    """LIF whose input is a synaptic current that decays.

        i[t] = i[t-1] / tau_syn + x[t]
        h[t] = v[t-1] / tau + i[t]

    and then as `functional.lif`; tau_syn >= 1, and a larger one forgets faster, as tau does.
    SpikingJelly's CUBALIFNode, whose decays are 1 / tau_syn and 1 / tau.
    """

    states: tuple[str, ...] = ("v", "i")

    @passes_on_to(StepNeuron.__init__)
    def __init__(
        self,
        *,
        tau: float = NeuronOptions.tau,
        tau_syn: float = StepOptions.tau_syn,
        backend: str = "auto",
        **constants: Unpack[NeuronConstants],
    ) -> None:
        super().__init__(backend, **constants)
        self.tau = checked_tau(tau)
        check_option(StepOptions, "tau_syn", tau_syn)
        self.tau_syn = float(tau_syn)

    @override
    def equation(self) -> Equation:
        return Equation("cuba", self.tau, self.tau_syn, 0.0)

    @override
    def charge(self, x: Tensor, state: State) -> State:
        v, i = state
        i = i / self.tau_syn + x
        return v / self.tau + i, i


@final
class RecurrentLIF(StepNeuron):
    """LIF with spikes that come back through a weight matrix one timestep later.

        h[t] = v[t-1] / tau + x[t] + W s[t-1] + c

    and then as `functional.lif`. `features` is the last dimension of x, >= 1; W and c are those of
    the linear layer `recurrent`. snnTorch's RLeaky, with reset_delay=False.
    """

    states: tuple[str, ...] = ("v", "s")
    between: ClassVar[tuple[str, ...]] = ("s",)

    @passes_on_to(StepNeuron.__init__)
    def __init__(
        self,
        features: int,
        *,
        tau: float = NeuronOptions.tau,
        **constants: Unpack[NeuronConstants],
    ) -> None:
        super().__init__(**constants)
        if features < 1:
            raise ValueError(f"features must be >= 1, got {features}")
        self.tau = checked_tau(tau)
        self.recurrent = nn.Linear(features, features)

    @override
    def charge(self, x: Tensor, state: State) -> State:
        v, s = state
        return v / self.tau + x + self.recurrent(s), s

    @override
    def reset(self, s: Tensor, state: State) -> State:
        return self.after_spikes(s, state), s


@final
class ThresholdLIF(StepNeuron):
    """LIF with a learnable threshold, one a layer; `v_threshold` is where it starts.

    snnTorch's Leaky with learn_threshold=True and reset_delay=False.
    """

    @passes_on_to(StepNeuron.__init__)
    def __init__(
        self, *, tau: float = NeuronOptions.tau, **constants: Unpack[NeuronConstants]
    ) -> None:
        super().__init__(**constants)
        self.tau = checked_tau(tau)
        self.learned = nn.Parameter(torch.tensor(self.spec.v_threshold))

    @override
    def charge(self, x: Tensor, state: State) -> State:
        return (state[0] / self.tau + x,)

    @override
    def threshold(self, state: State) -> Tensor:
        return self.learned
