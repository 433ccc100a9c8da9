"""All checks of one network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from tempreg.analysis.capture import batch_dim
from tempreg.audit.axis import check_axis
from tempreg.audit.batch import check_batch
from tempreg.audit.causality import check_causality
from tempreg.audit.check import Audit, AuditError, Check, Rows
from tempreg.audit.energy import check_energy
from tempreg.audit.evidence import Evidence
from tempreg.audit.gradients import check_gradients
from tempreg.audit.lively import wake
from tempreg.audit.operations import observe
from tempreg.audit.precision import check_precision
from tempreg.audit.spikes import check_spikes
from tempreg.audit.state import check_state
from tempreg.audit.stepwise import check_stepwise
from tempreg.audit.subject import Ended, Subject, checked_inputs
from tempreg.audit.time import check_time
from tempreg.audit.trace import tensors
from tempreg.errors import one_line, out_of_memory
from tempreg.foreign import described

_MOST_SEED = 2**62


def audit(
    model: nn.Module,
    inputs: Tensor,
    *,
    targets: Tensor | None = None,
    seed: int = 0,
    per_step: bool | None = None,
    compiled: bool = False,
) -> Audit:
    """Every check of a network, on a copy of it: the model itself isn't run, and stays as it is.

    Two samples are used, for samples that don't meet in twos don't meet. Layers of neurons that
    are silent on these inputs are woken up for the checks of what depends on what (see `lively`),
    and left as they are for those of spikes, gradients, precision and energy.

    Args:
        model: any module: plain torch, tempreg's, SpikingJelly's, snnTorch's, Norse's or sinabs'.
        inputs: [T, B, F] or [T, B, C, H, W], time first whatever the library; or static, [B, F] or
            [B, C, H, W]. T, B >= 1, finite floating point, more than one value.
        targets: class indices [B], for the loss of `gradients`; None: a fixed mixture of outputs.
        seed: of everything that is drawn, in [0, 2^62].
        per_step: whether the model takes one timestep [B, ...] a call; None: told by its neurons.
        compiled: whether `precision` tries torch.compile, too (seconds).

    Returns:
        The audit, with the checks batch, causality, time, state, axis, spikes, stepwise,
        gradients, precision and energy.

    Raises:
        AuditError: inputs that show nothing, a model that can't be copied or run on them.
    """
    if not 0 <= seed <= _MOST_SEED:
        raise AuditError(f"seed must be in [0, 2^62], got {seed}")
    x = checked_inputs(inputs)
    chosen = None if targets is None else targets[: x.shape[batch_dim(x)]].cpu()
    subject = Subject(_on_cpu(model), x, per_step=per_step, seed=seed)
    _check_runs(subject)
    asleep = wake(subject)
    evidence = Evidence(subject)
    layers, products = observe(subject.plain())
    asked: dict[str, Callable[[], Check | tuple[Check, list[Rows]]]] = {
        "batch": lambda: check_batch(evidence),
        "causality": lambda: check_causality(evidence),
        "time": lambda: check_time(evidence),
        "state": lambda: check_state(evidence),
        "axis": lambda: check_axis(evidence),
        "spikes": lambda: check_spikes(evidence, layers, products),
        "stepwise": lambda: check_stepwise(evidence),
        "gradients": lambda: check_gradients(evidence, chosen),
        "precision": lambda: check_precision(evidence, compiled=compiled),
        "energy": lambda: check_energy(evidence, layers, products),
    }
    checks: dict[str, Check] = {}
    details: list[Rows] = []
    for name, ask in asked.items():
        found = _answer(ask)
        checks[name] = found if isinstance(found, Check) else found[0]
        details += [] if isinstance(found, Check) else found[1]
    return Audit(subject.name, checks, _settings(evidence, asleep), tuple(details))


def _check_runs(subject: Subject) -> None:
    """AuditError where the network can't be run, or gives nothing to look at."""
    shape = [*subject.inputs.shape]
    try:
        made = subject.first_call()
    except Ended as error:
        raise AuditError(f"{subject.name} can't be run on inputs {shape}: {error}") from error
    if not any(t.is_floating_point() and t.numel() for t in tensors(made)):
        raise AuditError(
            f"{subject.name} returns {described(made)} for inputs {shape}: an audit looks at "
            "floating-point outputs, one for each timestep"
        )


def _answer(
    ask: Callable[[], Check | tuple[Check, list[Rows]]],
) -> Check | tuple[Check, list[Rows]]:
    """What a check says; a failed one where the network ends with an error when it is asked."""
    try:
        return ask()
    except AuditError:
        raise
    except Ended as error:
        said = str(error)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError) as error:
        if out_of_memory(error):
            raise
        said = f"{type(error).__name__}: {one_line(error)}"
    return Check(
        False, None, 1.0, f"it could not be asked: when it is, the network ends with {said}"
    )


def _on_cpu(model: nn.Module) -> nn.Module:
    devices = {t.device.type for t in [*model.parameters(), *model.buffers()]}
    if devices - {"cpu"}:
        raise AuditError(
            f"the model is on {', '.join(sorted(devices))}: an audit runs on the CPU, "
            + ("and its parameters have no values yet" if "meta" in devices else "pass model.cpu()")
        )
    return model


def _settings(evidence: Evidence, asleep: list[str]) -> dict[str, Any]:
    subject = evidence.subject
    return {
        "inputs": [*subject.inputs.shape],
        "T": evidence.steps,
        "seed": subject.seed,
        "library": subject.library or "none known",
        "one timestep a call": subject.per_step,
        "float64": evidence.exact is not None,
        "silent layers that were woken up": asleep,
    }
