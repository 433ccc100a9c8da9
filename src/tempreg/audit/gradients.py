"""Do gradients reach every parameter, through every neuron, and through time?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tempreg.audit.check import Check, fine
from tempreg.audit.evidence import Evidence
from tempreg.audit.probe import currents, neurons
from tempreg.audit.subject import Subject
from tempreg.audit.timemap import label
from tempreg.audit.trace import tensors
from tempreg.foreign import constant_parameters

_CUT = (
    "Nothing before it can learn from what comes after: look for detach(), .data, numpy(), "
    "no_grad() and comparisons without a surrogate."
)


def check_gradients(evidence: Evidence, targets: Tensor | None) -> Check:
    """Ask each layer of neurons, with made currents, for its gradient; then differentiate a loss
    of the whole network by all parameters."""
    subject = evidence.subject.plain()
    neuron = _neurons(evidence, subject)
    if neuron is not None and not neuron.passed:
        return neuron
    model = subject.fresh()
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if not parameters:
        return fine("the network has no parameters that learn")
    with torch.enable_grad():
        given = subject.inputs.clone().requires_grad_()
        loss = _loss(_outputs(subject, model, given), targets)
        if loss is None:
            return _failed(evidence, model.__class__.__name__, 1.0, "no output has a gradient")
        found = torch.autograd.grad(loss, [*parameters.values()], allow_unused=True)
    constants = constant_parameters(model)
    missing = [
        n
        for (n, p), g in zip(parameters.items(), found, strict=True)
        if g is None and id(p) not in constants
    ]
    if missing:
        return _missing(evidence, subject, missing, len(parameters))
    zero = [
        n
        for n, g in zip(parameters, found, strict=True)
        if g is not None and not bool(g.count_nonzero()) and id(parameters[n]) not in constants
    ]
    remarks = list(neuron.remarks) if neuron else []
    if zero:
        remarks.append(
            f"the gradient of {len(zero)} of {len(parameters)} parameters is 0 on these inputs, as "
            f"of {zero[0]}: no potential comes near a threshold behind it"
        )
    frozen = sum(not p.requires_grad for p in model.parameters())
    if frozen:
        remarks.append(f"{frozen} parameters are not trained")
    if detached := _detached_resets(model):
        remarks.append(f"the gradient leaves out the reset in {', '.join(detached[:3])}")
    return fine("gradients reach every parameter, through neurons and through time", *remarks)


def _failed(evidence: Evidence, layer: str, size: float, what: str) -> Check:
    return Check(False, layer, size, f"{what}. {_CUT}")


def _outputs(subject: Subject, model: nn.Module, x: Tensor) -> list[Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(subject.seed)
        made = tensors(subject.call(model, x))
    return [t for t in made if t.is_floating_point() and t.requires_grad]


def _loss(outputs: list[Tensor], targets: Tensor | None) -> Tensor | None:
    """Cross-entropy of the mean over time where class indices are given, else a fixed mixture."""
    if not outputs:
        return None
    first = outputs[0]
    if targets is not None and first.ndim in (2, 3) and first.shape[-2] == len(targets):
        logits = first.mean(0) if first.ndim == 3 else first
        return nn.functional.cross_entropy(logits, targets)
    total = first.new_zeros(())
    for t in outputs:
        weights = torch.linspace(-1.0, 1.3, t.numel(), dtype=t.dtype).view_as(t)
        total = total + (t * weights).sum()
    return total


def _missing(evidence: Evidence, subject: Subject, missing: list[str], total: int) -> Check:
    """Which layer cuts, among calls that get a gradient's way and don't hand it on."""
    size = len(missing) / total
    layer = _first_cut(evidence, subject)
    if layer is None:
        owner = missing[0].rpartition(".")[0] or subject.name
        used = {v.name for v in evidence.base.visits}
        why = "its module isn't called" if owner not in used else "it reaches no output"
        return _failed(
            evidence, owner, size, f"the parameter {missing[0]!r} gets no gradient: {why}"
        )
    return _failed(
        evidence,
        layer,
        size,
        f"{layer!r} hands no gradient on, so that {len(missing)} of {total} parameters get none, "
        f"{missing[0]!r} among them",
    )


def _first_cut(evidence: Evidence, subject: Subject) -> str | None:
    """The first call to end whose output doesn't hang on an input that has a gradient."""
    model = subject.fresh()
    cut: list[str] = []

    def hook(name: str) -> Callable[..., None]:
        def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            ways = [t for t in tensors([args, kwargs]) if t.requires_grad]
            made = [t for t in tensors(output) if t.is_floating_point()]
            if cut or not ways or not made:
                return
            ends = [t for t in made if t.requires_grad]
            if not ends:
                cut.append(name)
                return
            found = torch.autograd.grad(
                [t.sum() for t in ends], ways, retain_graph=True, allow_unused=True
            )
            same = any(a is b for a in ends for b in ways)
            if not same and all(g is None for g in found):
                cut.append(name)

        return after

    for name, module in model.named_modules():
        module.register_forward_hook(hook(name), with_kwargs=True)
    with torch.enable_grad():
        _outputs(subject, model, subject.inputs.clone().requires_grad_())
    return (cut[0] or subject.name) if cut else None


