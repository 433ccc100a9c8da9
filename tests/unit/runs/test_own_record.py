"""The files that the user's code is made of: which they are, and which have changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tempreg.runs.own.record import imported_files, records, warn_of_changed_code
from tempreg.runs.own.trust import EVERYTHING
from tempreg.training.run_directory import RunDirectory

FILES = {
    "nets/__init__.py": "SIZE = 3\n",
    "nets/my_net.py": """
        import json, numpy.linalg
        import helpers
        from .blocks import Block
        from . import SIZE

        class Net:
            def grow(self):
                from nets.late import later
    """,
    "nets/blocks/__init__.py": "from .inner import *\nfrom . import side\n",
    "nets/blocks/inner.py": "from ..blocks import inner\nclass Block: pass\n",
    "nets/blocks/side.py": "import numpy\n",
    "nets/late.py": "later = 1\n",
    "nets/unused.py": "import os\n",
    "helpers.py": "try:\n    import broken\nexcept ImportError:\n    pass\n",
}
WANTED = {
    "helpers.py", "nets/__init__.py", "nets/blocks/__init__.py", "nets/blocks/inner.py",
    "nets/blocks/side.py", "nets/late.py",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix("        ") for line in text.split("\n")))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_files_are_those_that_python_loads(folder: Path) -> None:
    found = set(imported_files(folder / "nets" / "my_net.py", "nets.my_net").values())
    code = (
        "import sys; sys.path.insert(0, '.'); import nets.my_net, nets.late; "
        "print(*[m.__file__ for n, m in sys.modules.items() "
        "if n.partition('.')[0] in ('nets', 'helpers')])"
    )
    words = [sys.executable, "-c", code]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True, cwd=folder).stdout
    paths = {Path(name).resolve().relative_to(folder.resolve()) for name in loaded.split()}
    assert found == {p.as_posix() for p in paths} - {"nets/my_net.py"} == WANTED


def test_each_changed_file_is_told_and_no_other(folder: Path) -> None:
    run = RunDirectory(folder / "run")
    named = {"model.name": "nets.my_net:Net"}
    run.path.mkdir()
    run.create("", records(named, EVERYTHING), {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_changed_code(run, records(named, EVERYTHING))
    (folder / "nets" / "unused.py").write_text("import sys\n")
    (folder / "nets" / "blocks" / "inner.py").write_text("class Block: depth = 2\n")
    with pytest.warns(UserWarning, match="has changed since the run") as told:
        warn_of_changed_code(run, records(named, EVERYTHING))
    said = [str(w.message) for w in told]
    assert len(said) == 1
    assert said[0].startswith("nets/blocks/inner.py, which nets.my_net:Net imports, has changed")


def test_a_file_by_its_path_and_one_that_lies_elsewhere(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The folder of a file is its root; what it loads from another place counts too."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.move(folder / "helpers.py", elsewhere)
    (folder / "alone.py").write_text("from helpers import *\nclass Net: pass\n")
    named = {"model.name": f"{folder / 'alone.py'}:Net"}
    sys.path.insert(0, str(elsewhere))
    try:
        kept = records(named, EVERYTHING)
    finally:
        sys.path.remove(str(elsewhere))
    assert [key.partition("code_model_name")[2] for key in kept] == ["", "_imports_helpers.py"]
