"""Folders from strangers with links out of them: what these lead to stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tempreg.cli.main import main
from tempreg.files import Busy, exclusive, link_out
from tempreg.study.driver import locked
from tempreg.study.plan.plan import StudyError
from tempreg.training.run_directory import RunDirectory, RunDirectoryError

OLD_RUN = Path(__file__).parents[2] / "data" / "old_run"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder, which can be gone on with, and files of somebody's own beside it."""
    shutil.copytree(OLD_RUN, tmp_path / "given")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("mine")
    monkeypatch.chdir(tmp_path / "given")
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        (".lock", "notes"),
        ("metrics.jsonl", "notes"),
        ("checkpoints", "."),
        ("analysis", "."),
        ("tensorboard", "."),
    ],
)
@pytest.mark.parametrize("command", ["train --resume --out run", "analyze run spikes"])
def test_nothing_is_written_through_a_link_of_a_run(
    place: Path, name: str, target: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if command.startswith("train"):
        (place / "given" / "run" / "summary.json").unlink()
    link = place / "given" / "run" / name
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(place / "mine" / target)
    before = content(place)
    assert main(command.split()) == 2
    assert f"run/{name} is a link out of run" in capsys.readouterr().err
    assert content(place) == before


@pytest.mark.parametrize("name", ["README.md", "report.html", "audit.json", "hub"])
def test_a_files_link_is_replaced_and_a_folders_is_not_followed(place: Path, name: str) -> None:
    run = place / "given" / "run"
    (run / name).symlink_to(place / "mine" / ("." if name == "hub" else "notes"))
    for command in ("report run", "audit run", "export run --format hub"):
        main(command.split())
    assert content(place / "mine") == {str(place / "mine" / "notes"): b"mine"}


@pytest.mark.parametrize("name", [".lock", "runs", "runs/rate", "runs/rate/000", "runs/rate/0.log"])
def test_nothing_is_written_through_a_link_of_a_study(place: Path, name: str) -> None:
    link = place / "study" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(place / "mine")
    with pytest.raises(StudyError, match="is a link out of"), locked(place / "study"):
        raise AssertionError("it can't be locked")
    assert content(place / "mine") == {str(place / "mine" / "notes"): b"mine"}


def test_a_lock_leaves_a_files_content_and_refuses_links(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.write_text("kept")
    with exclusive(lock), pytest.raises(Busy), exclusive(lock):
        raise AssertionError("it can't be locked twice")
    assert lock.read_text() == "kept"
    (tmp_path / "link").symlink_to(lock)
    with pytest.raises(OSError, match="link"), exclusive(tmp_path / "link"):
        raise AssertionError("a link can't be locked")


def test_links_within_a_folder_and_to_the_folder_are_no_harm(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "analysis").symlink_to("checkpoints")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "run")
    for folder in (tmp_path / "run", tmp_path / "elsewhere"):
        assert link_out(folder, ["*", "no/such/*"]) is None
        with RunDirectory(folder).locked():
            pass
    (tmp_path / "run" / "analysis").unlink()
    (tmp_path / "run" / "analysis").symlink_to("../nowhere")
    with pytest.raises(RunDirectoryError, match="analysis is a link out of"):
        RunDirectory(tmp_path / "run").refuse_links()
