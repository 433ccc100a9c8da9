"""What the reference shows of code that says a thing once, elsewhere: for mkdocs.yml.

Keywords that a function passes on, and defaults that are those of settings, stand in signatures as
`help` has them; a setting's field has its default and its help text.
"""

from __future__ import annotations

import importlib
import inspect
from functools import reduce
from typing import Any

import griffe


class Reference(griffe.Extension):
    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        passes_on = any("passes_on_to" in str(decorator.value) for decorator in func.decorators)
        if passes_on or any("Options." in str(p.default) for p in func.parameters):
            signature = inspect.signature(running(func))
            func.parameters = griffe.Parameters(*map(shown, signature.parameters.values()))

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        if isinstance(attr.value, griffe.ExprCall) and str(attr.value.function) == "setting":
            field = running(attr.parent).__dataclass_fields__[attr.name]
            attr.value = repr(field.default)
            attr.docstring = griffe.Docstring(field.metadata["help"], parent=attr)


def running(item: Any) -> Any:
    """What griffe read, imported."""
    module = item.module.path
    names = item.path.removeprefix(f"{module}.").split(".")
    return reduce(getattr, names, importlib.import_module(module))


def shown(parameter: inspect.Parameter) -> griffe.Parameter:
    """A parameter as griffe has it."""
    kind = griffe.ParameterKind[parameter.kind.name.lower()]
    given = {"annotation": parameter.annotation, "default": parameter.default}
    known = {name: x for name, x in given.items() if x is not parameter.empty}
    if "default" in known:
        known["default"] = repr(known["default"])
    return griffe.Parameter(parameter.name, kind=kind, **known)
