"""Lines of text before a recording's words, which may begin with a line's first letter too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tempreg.data.errors import DataError


def header_lines(path: Path, raw: bytes, mark: bytes) -> Iterator[tuple[str, int]]:
    """Each line of the header, stripped, without `mark`, and where the next one begins.

    A header's end is seldom marked, and its first word may begin with `mark`. So a line belongs to
    it only if it is text, and ends as the first line does, which is by LF or CR LF.

    Raises:
        DataError: the file ends within a line.
    """
    start, ending = 0, b""
    while raw.startswith(mark, start):
        end = raw.find(b"\n", start)
        line = raw[start:] if end < 0 else raw[start:end]
        ends = b"\r\n" if line.endswith(b"\r") else b"\n"
        if not _is_text(line.removesuffix(b"\r")) or (end >= 0 and ends != (ending or ends)):
            return
        if end < 0:
            raise DataError(f"{path} ends within its header: it is truncated")
        start, ending = end + 1, ending or ends
        yield line[len(mark) :].decode("utf-8").strip(), start


def _is_text(line: bytes) -> bool:
    try:
        return line.decode("utf-8").replace("\t", " ").isprintable()
    except UnicodeDecodeError:
        return False
