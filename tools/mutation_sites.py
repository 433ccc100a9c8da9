"""Where the sources can be mutated: mutmut's operators at every place in LibCST's tree of a file.

A site is a node and an operator that changes it; its variants are the changed nodes (an operator
on a call, say, drops or blanks each argument). Not mutated: strings and f-strings (so no message
and no name), docstrings, whole `raise` statements, annotations, type aliases, decorators and
imports. Without decorators, because their arguments are declarations here (frozen=True).
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string

SKIPPED = (cst.Annotation, cst.Decorator, cst.Raise, cst.Import, cst.ImportFrom, cst.BaseString)
# Dropping an argument of these is a TypeError wherever it is tried.
ONE_ARGUMENT = ("len", "isinstance")


@dataclass(frozen=True)
class Site:
    """A place in a file and what an operator makes of it. Final."""

    line: int
    function: str
    operator: str
    node: cst.CSTNode
    variants: tuple[cst.CSTNode, ...]


class Source:
    """A file, its sites in order, and what it becomes with one of them changed. Final."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")
        wrapper = MetadataWrapper(cst.parse_module(self.text))
        self.module = wrapper.module
        self._positions = wrapper.resolve(PositionProvider)
        self._tree = ast.parse(self.text)
        self.sites = list(self._sites(self.module, ()))

    def _sites(self, node: cst.CSTNode, names: tuple[str, ...]) -> Iterator[Site]:
        if isinstance(node, SKIPPED) or _is_type_alias(node):
            return
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            names = (*names, node.name.value)
        at = self._positions.get(node)
        for kind, operator in mutation_operators:
            if operator is operator_string or not isinstance(node, kind) or at is None:
                continue
            if isinstance(node, cst.Call) and _name(node.func) in ONE_ARGUMENT:
                continue
            if variants := tuple(operator(node)):
                name = operator.__name__.removeprefix("operator_").replace("_", " ")
                yield Site(at.start.line, ".".join(names), name, node, variants)
        for child in node.children:
            yield from self._sites(child, names)

    def mutated(self, site: int, variant: int) -> str:
        """The file's text with a site changed; SyntaxError where that is no Python."""
        chosen = self.sites[site]
        changed = self.module.deep_replace(chosen.node, chosen.variants[variant])
        assert isinstance(changed, cst.Module)
        ast.parse(changed.code)
        return changed.code

    def change(self, mutated: str) -> str:
        """The lines that differ, before and after, in one line."""
        lines = list(difflib.ndiff(self.text.splitlines(), mutated.splitlines()))
        before, after = (" ".join(line[2:].strip() for line in lines if line[:2] == mark)
                         for mark in ("- ", "+ "))  # fmt: skip
        return f"{before} -> {after}"

    def lines_needed(self, line: int) -> set[int] | None:
        """Lines of which a test must run one to see a change at `line`; None for those of import.

        They are those of the innermost statement, of a compound statement its head; for the head
        of a function, which holds its defaults, those of its body.
        """
        inside: ast.stmt | None = None
        function = False
        statements: list[ast.stmt] = self._tree.body
        while found := [s for s in statements if s.lineno <= line <= (s.end_lineno or 0)]:
            inside = found[0]
            function = function or isinstance(inside, (ast.FunctionDef, ast.AsyncFunctionDef))
            statements = [s for s in ast.walk(inside) if isinstance(s, ast.stmt)]
            statements = [s for s in statements if s in _children(inside)]
        if inside is None or not function:
            return None
        body = getattr(inside, "body", None)
        if not body:
            return set(range(inside.lineno, (inside.end_lineno or 0) + 1))
        if isinstance(inside, ast.FunctionDef):
            return set(range(body[0].lineno, (inside.end_lineno or 0) + 1))
        return set(range(inside.lineno, body[0].lineno))


def _children(statement: ast.stmt) -> list[ast.stmt]:
    """The statements of a compound statement's blocks."""
    found: list[ast.stmt] = []
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            found.append(child)
        elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
            found += child.body
    return found


def _name(node: cst.CSTNode) -> str:
    return node.value if isinstance(node, cst.Name) else ""


def _is_type_alias(node: cst.CSTNode) -> bool:
    """Array = NDArray[...], R = TypeVar(...): names of types alone, in CamelCase."""
    if not isinstance(node, cst.Assign):
        return False
    target = _name(node.targets[0].target)
    if isinstance(node.value, cst.Call):
        return _name(node.value.func) == "TypeVar"
    return target[:1].isupper() and any(map(str.islower, target))
