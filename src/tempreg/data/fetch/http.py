"""One file over HTTP: continued where it stopped, tried again, and kept only if it is right."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, final

from tempreg.data.fetch.catalogue import Download
from tempreg.errors import RunStopped
from tempreg.files import naming

if TYPE_CHECKING:
    import requests

WAITS = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt; they begin anew whenever an attempt brought something."""
TIMEOUT = (10.0, 30.0)
"""Seconds without a connection, and without a byte."""
_CHUNK = 2**16

Progress = Callable[[str, int, "int | None"], None]
"""Told a file's name, the bytes that are here, and all of them, where that is known."""


@final
class FetchError(RunStopped):
    """What was fetched isn't all here, or not what it must be."""


@final
class Resuming:
    """A download that continues `part` where an earlier attempt ended.

    Args:
        download: what must arrive.
        part: where bytes are kept until all are here; one name for each checksum, so that it never
            holds the beginning of another file.
        progress: see `Progress`.
        waits, timeout: see `WAITS` and `TIMEOUT`.
    """

    def __init__(
        self,
        download: Download,
        part: Path,
        progress: Progress,
        waits: Sequence[float] = WAITS,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._download, self._part, self._progress = download, part, progress
        self._waits, self._timeout = waits, timeout

    def to(self, output_file: Path) -> None:
        """The right content is at `output_file`, or FetchError."""
        url = self._download.url
        continued = self._have() > 0
        self._complete(url)
        if continued and not self._download.matches(self._part):
            self._part.unlink()  # it began with something else
            self._complete(url)
        if not self._download.matches(self._part):
            found = self._have()
            self._part.unlink()
            raise FetchError(
                f"{url} is not the published file: {found:,} bytes with another checksum than "
                f"{self._download.checksum}; nothing of it was kept"
            )
        self._part.replace(output_file)

    def _have(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _complete(self, url: str) -> None:
        """Attempts until all bytes are here."""
        failed = 0
        while True:
            before = self._have()
            trouble = self._attempt(url)
            if trouble is None:
                return
            failed = 1 if self._have() > before else failed + 1
            if failed > len(self._waits):
                raise FetchError(
                    f"{url}: {trouble}; tried {failed} times, {self._have():,} bytes are kept: "
                    "the same command continues there"
                )
            time.sleep(self._waits[failed - 1])

    def _attempt(self, url: str) -> str | None:
        """Get what isn't here yet; the trouble, if another attempt may help, or None when done."""
        import requests
        from urllib3.exceptions import HTTPError

        size, have = self._download.size, self._have()
        if size is not None and have == size:
            return None
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            with requests.get(url, headers=headers, stream=True, timeout=self._timeout) as answer:
                status = answer.status_code
                if status == 416:  # nothing after what is here: the checksum will tell
                    if answer.headers.get("Content-Range") == f"bytes */{have}":
                        return None
                    self._part.unlink(missing_ok=True)
                    return "the server has not that much of it"
                if status in (408, 429) or status >= 500:
                    return f"the server answered {status} {answer.reason}"
                if status not in (200, 206):
                    raise FetchError(f"{url}: the server answered {status} {answer.reason}")
                continues = status == 206 and answer.headers.get("Content-Range", "").startswith(
                    f"bytes {have}-"
                )
                if status == 206 and not continues:
                    self._part.unlink(missing_ok=True)
                    return "the server answered with another part than was asked for"
                have = have if continues else 0
                self._receive(answer, have, url)
        except (requests.RequestException, HTTPError) as error:
            return f"the connection failed ({type(error).__name__})"
        if size is not None and self._have() < size:
            return f"the connection ended after {self._have():,} of {size:,} bytes"
        return None

    def _receive(self, answer: requests.Response, have: int, url: str) -> None:
        """Append what comes, or begin anew where `have` is 0."""
        length = answer.headers.get("Content-Length", "")
        size = self._download.size or (have + int(length) if length.isdecimal() else None)
        with self._part.open("ab" if have else "wb") as file:
            self._progress(self._download.name, have, size)
            for chunk in answer.raw.stream(_CHUNK, decode_content=False):
                with naming(self._part):
                    file.write(chunk)
                have += len(chunk)
                if self._download.size is not None and have > self._download.size:
                    file.close()
                    self._part.unlink()
                    raise FetchError(
                        f"{url} is not the published file: more than its "
                        f"{self._download.size:,} bytes came; nothing of it was kept"
                    )
                self._progress(self._download.name, have, size)