def _neurons(evidence: Evidence, subject: Subject) -> Check | None:
    """Each layer of neurons with made currents: a gradient by them, and from the next timestep."""
    layers = {n: m for n, m in neurons(subject.model).items() if n in evidence.base.calls()}
    if not layers:
        return None
    given, made = _asked(subject, list(layers))
    remembers = evidence.probes.remembers
    for name in [n for n in evidence.base.calls() if n in made]:
        outputs = [t for t in made[name] if t.requires_grad]
        if not outputs:
            return _failed(evidence, name, 1.0, f"the neurons {name!r} give no gradient")
        grads = _by(outputs, given[name])
        if not any(bool(g.count_nonzero()) for g in grads):
            return _failed(
                evidence, name, 1.0, f"the gradient through the neurons {name!r} is 0 everywhere"
            )
        if remembers.get(name) and not _through_time(evidence, name, given[name], made[name]):
            return Check(
                False,
                name,
                1.0,
                f"the neurons {name!r} remember the timestep before, but no gradient goes back to "
                "it: the state is detached between timesteps. Hand it on as it is, or say that the "
                "gradient through time is left out on purpose.",
            )
    return fine("")


def _by(outputs: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Gradients of a fixed mixture of outputs; zeros where there is no way."""
    mixed = [(t * torch.linspace(0.5, 1.5, t.numel()).to(t).view_as(t)).sum() for t in outputs]
    found = torch.autograd.grad(mixed, inputs, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


def _through_time(evidence: Evidence, name: str, given: list[Tensor], made: list[Tensor]) -> bool:
    """Whether any output after the first timestep hangs on a current of the timestep before."""
    b, steps = evidence.layout((name, "in", 0)), evidence.steps
    each = given[0].numel()
    if b is None or any(g.numel() != each for g in given) or made[0].numel() != each:
        return True
    when = [
        label(torch.arange(each).view_as(t) + call * each, b, steps).view_as(t)
        for call, t in enumerate(given)
    ]
    for t in range(1, steps):
        late = [
            (y * (w == t).view_as(y)).sum()
            for y, w in zip(made, when, strict=True)
            if y.requires_grad
        ]
        found = torch.autograd.grad(late, given, retain_graph=True, allow_unused=True)
        for g, w in zip(found, when, strict=True):
            if g is not None and bool((g * (w == t - 1)).count_nonzero()):
                return True
    return False


def _asked(
    subject: Subject, names: list[str]
) -> tuple[dict[str, list[Tensor]], dict[str, list[Tensor]]]:
    """Made currents of each layer of neurons, call by call, and what it gives, with the graph."""
    model = subject.fresh()
    given: dict[str, list[Tensor]] = {}
    made: dict[str, list[Tensor]] = {}

    def before(name: str, number: int) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> Any:
            calls = given.setdefault(name, [])
            generator = torch.Generator().manual_seed(7919 * number + 31 * len(calls))
            sizes = [currents(args[0].shape, generator, draw) for draw in (0, 1)]
            chosen = torch.rand(args[0].shape, generator=generator) < 0.5
            own = torch.where(chosen, sizes[0], sizes[1]).to(args[0]).requires_grad_()
            calls.append(own)
            return (own, *args[1:]), kwargs

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            made.setdefault(name, []).append(tensors(output)[0])

        return hook

    for number, name in enumerate(names):
        module = model.get_submodule(name)
        module.register_forward_pre_hook(before(name, number), with_kwargs=True)
        module.register_forward_hook(after(name))
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(subject.seed)
        subject.call(model, subject.inputs)
    return given, made


def _detached_resets(model: nn.Module) -> list[str]:
    """Neurons that say so of themselves."""
    found = []
    for name, module in model.named_modules():
        spec = getattr(module, "spec", None)
        if bool(getattr(spec, "detach_reset", getattr(module, "detach_reset", False))):
            found.append(name)
    return found
