"""Downloads against a local server that misbehaves, up to a kill, and the folder that results."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from tempreg.cli.main import main
from tempreg.data import DataError, DataOptions, DataSet, Source
from tempreg.data.download import FetchError, Resuming
from tempreg.data.downloads import DOWNLOADS, Download
from tempreg.data.fetch import WORK, fetch
from tempreg.data.registry import SOURCES

CONTENT = bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at every path, in the way that `mode` says; keeps what was asked for."""

    content = CONTENT
    mode = ""
    most = 300_000  # bytes before it hangs up, where it does

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []
        self.gate = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked, server = self.headers["Range"], self.server
        server.ranges.append(asked)
        if server.mode == "404":
            return self.send_error(404)
        if server.mode == "busy" and len(server.ranges) < 3:
            return self.send_error(503)
        start = int(asked[6:-1]) if asked and server.mode != "no ranges" else 0
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            return self.end_headers()
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            place = f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            self.send_header("Content-Range", place)
        if server.mode != "no length":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.mode in ("drops", "no length") or (
            server.mode == "no ranges" and len(server.ranges) < 2
        ):
            body = body[: server.most]
        if server.mode == "stops" and len(server.ranges) > 1:
            return None
        if server.mode == "stops":
            body = body[: server.most]
        for i in range(0, len(body), 40_000):
            self.wfile.write(body[i : i + 40_000])
            if server.mode == "slow":
                time.sleep(0.02)
            if server.mode == "held" and i == 600_000:
                server.gate.wait(60)
            if server.mode == "stalls" and i == 400_000 and not start:
                time.sleep(1.5)
        return None

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def wanted(server: Server, content: bytes = CONTENT, size: int | None = None) -> Download:
    return Download(server.url, "file.mat", hashlib.sha256(content).hexdigest(), size)


def get(server: Server, folder: Path, download: Download | None = None) -> list[int]:
    """Download it with short waits; what was reported."""
    told: list[int] = []
    download = download or wanted(server, size=len(CONTENT))
    ready = Resuming(download, folder / "part", lambda _, done, size: told.append(done), (0, 0))
    ready(server.url, str(folder / "out"), None)
    return told


@pytest.mark.parametrize("mode", ["", "slow", "busy", "no length"])
@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_arrives_whole(server: Server, tmp_path: Path, mode: str, size: int | None) -> None:
    server.mode = mode
    if mode == "no length":
        server.most = len(CONTENT)
    told = get(server, tmp_path, wanted(server, size=size))
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)


@pytest.mark.parametrize("mode", ["drops", "no length"])
def test_continues_where_the_connection_dropped(server: Server, tmp_path: Path, mode: str) -> None:
    server.mode = mode
    get(server, tmp_path)
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert server.ranges == [None, *(f"bytes={n}-" for n in (300_000, 600_000, 900_000))]


def test_continues_where_nothing_came_any_more(server: Server, tmp_path: Path) -> None:
    server.mode = "stalls"
    download = wanted(server, size=len(CONTENT))
    ready = Resuming(download, tmp_path / "part", lambda *_: None, (0,), timeout=(5, 0.3))
    ready(server.url, str(tmp_path / "out"), None)
    assert (tmp_path / "out").read_bytes() == CONTENT
    first, second = server.ranges
    assert first is None
    assert second is not None
    assert 0 < int(second[6:-1]) <= 440_000


def test_begins_anew_where_the_server_has_no_ranges(server: Server, tmp_path: Path) -> None:
    server.mode = "no ranges"
    get(server, tmp_path)
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_gives_up_and_keeps_what_it_has(server: Server, tmp_path: Path) -> None:
    server.mode = "stops"
    with pytest.raises(FetchError, match="300,000 bytes are kept"):
        get(server, tmp_path)
    assert len(server.ranges) == 3  # one that brought something, then as many as there are waits
    assert [p.name for p in tmp_path.iterdir()] == ["part"]
    server.mode = ""
    get(server, tmp_path)
    assert server.ranges[3:] == ["bytes=300000-"]
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_404_is_not_tried_again(server: Server, tmp_path: Path) -> None:
    server.mode = "404"
    with pytest.raises(FetchError, match="answered 404 Not Found"):
        get(server, tmp_path)
    assert len(server.ranges) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [None, len(CONTENT)])
@pytest.mark.parametrize("served", [CONTENT[:-1] + b"x", CONTENT + b"more"])
def test_wrong_bytes_are_refused(
    server: Server, tmp_path: Path, served: bytes, size: int | None
) -> None:
    server.content = served
    with pytest.raises(FetchError, match="is not the published file"):
        get(server, tmp_path, wanted(server, size=size))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("start", [b"old" * 1000, CONTENT + b"longer", CONTENT])
def test_part_of_another_version_is_not_kept(server: Server, tmp_path: Path, start: bytes) -> None:
    (tmp_path / "part").write_bytes(start)
    get(server, tmp_path, wanted(server))
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_nobody_answers(tmp_path: Path, server: Server) -> None:
    download = Download("http://127.0.0.1:9/file", "file.mat", "0" * 64)
    ready = Resuming(download, tmp_path / "part", lambda *_: None, (0,))
    with pytest.raises(FetchError, match=r"connection failed \(ConnectionError\); tried 2 times"):
        ready(download.url, str(tmp_path / "out"), None)


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
        "from tests.unit.test_fetch import DOWNLOADS, SOURCES, Download, Small, main\n"
        "SOURCES['small'] = Small()\n"
        "DOWNLOADS['small'] = (Download(*sys.argv[1:4], int(sys.argv[4])),)\n"
        "sys.exit(main(['data', 'fetch', 'small']))\n"
    )
    download = wanted(server)
    words = [download.url, download.name, download.checksum, str(len(CONTENT))]
    with subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=Path(__file__).parents[2],
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
