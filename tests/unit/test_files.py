"""Writing files whole or not at all."""

from __future__ import annotations

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
