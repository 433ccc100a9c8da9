"""Data sets fetched into their folders from a local server, up to a kill midway."""

from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tempreg.cli.main import main
from tempreg.data import DataError, DataOptions, DataSet, Source
from tempreg.data.fetch.catalogue import DOWNLOADS, Download
from tempreg.data.fetch.fetch import WORK, fetch
from tempreg.data.registry import SOURCES
from tests.local_server import CONTENT, Server, serving, wanted


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def test_addresses_and_checksums_are_well_formed() -> None:
    for downloads in DOWNLOADS.values():
        assert len({d.name for d in downloads}) == len({d.url for d in downloads}) == len(downloads)
        for download in downloads:
            assert re.fullmatch(r"md5:[0-9a-f]{32}|[0-9a-f]{64}", download.checksum)
            assert re.fullmatch(r"https?://\S+", download.url)
            assert Path(download.name).name == download.name
            assert download.unpack == download.name.endswith((".zip", ".tar.gz"))


class Small(Source):
    name: ClassVar[str] = "small"
    title: ClassVar[str] = "A small set"
    kind = "images"
    licence: ClassVar[str] = "CC0"
    homepage: ClassVar[str] = "https://example.org"
    instructions: ClassVar[str] = "Put file.mat there."

    def missing(self, folder: Path) -> list[str]:
        return [
            f"{folder / n} is not there"
            for n in ("file.mat", "set/a.txt")
            if not (folder / n).exists()
        ]

    def load(self, options: DataOptions) -> DataSet:
        raise DataError(f"{self.folder(options) / 'file.mat'} is damaged")


def tar(*names: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 5
            archive.addfile(info, io.BytesIO(b"hello"))
    return stream.getvalue()


@pytest.fixture
def small(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data set `small`: one file; its archive is put beside it by hand."""
    monkeypatch.setenv("TEMPREG_DATA", str(tmp_path))
    monkeypatch.setitem(SOURCES, "small", Small())
    monkeypatch.setitem(DOWNLOADS, "small", (wanted(server, size=len(CONTENT)),))
    (tmp_path / "small" / "set").mkdir(parents=True)
    (tmp_path / "small" / "set" / "a.txt").write_text("hello")
    return tmp_path / "small"


def test_command(server: Server, small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server.mode, server.most = "drops", 700_000
    assert main(["data", "list"]) == 0
    assert f"not complete: {small / 'file.mat'} is not there\n" in capsys.readouterr().out
    assert main(["data", "fetch", "small"]) == 0
    out = capsys.readouterr().out
    assert "licence: CC0" in out
    assert "https://example.org" in out
    assert "1 file, 1.0 MB, to" in out
    assert "file.mat: 1.0 MB of 1.0 MB" in out
    assert sorted(p.name for p in small.iterdir()) == ["file.mat", "set"]
    asked = len(server.ranges)
    assert main(["data", "fetch", "small"]) == 0
    assert "nothing to fetch" in capsys.readouterr().out
    assert len(server.ranges) == asked
    assert main(["data", "list"]) == 0
    assert f"complete: {small}\n" in capsys.readouterr().out
    assert main(["data", "check", "small"]) == 1
    assert capsys.readouterr().err == f"tempreg: {small / 'file.mat'} is damaged\n"


def test_command_says_what_failed(
    server: Server, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.mode = "404"
    assert main(["data", "fetch", "small", "--to", str(small)]) == 1
    error = capsys.readouterr().err
    assert error == f"tempreg: {server.url}: the server answered 404 Not Found\n"
    assert not (small / "file.mat").exists()
    (small / "file.mat").write_bytes(b"my own")
    (small / "set" / "a.txt").unlink()
    assert main(["data", "fetch", "small"]) == 2
    assert "remove it, then fetch again" in capsys.readouterr().err
    assert (small / "file.mat").read_bytes() == b"my own"


def test_without_address_says_what_to_put_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "fetch", "dvs128-gesture", "--to", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "https://research.ibm.com/interactive/dvsgesture/" in error
    assert f"In {tmp_path}: Unpack DvsGesture.tar.gz" in error
    assert list(tmp_path.iterdir()) == []


def test_archive_is_unpacked_and_its_place_not_taken(
    server: Server, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.content = tar("set/a.txt", "file.mat")
    archive = Download(
        server.url, "a.tar.gz", hashlib.sha256(server.content).hexdigest(), unpack=True
    )
    monkeypatch.setitem(DOWNLOADS, "small", (archive,))
    with pytest.raises(DataError, match=r"set is in the way: move it elsewhere"):
        fetch(SOURCES["small"], small, lambda *_: None)
    (small / "set" / "a.txt").unlink()
    (small / "set").rmdir()
    fetch(SOURCES["small"], small, lambda *_: None)
    assert (small / "set" / "a.txt").read_text() == "hello"
    assert not (small / WORK).exists()
    asked = len(server.ranges)
    (small / "file.mat").unlink()  # as if a kill had come between the two
    fetch(SOURCES["small"], small, lambda *_: None)
    assert (small / "file.mat").read_text() == "hello"
    fetch(SOURCES["small"], small, lambda *_: None)
    assert len(server.ranges) == asked + 1


def test_kill_midway_then_continue(
    server: Server, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.mode = "held"
    program = (
        "import sys\n"
        "from tests.unit.data.fetch.test_fetch import DOWNLOADS, SOURCES, Download, Small, main\n"
        "SOURCES['small'] = Small()\n"
        "DOWNLOADS['small'] = (Download(*sys.argv[1:4], int(sys.argv[4])),)\n"
        "sys.exit(main(['data', 'fetch', 'small']))\n"
    )
    download = wanted(server)
    words = [download.url, download.name, download.checksum, str(len(CONTENT))]
    with subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=Path(__file__).parents[4],
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    ) as process:
        assert process.stdout is not None
        while b"0.5 MB of" not in process.stdout.readline():
            assert process.poll() is None
        assert main(["data", "fetch", "small"]) == 2
        assert "another process fetches into" in capsys.readouterr().err
        process.send_signal(signal.SIGKILL)
    server.gate.set()
    kept = [p for p in (small / WORK).iterdir() if p.suffix == ".part"]
    assert 0 < kept[0].stat().st_size < len(CONTENT)
    assert not (small / "file.mat").exists()
    server.mode = ""
    have = kept[0].stat().st_size
    assert main(["data", "fetch", "small"]) == 0
    assert server.ranges == [None, f"bytes={have}-"]
    assert (small / "file.mat").read_bytes() == CONTENT
    assert sorted(p.name for p in small.iterdir()) == ["file.mat", "set"]
