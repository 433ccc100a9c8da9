"""A local server that serves one file well, slowly, in parts, or not at all."""

from __future__ import annotations

import hashlib
import http.server
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tempreg.data.fetch.catalogue import Download

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

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet where who asked was killed in between."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


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


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def wanted(server: Server, content: bytes = CONTENT, size: int | None = None) -> Download:
    return Download(server.url, "file.mat", hashlib.sha256(content).hexdigest(), size)
