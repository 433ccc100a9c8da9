"""Whether a network is what it says it is: `tempreg.audit(model, inputs)`.

The package can be called, so that `tempreg.audit` is the function and the place of its parts.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, final

from tempreg.audit.check import Audit as Audit
from tempreg.audit.check import AuditError as AuditError
from tempreg.audit.check import Check as Check
from tempreg.audit.check import Rows as Rows
from tempreg.audit.network import audit as audit
from tempreg.options.keywords import passes_on_to


@final
class _Callable(ModuleType):
    """A module that is called as its function `audit`."""

    @passes_on_to(audit)
    def __call__(self, *arguments: Any, **options: Any) -> Audit:
        """See `audit`."""
        return audit(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
