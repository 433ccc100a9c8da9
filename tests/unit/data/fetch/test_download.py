"""One file from a local server that misbehaves: continued, tried again, refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tempreg.data.fetch.catalogue import Download
from tempreg.data.fetch.http import FetchError, Resuming
from tests.local_server import CONTENT, Server, serving, wanted


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def get(server: Server, folder: Path, download: Download | None = None) -> list[int]:
    """Download it with short waits; what was reported."""
    told: list[int] = []
    download = download or wanted(server, size=len(CONTENT))
    ready = Resuming(download, folder / "part", lambda _, done, size: told.append(done), (0, 0))
    ready.to(folder / "out")
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
    ready.to(tmp_path / "out")
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
        ready.to(tmp_path / "out")
