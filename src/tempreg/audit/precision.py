"""The same in other precisions, by other code, and compiled?

What a network's own rounding may change is measured: its weights and inputs are moved at random by
the precision's relative rounding error, in float64. Another precision may change ten times that.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tempreg.audit.check import Check, Rows, fine
from tempreg.audit.evidence import Evidence, output_difference
from tempreg.audit.subject import Subject
from tempreg.audit.trace import tensors
from tempreg.neurons import Neuron
from tempreg.ops.dispatch import resolve_backend

_HALVES = (torch.float16, torch.bfloat16)
_FLOORS = {torch.float32: 1e-2, torch.float16: 0.5, torch.bfloat16: 0.5}
"""What may differ in any case: a spike more or less in a small network."""
_TIMES = 10.0
_LARGE = 1_000_000
"""Parameters."""


def check_precision(evidence: Evidence, *, compiled: bool = False) -> tuple[Check, list[Rows]]:
    """Run in float64 and float32, with every tensor rounded to the halves, unwatched, with the
    reference code of tempreg's neurons, and compiled where asked for."""
    subject = evidence.subject.plain()
    exact = subject.in_double() if evidence.subject.wakes else evidence.exact
    of_exact = exact.output(exact.inputs) if exact else []
    rows: list[list[str]] = []
    remarks: list[str] = []
    plain = subject.output(subject.inputs)
    if not all(bool(t.isfinite().all()) for t in plain):
        layer = _first_infinite(subject, None)
        return Check(False, layer, 1.0, f"{layer!r} gives NaN or infinity"), []
    noise = (
        {d: _noise(exact, of_exact, d) for d in _FLOORS} if exact else dict.fromkeys(_FLOORS, 0.0)
    )
    limit = {d: _TIMES * noise[d] + floor for d, floor in _FLOORS.items()}

    def note(what: str, gap: float, allowed: float) -> None:
        rows.append([what, f"{gap:.3g}", f"{allowed:.3g}"])

    table = Rows(
        "Differences of outputs, relative to their mean", ["Run", "Found", "Allowed"], rows
    )
    if evidence.random:
        return fine("the network draws random numbers when it is evaluated: not compared"), []
    if exact is None:
        remarks.append("it can't be run in float64: differences of rounding count as none there")
    else:
        gap = output_difference(plain, of_exact)
        note("float64", gap, limit[torch.float32])
        if gap > limit[torch.float32]:
            return _differs(_first_rounding(subject, exact), gap, "float32 and float64 differ"), [
                table
            ]
    for half in _HALVES:
        rounded = subject.output(_round(subject.inputs, half), _rounding(subject, half))
        gap = output_difference(plain, rounded)
        note(f"every tensor rounded to {str(half)[6:]}", gap, limit[half])
        if not math.isfinite(gap):
            layer = _first_infinite(subject, half)
            return _differs(layer, 1.0, f"{str(half)[6:]} overflows"), [table]
        if gap > limit[half]:
            return _differs(None, gap, f"{str(half)[6:]} changes the outputs"), [table]
    others: list[tuple[str, Callable[[], list[Tensor]]]] = [
        ("watched by hooks", lambda: _watched(subject))
    ]
    if any(isinstance(m, Neuron) for m in subject.model.modules()):
        others.append(("the reference code of neurons", lambda: _reference(subject)))
    if compiled:
        others.append(("torch.compile, without code generation", lambda: _compiled(subject)))
    for what, run in others:
        gap = output_difference(plain, run())
        note(what, gap, limit[torch.float32])
        if gap > limit[torch.float32]:
            return _differs(None, gap, f"it gives something else run with {what}"), [table]
    more = "" if compiled else "; torch.compile was not asked for"
    sentence = f"float64, float32, rounding to halves and other code agree{more}"
    return fine(sentence, *remarks), [table]


