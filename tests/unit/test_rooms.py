"""What is said of the house: a few lines in each room, and the drawing in CONTRIBUTING.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "tempreg"
ROOMS = sorted(file.parent for file in SOURCES.rglob("__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(SOURCES.parent)))
def test_each_room_says_in_five_lines_why_it_is_there(room: Path) -> None:
    lines = (room / "README.md").read_text().splitlines()
    name = "tempreg" if room == SOURCES else str(room.relative_to(SOURCES))
    assert lines[:2] == [f"# {name}", ""]
    assert len(lines) == 5
    assert all(0 < len(line) <= 100 for line in lines[2:])
    text = "\n".join(lines)
    for file in re.findall(r"[\w/]+\.(?:py|md|toml|c|h)\b", text):
        assert any((base / file).exists() for base in (room, SOURCES, ROOT)), file
    for named in re.findall(r"`([a-z_]+(?:/[a-z_]+)*)`", text):
        bases = (room, room.parent, SOURCES)
        there = any((base / named).is_dir() or (base / f"{named}.py").exists() for base in bases)
        code = "".join(file.read_text() for file in room.glob("*.py"))
        assert there or re.search(rf"\b{named}\b", code), named


def test_the_drawing_is_the_import_contract() -> None:
    tomllib = pytest.importorskip("tomllib")  # of Python 3.11
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (c["layers"] for c in linter["contracts"] if c["type"] == "layers")
    wanted = [{name.strip() for name in re.split(r"[:|]", layer)} for layer in layers]
    page = (ROOT / "CONTRIBUTING.md").read_text()
    drawing = re.match(r"# Contributing\n\n```text\n(.*?)```", page, re.DOTALL)
    assert drawing, "the drawing stands on top"
    top, *lines, bottom = drawing[1].splitlines()
    boxes, arrows = lines[::2], lines[1::2]
    assert len(boxes) <= 12
    drawn = [{f"tempreg.{name}" for name in re.findall(r"\w+", box.split("│")[1])} for box in boxes]
    assert drawn == wanted
    assert {top[0], bottom[0]} == {"┌", "└"}
    assert all(re.fullmatch("├─+▼─+┤", arrow) for arrow in arrows)


def test_every_room_and_module_is_in_the_drawing() -> None:
    """What the import contract doesn't name, it doesn't hold."""
    page = (ROOT / "CONTRIBUTING.md").read_text().partition("└")[0]
    there = {path.stem for path in SOURCES.iterdir() if (path / "__init__.py").exists()}
    there |= {path.stem for path in SOURCES.glob("*.py")} - {"__init__", "__main__"}
    assert {name for name in there if not re.search(rf"│.*\b{name}\b.*│", page)} == set()


def test_the_tests_of_a_room_lie_in_a_folder_of_its_name() -> None:
    unit = ROOT / "tests" / "unit"
    folders = {file.parent.relative_to(unit) for file in unit.rglob("__init__.py")}
    rooms = {room.relative_to(SOURCES) for room in ROOMS}
    assert folders - rooms == {Path("limits")}
