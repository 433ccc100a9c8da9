"""Folders to publish (`export --format hub`) from strangers: nothing of them is run, nothing else
is read or written, whatever their settings name."""

from __future__ import annotations

import io
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tempreg
from tempreg.cli.main import main
from tempreg.config import config_to_dict, read_config
from tempreg.errors import RequestError

OLD_RUN = Path(__file__).parents[2] / "data" / "old_run"
EVIL = 'from pathlib import Path\nPath("ran").touch()\n'
WITHOUT_DATA = ("predict hub one.png", "export hub --format c")
WITH_DATA = (
    "evaluate hub", "analyze hub spikes", "audit hub", "calibrate hub", "report hub",
    "train --resume --out hub", "compare --out hub --only runs/a/000",
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published folder, a picture, and code that must not run, in the current folder."""
    run, hub = OLD_RUN / "run", tmp_path / "hub"
    hub.mkdir()
    shutil.copy(run / "model.safetensors", hub)
    stored = {
        "library_name": "tempreg",
        "settings": config_to_dict(read_config(run / "config.yaml")),
        "data": json.loads((run / "data.json").read_text()),
    }
    (hub / "config.json").write_text(json.dumps(stored))
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "one.png")
    for folder in (tmp_path, hub):
        (folder / "evil.py").write_text(EVIL)
    (tmp_path / "garbage").write_bytes(b"what nobody can read")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def setting(place: Path, section: str, **values: Any) -> None:
    file = place / "hub" / "config.json"
    stored = json.loads(file.read_text())
    stored["settings"][section] |= values
    file.write_text(json.dumps(stored))


def listed(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*")}


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("model", "evil:Net"),
        ("model", "./evil.py:Net"),
        ("model", "hub/evil.py:Net"),
        ("objective", "evil:Loss"),
        ("data", "evil:Source"),
    ],
)
def test_code_that_it_names_is_not_run(
    place: Path, section: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    setting(place, section, name=name)
    before = listed(place)
    for command in (*WITHOUT_DATA, *WITH_DATA):
        wanted = 0 if section != "model" and command in WITHOUT_DATA else 2
        try:
            code = main(command.split())
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr().err
        assert code == wanted, (command, said)
        if section == "model" and command in WITHOUT_DATA:
            assert f"model.name {name} is code" in said
            assert "--trust-code" in said
        assert not (place / "ran").exists(), command
    written = {"hub/model.c", "hub/model.h", "hub/model_weights.h"}
    assert listed(place) - before == (set() if section == "model" else written)
    if section == "model":
        with pytest.raises(RequestError, match=f"model.name {name} is code"):
            tempreg.load("hub")
    else:
        tempreg.load("hub")
    assert not (place / "ran").exists()


@pytest.mark.parametrize(
    ("section", "name"), [("model", "weights"), ("data", "path"), ("data", "other_path")]
)
def test_places_that_it_names_are_not_read(place: Path, section: str, name: str) -> None:
    """What nobody can read stands there, and would be refused."""
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = tempreg.load("hub")(x)
    if name != "other_path":
        setting(place, section, **{name: str(place / "garbage")})
        assert torch.equal(tempreg.load("hub")(x), expected)
        assert main(WITHOUT_DATA[0].split()) == 0
    else:
        setting(place, section, other_path="garbage")
        with pytest.raises(RequestError, match=r"unknown key data\.other_path"):
            tempreg.load("hub")


class _Evil:
    def __reduce__(self) -> object:
        return Path.touch, (Path("ran"),)


def _pickled(how: str) -> bytes:
    if how == "pickle":
        return pickle.dumps({"a": _Evil()})
    held = io.BytesIO()
    torch.save({"a": _Evil()}, held)
    return held.getvalue()


@pytest.mark.parametrize("how", ["pickle", "torch.save"])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "calibration.json"])
def test_what_is_pickled_is_not_unpickled(
    place: Path, how: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "hub" / name).write_bytes(_pickled(how))
    others = WITHOUT_DATA[1:] if name == "calibration.json" else WITHOUT_DATA
    for command in others:
        capsys.readouterr()
        assert main(command.split()) == 2
        assert f"hub/{name}" in capsys.readouterr().err
    assert not (place / "ran").exists()
