"""Senders that flood, dawdle, say nothing or go away, over real sockets."""

from __future__ import annotations

import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import closing

import pytest

from tempreg.cli import events_in
from tempreg.cli.events_in import AT_ONCE, BrokenOff, Lines, Source, listening

Row = tuple[int, ...]


def event(number: int) -> Row:
    return (number, number % 34, number % 29, number % 2)


def line(number: int) -> bytes:
    return b"%d %d %d %d\n" % event(number)


class Heard:
    """A listener and what it hears; `act` gets the port once it listens. Final."""

    def __init__(self, address: str, act: Callable[[int], None]) -> None:
        self.lines = Lines()
        self.source: Source = listening(
            address, self.lines, lambda said: act(int(said.rpartition(":")[2]))
        )
        self.rows: list[Row] = []

    def until(self, count: int | None = None) -> list[Row]:
        """All rows until there are as many, or, without a count, until the source ends."""
        with closing(self.source):
            for piece in self.source:
                self.rows += [tuple(row) for row in piece.T.tolist()]
                if count is not None and len(self.rows) >= count:
                    break
        return self.rows


def connected(port: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
    out = socket.socket(socket.AF_INET, kind)
    try:
        out.connect(("127.0.0.1", port))
    except OSError:
        out.close()
        raise
    return out


def fill(out: socket.socket, content: bytes) -> int:
    """Sends until the other side takes no more for now, or it is all sent; how much was sent."""
    out.setblocking(False)
    sent = 0
    try:
        while sent < len(content):
            sent += out.send(content[sent : sent + AT_ONCE])
    except BlockingIOError:
        pass
    out.setblocking(True)
    return sent


def test_who_floods_a_connection_has_to_wait_and_nothing_is_lost() -> None:
    total = 100_000
    content = b"".join(map(line, range(total)))
    at_first: list[int] = []

    def flood(port: int) -> None:
        out = connected(port)
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, AT_ONCE)
        at_first.append(fill(out, content))  # before the first byte is read

        def rest() -> None:
            with out:
                out.sendall(content[at_first[0] :])

        threading.Thread(target=rest, daemon=True).start()

    heard, expected = Heard("tcp:0", flood), 0
    for piece in heard.source:
        count = piece.shape[1]
        assert piece[0].tolist() == list(range(expected, expected + count))
        assert count * len(line(0)) <= AT_ONCE  # no more is held than was read at once
        expected += count
    assert expected == total
    assert at_first[0] < len(content)


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few datagrams may wait, and a short flood is too much."""
    if sys.platform != "linux":
        pytest.skip("only Linux says how many datagrams were thrown away")
    monkeypatch.setattr(events_in, "WAITING", 1 << 15)


@pytest.mark.usefixtures("little_room")
def test_datagrams_that_came_too_fast_are_counted() -> None:
    sent = 500

    def flood(port: int) -> None:
        with connected(port, socket.SOCK_DGRAM) as out:
            for number in range(sent):
                out.send(line(number) * 50)

    heard = Heard("udp:0", flood)
    datagrams = 0
    with closing(heard.source):
        for piece in heard.source:
            assert len(set(map(tuple, piece.T.tolist()))) == 1
            assert piece.shape[1] == 50
            datagrams += 1
            if datagrams + heard.lines.lost == sent:
                break
    assert 0 < heard.lines.lost < sent
    assert heard.lines.malformed == 0


@pytest.mark.usefixtures("little_room")
def test_the_last_ones_that_came_too_fast_are_counted_too() -> None:
    ports: list[int] = []

    def flood() -> None:
        with connected(ports[0], socket.SOCK_DGRAM) as out:
            for number in range(500):
                out.send(line(number) * 50)

    def begin(port: int) -> None:
        ports.append(port)
        with connected(port, socket.SOCK_DGRAM) as out:
            out.send(line(0))

    heard = Heard("udp:0", begin)
    next(heard.source)
    assert heard.lines.lost == 0
    flood()
    heard.source.close()
    assert 0 < heard.lines.lost < 500


def test_one_byte_at_a_time() -> None:
    def dawdle(port: int) -> None:
        def send() -> None:
            with connected(port) as out:
                out.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in b"".join(map(line, range(60))):
                    out.send(bytes([byte]))

        threading.Thread(target=send, daemon=True).start()

    heard = Heard("tcp:0", dawdle)
    assert heard.until() == [event(number) for number in range(60)]
    assert heard.lines.malformed == 0


def test_one_that_connects_and_says_nothing_is_waited_for() -> None:
    silent: list[socket.socket] = []

    def connect(port: int) -> None:
        silent.append(connected(port))
        threading.Timer(0.1, silent[0].close).start()

    heard = Heard("tcp:0", connect)
    assert heard.until() == []
    assert silent[0].fileno() == -1, "the listener went before the sender did"


@pytest.mark.parametrize("half", [b"1", b"1 2", b"1 2 3", b"1 2 3 "])
@pytest.mark.parametrize("reset", [False, True])
def test_half_a_line_is_no_event(half: bytes, reset: bool) -> None:
    def hang_up(port: int) -> None:
        with connected(port) as out:
            out.sendall(line(7) + half)
            if reset:  # what is closed is then broken off, as by a sender that was killed
                out.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    heard = Heard("tcp:0", hang_up)
    if reset:
        with pytest.raises(BrokenOff, match="broke off: Connection reset by peer"):
            heard.until()
    else:
        heard.until()
    assert heard.rows == [event(7)]
    assert heard.lines.malformed == 1


def test_a_whole_last_line_needs_no_end() -> None:
    def hang_up(port: int) -> None:
        with connected(port) as out:
            out.sendall(line(7) + line(8).rstrip())

    assert Heard("tcp:0", hang_up).until() == [event(7), event(8)]


def test_a_second_connection_is_refused() -> None:
    ports: list[int] = []
    first: list[socket.socket] = []

    def connect(port: int) -> None:
        ports.append(port)
        first.append(connected(port))
        first[0].sendall(line(1))

    heard = Heard("tcp:0", connect)
    assert next(heard.source).T.tolist() == [list(event(1))]
    with pytest.raises(ConnectionRefusedError):
        connected(ports[0])
    first[0].close()
    assert heard.until() == []


def test_two_senders_of_datagrams_do_not_mix_their_lines() -> None:
    def send(port: int) -> None:
        with (
            connected(port, socket.SOCK_DGRAM) as one,
            connected(port, socket.SOCK_DGRAM) as two,
        ):
            for number in range(20):
                one.send(line(number) + b"5 5")  # whose end never comes
                two.send(line(100 + number))

    heard = Heard("udp:0", send)
    wanted = [event(n) for number in range(20) for n in (number, 100 + number)]
    assert heard.until(40) == wanted
    assert heard.lines.malformed == 20


def test_a_system_that_counts_no_datagrams_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_in, "_SO_MEMINFO", 9999)

    def send(port: int) -> None:
        with connected(port, socket.SOCK_DGRAM) as out:
            out.send(line(1))

    heard = Heard("udp:0", send)
    assert heard.until(1) == [event(1)]
    assert heard.lines.lost == 0
