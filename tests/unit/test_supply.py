"""What is installed: locks agree with the pins, licences with the locks, imports with pyproject."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tools import licences, lock

from tempreg.data.registry import SOURCES
from tempreg.data.sources.embedded import Embedded

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"([a-z0-9-]+)==([0-9][^+\s]*) --hash=sha256:([0-9a-f]{64})")
FILES = sorted(lock.FOLDER.glob("*.txt"))
BESIDES = {"markupsafe": "jinja2", "urllib3": "requests"}
"""Packages that are part of another one's interface, and come with it."""
GUESTS = {"pandas"}
"""Used where users have them; nothing of ours needs them."""
BY_NAME = {"aedat", "tensorboard", "onnx", "onnxscript"}
"""Imported by text, by torch, or in a process of its own."""


def pinned(text: str) -> dict[str, str]:
    found = re.findall(r"(?m)^([\w.-]+)==([^\s;]+)(?: ; .*)?$", text)
    return {licences.canonical(name): version for name, version in found}


def test_there_is_a_lock_for_each_environment() -> None:
    wanted = set(lock.LOCKS) | {f"{name}-source" for name in lock.SOURCES}
    assert {file.stem for file in FILES} == wanted


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_lock_has_a_version_and_a_hash_for_each(file: Path) -> None:
    head, *lines = file.read_text().splitlines()
    assert head.startswith("#")
    assert lock.TARGET in head
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    names = [line.partition("==")[0] for line in lines]
    assert len(names) > 0
    assert names == sorted(set(names))
    assert not [name for name in names if name.startswith(("nvidia-", "cuda-"))]


@pytest.mark.parametrize("name", sorted(set(lock.LOCKS) - {"release"}))
def test_lock_agrees_with_the_constraints(name: str) -> None:
    """All but what a requirement file of its own decides, and what only builds the project."""
    pins = pinned(lock.pins(name))
    for word in lock.LOCKS[name]:
        if word.endswith(".txt"):
            pins |= pinned((ROOT / word).read_text())
    built_with = {"setuptools", "setuptools-scm", "vcs-versioning"}
    found = licences.locked(name)
    assert {each: found[each] for each in found if each not in built_with} == {
        each: pins.get(each) for each in found if each not in built_with
    }


def test_dev_lock_has_what_pyproject_asks_for() -> None:
    """Everything tempreg and its extras need, in a version that is allowed."""
    found = {**licences.locked("dev"), **licences.locked("triton")}
    needed = [Requirement(line) for line in requires("tempreg") or []]
    needed = [each for each in needed if each.name != "tempreg"]
    assert len(needed) > 20
    for need in needed:
        assert need.specifier.contains(found[licences.canonical(need.name)]), need


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_locked_installations_have_hashes() -> None:
    """Every `pip install` of CI checks hashes, or installs the project alone, without a link."""
    targets = ["demo", "test", "lint", "types", "docs", "test-triton", "test-frameworks"]
    told = subprocess.run(
        ["make", "-n", "-B", "LOCKED=1", *targets, "test-dist"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.replace("\\\n", " ")  # fmt: skip
    lines = [line for line in told.splitlines() if "pip install" in line]
    assert len(lines) >= 8
    for line in lines:
        alone = line.endswith(" --no-deps --no-build-isolation .")
        assert alone or "--require-hashes --no-deps" in line, line
        assert " -e " not in line, line
    assert "--no-isolation" in told
    assert "try_wheel.py dist --lock " in told
    assert "LOCKED" in (ROOT / ".ci" / "run").read_text()


def test_import_loads_the_standard_library_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import tempreg;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tempreg" in done.stdout.split()
    assert set(done.stdout.split()) - {"tempreg"} <= sys.stdlib_module_names


def imported() -> set[str]:
    """Top-level names of all that src imports, lazily or not, and isn't Python's or ours."""
    names: set[str] = set()
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(str(node.module).partition(".")[0])
    return names - sys.stdlib_module_names - {"tempreg"}


def test_what_is_imported_is_declared_and_the_other_way_round() -> None:
    tools = {"dev", "docs"}
    declared = {
        licences.canonical(need.name)
        for need in map(Requirement, requires("tempreg") or [])
        if need.marker is None
        or not any(f'extra == "{each}"' in str(need.marker) for each in tools)
    }
    origin = packages_distributions()
    used = {licences.canonical(origin.get(name, [name])[0]) for name in imported()}
    assert BESIDES.keys() <= used
    assert used >= GUESTS
    assert (used - BESIDES.keys() - GUESTS) | BY_NAME == declared
    assert set(BESIDES.values()) <= declared


def page_table(head: str) -> list[list[str]]:
    """The rows of the table of docs/licences.md that starts with `head`."""
    text = licences.PAGE.read_text()
    rows = text[text.index(head) :].partition("\n\n")[0].partition("<!--")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_licences_of_all_locked_packages_are_listed() -> None:
    rows = page_table("| package | licence |")
    locked = {**licences.locked("dev"), **licences.locked("triton")}
    assert [name for name, _, _ in rows] == sorted(locked)
    assert not [row for row in rows if row[1] in ("", "not stated", "UNKNOWN")]
    # Where what is installed is what is locked, the page says what its metadata says.
    rows_now = [
        [name, licences.licence(package), by]
        for name, _, by in rows
        if (package := licences.installed(name))
        and package.version.partition("+")[0] == locked[name]
    ]
    assert len(rows_now) > 30
    assert [row for row in rows_now if row not in rows] == []


def test_page_says_why_each_dependency() -> None:
    core = [need for need in map(Requirement, requires("tempreg") or []) if need.marker is None]
    rows = page_table("| package | for |")
    assert [name for name, _ in rows] == [licences.canonical(need.name) for need in core]


def test_licences_of_data_are_those_of_the_program() -> None:
    rows = dict(page_table("| data set | licence |"))  # type: ignore[arg-type]
    wanted = {
        f"`{name}`": source.licence
        for name, source in SOURCES.items()
        if not source.licence.startswith("your") and not isinstance(source, Embedded)
    }
    assert rows == wanted
