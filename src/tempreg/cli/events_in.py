"""Events that come in: lines from standard input or a socket, and recordings played in real time.

A line is `t x y p`: microseconds, column, row, polarity 0 or 1; blanks or commas in between.
"""

from __future__ import annotations

import errno
import re
import socket
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast, final

import numpy as np
from numpy.typing import NDArray

from tempreg.data.frames.recordings import Recordings
from tempreg.errors import RequestError, RunStopped

if TYPE_CHECKING:
    import io

Events = NDArray[np.int64]
"""Columns t, x, y, p: [4, N]."""
Source: TypeAlias = Generator[Events, None, None]
LONGEST: Final = 256
"""Bytes of a line; more is no event."""
AT_ONCE: Final = 1 << 16
"""Bytes that are read, or events that are played, at once."""
WAITING: Final = 1 << 22
"""Bytes of datagrams that may wait until they are read, where the system allows as many."""
_SO_MEMINFO: Final = 55
_LINE = re.compile(rb"\s*(-?\d{1,18})[\s,]+(\d{1,9})[\s,]+(\d{1,9})[\s,]+([01])\s*")


@final
class BrokenOff(RunStopped):
    """A sender went away in the middle."""


@final
@dataclass
class Lines:
    """Lines as they come in pieces; what is no event is counted in `malformed`.

    Attributes:
        lost: datagrams that came faster than they were read, and were thrown away by the system,
            as far as it says so.
    """

    malformed: int = 0
    lost: int = 0
    _rest: bytes = b""
    _skips: bool = False

    def events(self, piece: bytes) -> Events:
        """The events of all lines that this piece ends."""
        *whole, rest = (self._rest + piece).split(b"\n")
        found = []
        for line in whole:
            if self._skips:  # the end of a line that was too long
                self._skips = False
                continue
            match = _LINE.fullmatch(line)
            if match:
                found.append([int(number) for number in match.groups()])
            elif line.strip():
                self.malformed += 1
        if len(rest) > LONGEST:
            self.malformed += not self._skips
            rest, self._skips = b"", True
        self._rest = rest
        columns: Events = np.array(found, np.int64).reshape(-1, 4).T
        return columns

    def end(self) -> Events:
        """The event of a last line without an end."""
        return self.events(b"\n") if self._rest else np.empty((4, 0), np.int64)


def standard_input(lines: Lines) -> Source:
    """Until it is closed."""
    given = cast("io.BufferedReader", sys.stdin.buffer)
    while piece := given.read1(AT_ONCE):
        yield lines.events(piece)
    yield lines.end()


def listening(address: str, lines: Lines, told: Callable[[str], None]) -> Source:
    """Of `tcp:[HOST:]PORT` one connection until it is closed; of `udp:[HOST:]PORT` datagrams of
    whole lines, for ever. The host is this machine alone where it isn't named.

    Raises:
        RequestError: the address isn't one, or can't be listened on.
        BrokenOff: the connection ended otherwise than by being closed.
    """
    kind, host, port = _address(address)
    family = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, family) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, port))
            if kind == "tcp":
                server.listen(1)
            else:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WAITING)
        except (OSError, UnicodeError) as error:  # the latter of what no host can be called
            why = getattr(error, "strerror", None) or error
            raise RequestError(f"--stream {address}: {why}") from None
        told(f"listening on {kind}:{host}:{server.getsockname()[1]}")
        yield from (_datagrams if kind == "udp" else _connection)(server, lines)


def _datagrams(server: socket.socket, lines: Lines) -> Source:
    try:
        while True:
            datagram = server.recv(AT_ONCE)
            lines.lost = _lost(server)
            yield lines.events(datagram + b"\n")
    finally:
        lines.lost = _lost(server)


def _lost(server: socket.socket) -> int:
    """Datagrams that the system threw away, for there was no room for them; 0 where it doesn't
    say. Of Linux' `SO_MEMINFO`, which Python doesn't name, the ninth number."""
    if sys.platform != "linux":
        return 0
    try:
        numbers = server.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
    except OSError as error:  # a kernel older than 4.12, or one that only stands for Linux
        if error.errno != errno.ENOPROTOOPT:
            raise
        return 0
    return int.from_bytes(numbers[32:36], sys.byteorder)


def _connection(server: socket.socket, lines: Lines) -> Source:
    sender, _ = server.accept()
    server.close()  # so that another sender is refused, and doesn't wait for ever
    with sender:
        try:
            while piece := sender.recv(AT_ONCE):
                yield lines.events(piece)
        except ConnectionError as error:
            yield lines.end()
            raise BrokenOff(f"the sender's connection broke off: {error.strerror}") from None
        yield lines.end()


def _address(text: str) -> tuple[str, str, int]:
    kind, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    if kind not in ("tcp", "udp") or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise RequestError(
            f"--stream {text}: give -, tcp:PORT, udp:PORT, tcp:HOST:PORT, udp:HOST:PORT or a "
            "recording's file"
        )
    return kind, host or "127.0.0.1", int(port)


def played(recording: Recordings, speed: float) -> Source:
    """A recording, a hundredth of a second at a time, `speed` times as fast as it was recorded."""
    t = recording.t.astype(np.int64)
    began, first, at = time.monotonic(), int(t[0]), 0
    while at < len(t):
        ahead = (int(t[at]) - first) / 1e6 / speed - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
        end = min(int(np.searchsorted(t, t[at] + 10_000)), at + AT_ONCE)
        columns = [getattr(recording, name)[at:end] for name in "txyp"]
        yield np.stack([column.astype(np.int64) for column in columns])
        at = end


def is_file(text: str) -> bool:
    """Whether --stream names a recording to play."""
    return text != "-" and not text.startswith(("tcp:", "udp:")) and Path(text).exists()
