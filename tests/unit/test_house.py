"""How the sources are arranged: what a reader may count on, held by their syntax trees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src/tempreg").rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    for path, tree in TREES.items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def named(nodes: list[ast.expr]) -> set[str]:
    return {ast.unparse(node).split("[")[0].split(".")[-1] for node in nodes}


def test_a_class_is_abstract_or_final_or_says_how_to_subclass_it() -> None:
    subclassed = set().union(*(named(node.bases) for _, node in classes()))
    for path, node in classes():
        methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
        abstract = named(node.bases) & {"ABC", "Protocol"} or any(
            "abstractmethod" in named(method.decorator_list) for method in methods
        )
        said = "ubclass" in (ast.get_docstring(node) or "")
        final = "final" in named(node.decorator_list)
        assert final or abstract or said or node.name in subclassed, f"{path}: {node.name}"


def test_functions_are_short() -> None:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= 60, f"{path}: {node.name} has {lines} lines"


def test_the_formatter_formats() -> None:
    assert sum(path.read_text(encoding="utf-8").count("fmt: skip") for path in SOURCES) <= 5


def test_few_modules_stand_outside_the_rooms() -> None:
    top = [path.stem for path in (ROOT / "src/tempreg").glob("[!_]*.py")]
    assert len(top) <= 10, top


def test_the_import_contract_has_few_layers_no_exceptions_and_names_every_room() -> None:
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    assert not any("ignore_imports" in contract for contract in contracts)
    layers = contracts[0]["layers"]
    assert len(layers) <= 12
    placed = set(re.findall(r"tempreg\.(\w+)", " ".join(layers)))
    there = {
        path.stem
        for path in (ROOT / "src/tempreg").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert placed == there - {"__init__", "__main__"}
    (knows,) = (c for c in contracts if c["name"].startswith("only "))
    ignorant = {module.removeprefix("tempreg.") for module in knows["source_modules"]}
    below = {"config", "words", "files", "errors", "cautions", "huge_pages"}
    assert ignorant == placed - {"runs", "study", "cli"} - below