def _differs(layer: str | None, gap: float, what: str) -> Check:
    return Check(
        False,
        layer,
        gap,
        f"{what}{f' at {layer!r}' if layer else ''}, by {gap:.3g} of the outputs' mean and more "
        "than rounding explains: look for sums of large and small numbers, thresholds that depend "
        "on the dtype, and numbers beyond 65504.",
    )


def _noise(exact: Subject, plain: list[Tensor], dtype: torch.dtype) -> float:
    """What moving weights and inputs by the relative rounding error changes, at most of three draws
    for the halves, or in one of a large network."""
    eps = torch.finfo(dtype).eps / 2
    large = sum(p.numel() for p in exact.model.parameters()) > _LARGE
    found = []
    for draw in range(1 if large or dtype == torch.float32 else 3):
        generator = torch.Generator().manual_seed(exact.seed + draw)
        model = exact.fresh()
        for module in model.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None and parameter.is_floating_point():
                    moved = _moved(parameter.detach(), eps, generator)
                    module._parameters[name] = nn.Parameter(moved)
        found.append(
            output_difference(plain, exact.output(_moved(exact.inputs, eps, generator), model))
        )
    return max((f for f in found if math.isfinite(f)), default=0.0)


def _moved(x: Tensor, eps: float, generator: torch.Generator) -> Tensor:
    noise = torch.rand(x.shape, generator=generator).to(x)
    return noise.sub_(0.5).mul_(2 * eps).add_(1.0).mul_(x)


def _round(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x.to(dtype).to(x.dtype) if x.is_floating_point() else x


def _rounding(subject: Subject, dtype: torch.dtype) -> nn.Module:
    """A copy whose parameters and modules' outputs are rounded to a dtype."""
    model = subject.fresh()

    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        return _round(output, dtype) if isinstance(output, Tensor) else None

    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.is_floating_point():
                module._parameters[name] = nn.Parameter(
                    _round(parameter.detach(), dtype), requires_grad=False
                )
        if not any(True for _ in module.children()):
            module.register_forward_hook(hook)
    return model


def _first_infinite(subject: Subject, half: torch.dtype | None) -> str:
    """The first layer whose output isn't finite though its inputs are."""
    model = subject.fresh() if half is None else _rounding(subject, half)
    x = subject.inputs if half is None else _round(subject.inputs, half)
    for visit in subject.run(x, model=model).visits:
        fine_in = all(bool(p.values.isfinite().all()) for p in visit.inputs)
        if fine_in and not all(bool(p.values.isfinite().all()) for p in visit.outputs):
            return visit.name or subject.name
    return subject.name


def _first_rounding(subject: Subject, exact: Subject) -> str | None:
    """The first layer to differ between float32 and float64 by a thousandth, from like inputs."""
    twins = exact.run(exact.inputs).by_key()

    def gap(side: str, visit: Any) -> float:
        pairs = zip(getattr(visit, side), getattr(twins[visit.key], side), strict=False)
        return max((_relative(a.values, b.values) for a, b in pairs), default=0.0)

    for visit in subject.run(subject.inputs).visits:
        if visit.key in twins and gap("inputs", visit) <= 1e-3 < gap("outputs", visit):
            return visit.name or subject.name
    return None


def _relative(a: Tensor, b: Tensor) -> float:
    if not len(a) or len(a) != len(b):
        return 0.0
    return float((a - b).abs().mean() / b.abs().mean().clamp(min=1e-12))


def _watched(subject: Subject) -> list[Tensor]:
    made = tensors(subject.run(subject.inputs).result)
    return [t for t in made if t.is_floating_point()]


def _reference(subject: Subject) -> list[Tensor]:
    model = subject.fresh()
    for module in model.modules():
        if isinstance(module, Neuron):
            module.backend = resolve_backend("reference", "cpu")
    return subject.output(subject.inputs, model)


def _compiled(subject: Subject) -> list[Tensor]:
    model = subject.fresh()
    with warnings.catch_warnings():
        # Of what torch itself does while it compiles: calls its own parts that it calls deprecated.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.")
        made: Any = torch.compile(model, backend="aot_eager")
        return subject.output(subject.inputs, made)
