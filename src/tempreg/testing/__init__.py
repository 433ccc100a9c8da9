"""For tests of your own networks: `assert_audited(net, inputs)` in any test, pytest's or others."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor, nn

from tempreg.audit import Audit, audit


def assert_audited(
    model: nn.Module,
    inputs: Tensor,
    *,
    targets: Tensor | None = None,
    seed: int = 0,
    allow: Collection[str] = (),
) -> Audit:
    """Fail the test that calls this where a check of `tempreg.audit` fails.

    Args:
        model, inputs, targets, seed: see `tempreg.audit`.
        allow: names of checks that may fail.

    Returns:
        The audit.

    Raises:
        AssertionError: a check fails; the message is the audit's table.
        ValueError: a name in `allow` is no check's.
    """
    found = audit(model, inputs, targets=targets, seed=seed)
    if unknown := sorted(set(allow) - set(found.checks)):
        raise ValueError(f"there is no check {unknown[0]!r}: they are {', '.join(found.checks)}")
    assert not found.failed(allow), f"{', '.join(found.failed(allow))}:\n{found.table()}"
    return found
