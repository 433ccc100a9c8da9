"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import platform
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tempreg.files import replacing, write_json, write_text


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "result.txt"
    write_text(file, "old")

    def fail_halfway() -> None:
        with replacing(file) as temporary:
            temporary.write_text("half")
            assert file.read_text() == "old"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert file.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.txt"]
    write_text(file, "new")
    assert file.read_text() == "new"


def test_a_new_file_takes_the_old_ones_place_whole(tmp_path: Path) -> None:
    """Writing into the old file would show a reader, or a kill, half of each."""
    file = tmp_path / "result.txt"
    write_text(file, "old")
    with file.open() as reader:
        write_text(file, "new")
        assert reader.read() == "old"
    assert file.read_text() == "new"


def test_json_refuses_what_json_has_no_word_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_and_what_others_write_is_not(
    tmp_path: Path,
) -> None:
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tempreg.files import replacing\n"
        "with replacing(Path('big.bin')) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
    )
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        write_text(tmp_path / "other.txt", "new")
        assert len(list(tmp_path.rglob("*/big.bin"))) == 1
        process.kill()
    assert len(list(tmp_path.rglob("*/big.bin"))) == 1
    write_text(tmp_path / "other.txt", "newer")
    assert [p.name for p in tmp_path.iterdir()] == ["other.txt"]


@pytest.mark.parametrize("name", [f".{platform.node()}.x.txt", ".elsewhere.abc.tmp"])
def test_what_is_not_surely_a_leftover_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / name).is_dir()


def test_many_writers_of_one_file(tmp_path: Path) -> None:
    """Each clears what looks dead, which must never be another's."""

    def write(number: int) -> None:
        for _ in range(20):
            write_text(tmp_path / "a.txt", f"{number}" * 1000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    text = (tmp_path / "a.txt").read_text()
    assert text == text[0] * 1000
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_system_without_locks_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    left = tmp_path / f".{platform.node()}.abc.tmp"
    left.mkdir()
    write_text(tmp_path / "a.txt", "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == [left.name, "a.txt"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OSError("8 requested, 2 written")]
)
def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path, error: OSError) -> None:
    file = tmp_path / "a.bin"
    with pytest.raises(OSError, match=f"{re.escape(str(file))}"), replacing(file):
        raise error
    assert list(tmp_path.iterdir()) == []
