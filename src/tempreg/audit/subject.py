"""The network under audit: copied, driven as its library wants it, and run afresh each time."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from types import FunctionType
from typing import Any, final

import torch
from torch import Tensor, nn

from tempreg.analysis.capture import batch_dim, check_finite
from tempreg.audit.check import AuditError
from tempreg.audit.trace import Trace, recording, tensors
from tempreg.errors import one_line, out_of_memory
from tempreg.foreign import library_of
from tempreg.interop import sinabs, snntorch, spikingjelly
from tempreg.interop.base import TimeFirst
from tempreg.models.norms import NormOverTime
from tempreg.unwrap import unwrap

Norm = (nn.modules.batchnorm._NormBase, NormOverTime)


@final
class Ended(Exception):
    """The network ended with an error, whose kind and words this has."""


@final
class Subject:
    """A network and how it is run. Every run is of a fresh copy, so none sees another's traces.

    Args:
        model: any module; it is copied, and stays as it is.
        inputs: [T, B, ...] with an odd number of dimensions, or static [B, ...] with an even one.
        per_step: whether it takes one timestep [B, ...] a call; None: told by what its neurons
            are given (see `_takes_steps`).
        seed: of everything that is drawn.

    Attributes:
        wakes: hooks by layer that change the currents of silent neurons (see `lively`).
        writer: the module that writes into the network's inputs, once `first_call` has seen it.
    """

    def __init__(
        self, model: nn.Module, inputs: Tensor, *, per_step: bool | None, seed: int
    ) -> None:
        self.inputs, self.static = inputs, batch_dim(inputs) == 0
        self.seed = seed
        self.writer: str | None = None
        self.model = _copied(unwrap(model), {}, used=True)
        _at_rest(self.model)
        self.library = next((f for m in self.model.modules() if (f := library_of(m))), None)
        self.wrapped = isinstance(self.model, TimeFirst)
        self.flat = (
            sinabs.TimeFirst(self.model, num_steps=1).flat
            if self.library == "sinabs" and not self.wrapped
            else False
        )
        self.wakes: dict[str, Any] = {}
        self.per_step = False
        if not self.static and not self.wrapped:
            self.per_step = self._takes_steps() if per_step is None else per_step

    @property
    def name(self) -> str:
        """The network's class."""
        return type(self.model).__name__

    @property
    def keeps_state(self) -> bool:
        """Whether its library's neurons keep their state from call to call, until reset."""
        return not self.wrapped and any(map(_keeps, self.model.modules()))

    def plain(self) -> Subject:
        """The same with silent layers left as they are."""
        twin = copy.copy(self)
        twin.wakes = {}
        return twin

    def in_double(self) -> Subject | None:
        """The same in float64; None where the network can't be run so."""
        twin = copy.copy(self)
        twin.model = _copied(self.model, {}).double()
        twin.inputs = self.inputs.double()
        try:
            twin.output(twin.inputs)
        except Ended:
            return None
        return twin

    def fresh(self, *, training: bool = False) -> nn.Module:
        """A copy with the same parameters, at rest; in training mode but for norms if asked."""
        model = _copied(self.model, {id(p): p for p in self.model.parameters()})
        model.train(training)
        for module in model.modules():
            if isinstance(module, Norm):
                module.eval()
        for name, hook in self.wakes.items():
            model.get_submodule(name).register_forward_pre_hook(hook, with_kwargs=True)
        return model

    def call(self, model: nn.Module, x: Tensor) -> Any:
        """What the network returns for inputs as those given, of which it gets a copy; for one
        that takes steps, a list."""
        return self._ran(model, x.clone())

    def first_call(self) -> Any:
        """What the network returns; notes the module that writes into its inputs, if one does."""
        model, x = self.fresh(), self.inputs.clone()
        names = {module: name or self.name for name, module in model.named_modules()}
        before: dict[nn.Module, int] = {}

        def enter(module: nn.Module, args: Any) -> None:
            before[module] = x._version

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            if x._version > before[module] and self.writer is None:
                self.writer = names[module]

        for module in names:
            module.register_forward_pre_hook(enter)
            module.register_forward_hook(leave)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            return self._ran(model, x)

    def _ran(self, model: nn.Module, x: Tensor) -> Any:
        try:
            return self._called(model, x)
        except Exception as error:
            if out_of_memory(error):
                raise
            raise Ended(f"{type(error).__name__}: {one_line(error) or 'no message'}") from error

    def _called(self, model: nn.Module, x: Tensor) -> Any:
        if self.per_step:
            return self._by_steps(model, x)
        if isinstance(model, TimeFirst) and not self.static:
            model.num_steps = len(x)
            if isinstance(model, sinabs.TimeFirst):
                model.inside.steps = len(x)
        if self.library == "sinabs" and not self.wrapped and not self.static:
            first = x.transpose(0, 1)
            return model(first.flatten(0, 1) if self.flat else first)
        return model(x)

    def run(
        self,
        x: Tensor,
        *,
        training: bool = False,
        model: nn.Module | None = None,
        seed: int = 0,
        means: bool = False,
    ) -> Trace:
        """The trace of one pass without gradients, of a fresh copy or of the one given."""
        model = self.fresh(training=training) if model is None else model
        watched = recording(model, means=means)
        with torch.no_grad(), torch.random.fork_rng(devices=[]), watched as trace:
            torch.default_generator.manual_seed(self.seed + seed)
            trace.result = self.call(model, x)
        return trace

    def output(self, x: Tensor, model: nn.Module | None = None) -> list[Tensor]:
        """The floating-point tensors that the network returns, without anything watching."""
        model = self.fresh() if model is None else model
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            return [t for t in tensors(self.call(model, x)) if t.is_floating_point()]

    def samples(self, chosen: list[int], x: Tensor | None = None) -> Tensor:
        """The inputs of these samples, in this order."""
        given = self.inputs if x is None else x
        return given.index_select(batch_dim(given), torch.tensor(chosen)).contiguous()

    def other(self, draw: int) -> Tensor:
        """Inputs that hold the same values at other places, in all timesteps and samples."""
        generator = torch.Generator().manual_seed(self.seed + 1000 + draw)
        flat = self.inputs.flatten()
        return flat[torch.randperm(len(flat), generator=generator)].view_as(self.inputs)

    def _by_steps(self, model: nn.Module, x: Tensor) -> list[Any]:
        state, made = None, []
        for x_t in x:
            if self.library == "Norse":
                raw = model(x_t) if state is None else model(x_t, state)
                if isinstance(raw, tuple) and len(raw) == 2:
                    raw, state = raw
            else:
                raw = model(x_t)
            made.append(raw)
        return made

    def _takes_steps(self) -> bool:
        """Whether neurons that take one timestep a call get a whole sequence at once.

        Then the network leaves it to its caller to go through time. Where others of its neurons
        take sequences, it doesn't, and what is wrong is for the checks to say.
        """
        alone = [m for m in self.model.modules() if _steps_alone(m)]
        others = [m for m in self.model.modules() if library_of(m) and not _steps_alone(m)]
        if not alone or others:
            return False
        counts: dict[nn.Module, int] = {}

        def count(module: nn.Module, args: Any, output: Any) -> None:
            counts[module] = counts.get(module, 0) + 1

        model = self.fresh()
        for module in model.modules():
            if _steps_alone(module):
                module.register_forward_hook(count)
        try:
            self.output(self.inputs, model)
        except Ended:
            return True
        return max(counts.values(), default=1) == 1 and len(self.inputs) > 1


