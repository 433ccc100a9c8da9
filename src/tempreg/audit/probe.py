"""Layers of neurons asked directly: they get made currents in place of their own, all at once.

The currents spread over all sizes from far below to far above any threshold. Half of those of one
timestep are then changed. A neuron answers in what was changed, and later; another entry of the
same timestep may not answer. As every layer gets made currents, layers don't disturb each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor, nn

from tempreg.audit.subject import Subject
from tempreg.audit.timemap import Slot, Timed, label
from tempreg.audit.trace import tensors
from tempreg.foreign import is_spiking, library_of

_NAMED = re.compile(r"(^|[a-z_])(P?LIF|ALIF|IF)([A-Z_]|Node|Cell|$)|[Ll]eaky|Neuron", re.MULTILINE)
_READS = re.compile(r"Readout|Integrator|NonSpiking|Surrogate|Encoder")


@final
@dataclass
class Probes:
    """By module name.

    Attributes:
        mixes: share of entries that answer at once to what others got; 0 where none.
        remembers: whether an earlier timestep's current shows later.
        shapes: what a call of it is given.
    """

    mixes: dict[str, float] = field(default_factory=dict)
    remembers: dict[str, bool] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)


def is_named_neuron(module: nn.Module) -> bool:
    """Whether its class is called as neurons are, and it has no weights of its own."""
    name = type(module).__name__
    return bool(_NAMED.search(name)) and not _READS.search(name) and not _weighted(module)


def neurons(model: nn.Module) -> dict[str, nn.Module]:
    """Layers of neurons: known ones, and others by the names of their classes; outermost ones."""
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if name and not inside and (is_spiking(module) or is_named_neuron(module)):
            found[name] = module
    return found


def recurrent(module: nn.Module) -> bool:
    """Whether it has weights inside, so that its entries may mix."""
    return _weighted(module) or "Recurrent" in type(module).__name__


def _weighted(module: nn.Module) -> bool:
    return any(p.ndim >= 2 and min(p.shape[:2]) > 1 for p in module.parameters())


_ENOUGH, _DRAWS = 2048, 14
"""Entries that are asked in all, and the most draws for a small layer."""


def currents(shape: torch.Size, generator: torch.Generator, draw: int = 0) -> Tensor:
    """Log-uniform sizes, 0.2 to 1.5 in even draws and 1 to 90 in odd ones; one in five negative."""
    low, high = (-1.6, 0.4) if draw % 2 == 0 else (0.0, 4.5)
    size = torch.exp(torch.empty(shape).uniform_(low, high, generator=generator))
    negative = torch.rand(shape, generator=generator) < 0.2
    return torch.where(negative, -size, size)


def probe(subject: Subject, times: dict[Slot, Timed], steps: int) -> Probes:
    """What each layer of neurons does with a change at one timestep."""
    found = Probes()
    if steps < 2:
        return found
    names = list(neurons(subject.model))
    layouts = {n: times[n, "in", 0].layouts for n in names if (n, "in", 0) in times}
    for rank in range(3):
        asked = {
            n: found_b[rank]
            for n, found_b in layouts.items()
            if rank < len(found_b) and (rank == 0 or found.mixes.get(n, 0.0) > 0)
        }
        if asked:
            _ask(subject, asked, steps, found)
    return found


def _ask(subject: Subject, asked: dict[str, int], steps: int, found: Probes) -> None:
    """Put the questions with these layouts, and note the answers."""
    for name in asked:
        found.mixes[name] = 0.0
    smallest = 0
    for draw in range(_DRAWS):
        if draw * smallest >= _ENOUGH and all(found.remembers.get(n) for n in asked):
            break
        base = overridden(subject, asked, steps, None, draw)
        smallest = min((len(a.made) for a in base.values()), default=_ENOUGH)
        t = 0 if draw // 2 % 2 == 0 else (steps - 1) // 2
        other = overridden(subject, asked, steps, t, draw)
        for name, b in asked.items():
            if name in base and name in other:
                _note(found, name, base[name], other[name], (t, b, steps))


@final
@dataclass
class Answer:
    """What one layer got and gave in a pass: [calls * entries], and which currents changed."""

    given: Tensor
    made: Tensor
    changed: Tensor
    shape: tuple[int, ...]


def _note(
    found: Probes, name: str, base: Answer, other: Answer, where: tuple[int, int, int]
) -> None:
    t, b, steps = where
    found.shapes[name] = base.shape
    if base.made.shape != base.given.shape or base.made.shape != other.made.shape:
        return
    answers = base.made != other.made
    when = label(torch.arange(len(answers)), b, steps)
    wrong = answers & ~other.changed & (when <= t)
    found.mixes[name] = max(found.mixes[name], float(wrong.double().mean()))
    later = bool((answers & (when > t)).any())
    found.remembers[name] = found.remembers.get(name, False) or later


def overridden(
    subject: Subject,
    layers: dict[str, int],
    steps: int,
    changed_at: int | None,
    draw: int,
    model: nn.Module | None = None,
) -> dict[str, Answer]:
    """A pass in which these layers get made currents; half of those at one timestep changed."""
    model = subject.fresh() if model is None else model
    given: dict[str, list[Tensor]] = {}
    made: dict[str, list[Tensor]] = {}
    changed: dict[str, list[Tensor]] = {}

    def before(name: str, b: int, number: int) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> Any:
            own = args[0]
            call = len(given.setdefault(name, []))
            seed = subject.seed + 7919 * number + 31 * call + 1_000_003 * draw
            generator = torch.Generator().manual_seed(seed)
            current = currents(own.shape, generator, draw)
            rest = currents(own.shape, generator, draw)
            half = torch.rand(own.shape, generator=generator) < 0.5
            flat = torch.arange(own.numel()).view(own.shape) + call * own.numel()
            here = half & (label(flat, b, steps) == changed_at)
            current = torch.where(here, rest, current).to(own)
            given[name].append(current.flatten())
            changed.setdefault(name, []).append(here.flatten())
            return (current, *args[1:]), kwargs

        return hook

    def after(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            made.setdefault(name, []).append(tensors(output)[0].detach().flatten().clone())
            shapes.setdefault(name, tuple(args[0].shape))

        return hook

    shapes: dict[str, tuple[int, ...]] = {}
    modules = dict(model.named_modules())
    for number, (name, b) in enumerate(layers.items()):
        modules[name].register_forward_pre_hook(before(name, b, number), with_kwargs=True)
        modules[name].register_forward_hook(after(name))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(subject.seed)
        subject.call(model, subject.inputs)
    return {
        name: Answer(
            torch.cat(given[name]), torch.cat(made[name]), torch.cat(changed[name]), shapes[name]
        )
        for name in made
    }


def stateful(module: nn.Module) -> bool:
    """Whether it is a neuron whose potential must outlast a timestep."""
    return is_spiking(module) or library_of(module) is not None or is_named_neuron(module)
