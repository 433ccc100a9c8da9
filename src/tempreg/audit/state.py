"""Does a call depend on the one before, or on one that ended in an error?"""

from __future__ import annotations

import contextlib
from typing import Any, final

from torch import nn

from tempreg.audit.check import Check, fine
from tempreg.audit.evidence import Evidence
from tempreg.audit.place import changes, first_bad, where
from tempreg.audit.subject import Ended, reset
from tempreg.audit.trace import Trace, Visit

_MEND = "Let state begin in forward() as a local variable, or reset it there."


@final
class _Injected(Exception):
    """Raised in the middle of a pass."""


def check_state(evidence: Evidence) -> Check:
    """Call with other inputs and again; and after a call that broke off half-way."""
    subject = evidence.subject
    if not evidence.repeats:
        twin = subject.run(subject.inputs)
        found = _compared(evidence, evidence.base, twin, "in a fresh copy with the same seed")
        if found:
            return found
    if layer := subject.writer:
        return Check(
            False,
            layer,
            1.0,
            f"{layer!r} writes into the inputs of the network, so that a second call with the same "
            "tensor gets other inputs. Let it make a new tensor: no inplace=True, x = x * 2 and "
            "not x *= 2.",
        )
    keeps = subject.keeps_state
    model = subject.fresh()
    subject.run(subject.other(3), model=model)
    if keeps:
        reset(model)
    again = subject.run(subject.inputs, model=model)
    after = "after a call with other inputs" + (" and a reset" if keeps else "")
    if found := _compared(evidence, evidence.base, again, after):
        return found
    model = subject.fresh()
    _break_off(evidence, model)
    if keeps:
        reset(model)
    again = subject.run(subject.inputs, model=model)
    after = "after a call that ended in an error"
    if found := _compared(evidence, evidence.base, again, after):
        return found
    remarks = (
        [
            f"{subject.library}'s neurons keep their state until they are reset: reset them after "
            "every batch"
        ]
        if keeps
        else []
    )
    return fine("a call leaves nothing behind for the next, nor does one that fails", *remarks)


def _break_off(evidence: Evidence, model: nn.Module) -> None:
    """A call with other inputs that ends in an error after half of the modules' calls."""
    stop = max(1, len(evidence.base.visits) // 2)
    ended = 0

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        nonlocal ended
        ended += 1
        if ended == stop:
            raise _Injected

    handles = [module.register_forward_hook(hook) for module in model.modules()]
    with contextlib.suppress(Ended):
        evidence.subject.output(evidence.subject.other(4), model)
    for handle in handles:
        handle.remove()


def _compared(evidence: Evidence, a: Trace, b: Trace, when: str) -> Check | None:
    masks = changes(a, b)

    def share(visit: Visit, side: int) -> float:
        found = masks.get(visit.key, ([], []))[side]
        return max((float(m.double().mean()) for m in found if len(m)), default=0.0)

    def bad_in(visit: Visit) -> bool:
        return share(visit, 0) > 0

    visit = first_bad(a.visits, bad_in, lambda v: share(v, 1) > 0)
    if visit is None:
        return None
    layer, place = where(visit, a.visits, bad_in, evidence.subject.name)
    size = share(visit, 1)
    return Check(
        False,
        layer,
        size,
        f"{place} answers otherwise to the same inputs {when}: {size:.0%} of its outputs differ. "
        f"One batch goes into the next. {_MEND}",
    )