def checked_inputs(inputs: Any) -> Tensor:
    """At least two samples of inputs with more than one value; AuditError where there are none."""
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point():
        kind = inputs.dtype if isinstance(inputs, Tensor) else type(inputs).__name__
        raise AuditError(f"an audit takes a floating-point tensor of inputs, not {kind}")
    try:
        dim = batch_dim(inputs)
        check_finite(inputs)
    except ValueError as error:
        raise AuditError(str(error)) from None
    if not inputs.numel() or bool((inputs == inputs.flatten()[0]).all()):
        raise AuditError(
            f"inputs {[*inputs.shape]} hold one value only, so that nothing shows what depends on "
            "them: give inputs that differ"
        )
    x = inputs.detach().cpu()
    if x.shape[dim] == 1:
        generator = torch.Generator().manual_seed(0)
        flat = x.flatten()
        second = flat[torch.randperm(len(flat), generator=generator)].view_as(x)
        x = torch.cat([x, second], dim=dim)
    return x.narrow(dim, 0, 2).contiguous()


def _copied(model: nn.Module, memo: dict[int, Any], *, used: bool = False) -> nn.Module:
    """A deep copy in which what `memo` has is shared; and, of a model that was `used`, tensors of a
    past graph are constants.

    As copy.deepcopy does it, but for what each module has and nothing can change, which is most.
    """
    modules = list(model.modules())
    try:
        if any(isinstance(module, torch.jit.ScriptModule) for module in modules):
            return copy.deepcopy(model, memo)
        for module in modules:
            memo[id(module)] = module.__class__.__new__(module.__class__)
            if used:
                memo.update(_of_a_graph(module))
        for module in modules:
            own = {name: _value(value, memo) for name, value in vars(module).items()}
            memo[id(module)].__dict__.update(own)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise AuditError(f"{type(model).__name__} can't be copied: {error}") from None
    copied: nn.Module = memo[id(model)]
    return copied


_PLAIN = {int, float, bool, str, type(None), torch.dtype, torch.device, FunctionType}
_DICTS = {dict, OrderedDict}


def _value(value: Any, memo: dict[int, Any]) -> Any:
    """A copy of an attribute of a module."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind in _DICTS:
        if not value:
            return kind()
        if all(v is None or id(v) in memo for v in value.values()):
            return kind((name, memo.get(id(v))) for name, v in value.items())
    if kind is tuple and all(type(item) in _PLAIN for item in value):
        return value
    return copy.deepcopy(value, memo)


def _of_a_graph(module: nn.Module) -> dict[int, Tensor]:
    """Tensors that a module keeps of an earlier pass, by id, as constants."""
    kept = [t for v in (*vars(module).values(), *module._buffers.values()) for t in tensors(v)]
    return {id(t): t.detach().clone() for t in kept if t.grad_fn is not None}


def _keeps(module: nn.Module) -> bool:
    """Whether a library's neuron starts a call from where the last one ended, by design."""
    library = library_of(module)
    return library in ("SpikingJelly", "sinabs") or (
        library == "snnTorch" and bool(getattr(module, "init_hidden", False))
    )


def _steps_alone(module: nn.Module) -> bool:
    library = library_of(module)
    if library == "SpikingJelly":
        return bool(module.step_mode == "s")
    names = {cls.__name__ for cls in type(module).__mro__}
    if library == "snnTorch":
        return not names & {"StateLeaky", "AssociativeLeaky"}
    return library == "Norse" and bool(names & {"SNNCell", "SNNRecurrentCell"})


def _at_rest(model: nn.Module) -> None:
    """Put neurons that keep their state by design at rest, as their library's reset does."""
    resets: dict[str, Callable[[nn.Module], None]] = {
        "SpikingJelly": spikingjelly.reset,
        "sinabs": sinabs.reset,
        "snnTorch": snntorch.reset,
    }
    for module in model.modules():
        if _keeps(module):
            resets[library_of(module) or ""](module)


def reset(model: nn.Module) -> None:
    """What a user of the library does between two batches."""
    _at_rest(model)
