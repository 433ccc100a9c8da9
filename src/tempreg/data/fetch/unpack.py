"""Archives unpacked so that nothing in them can reach outside its folder or fill the disk."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast, final

from tempreg.data.errors import DataError
from tempreg.files import naming

MOST_GROWTH = 20
"""An archive that unpacks to more than this times its size (and SMALL bytes) is refused."""
SMALL = 64 * 2**20
MOST_MEMBERS = 2_000_000
_CHUNK = 2**20
_ZIPPED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .zip, .tar or .tar.gz into `folder`, which must be empty.

    Only files and folders are taken; what macOS adds (`__MACOSX`) is left out. `folder` holds what
    was unpacked so far when an error is raised: unpack into a temporary one.

    Raises:
        DataError: no archive, a damaged one, a member that is a link, a device, encrypted, there
            twice or outside the folder, or more bytes than MOST_GROWTH allows.
    """
    limit = most_bytes(archive)
    total = members = 0
    try:
        opened = _zip(archive) if zipfile.is_zipfile(archive) else _tar(archive, limit)
        for name, size, content in opened:
            total, members = total + size, members + 1
            if total > limit or members > MOST_MEMBERS:
                raise DataError(
                    f"{archive} unpacks to {total:,} bytes in {members:,} or more members: too "
                    f"much for an archive of its size"
                )
            target = folder / _inside(archive, name)
            if "__MACOSX" in target.relative_to(folder).parts:
                continue
            if content is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with content, target.open("xb") as file:
                while chunk := content.read(_CHUNK):
                    with naming(target):
                        file.write(chunk)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{archive} has {name!r} twice, or as file and folder") from None
    except DataError:
        raise
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        gzip.BadGzipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        ValueError,
        OverflowError,
    ) as error:
        raise DataError(f"{archive} is damaged, or no archive: {error}") from None


def most_bytes(archive: Path) -> int:
    """What an archive may unpack to."""
    return MOST_GROWTH * archive.stat().st_size + SMALL


Member = tuple[str, int, IO[bytes] | None]
"""Name, size in bytes, and the content, or None for a folder."""


def _zip(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if info.header_offset < 0 or not info.filename:
                raise DataError(f"{archive} is damaged: {info.filename!r} has no name or place")
            kind = info.external_attr >> 28  # of the Unix mode, which other systems leave 0
            if kind not in (0, 4, 8):
                raise DataError(f"{archive}: {info.filename!r} is a link or a device: refused")
            if info.flag_bits & 1 or info.compress_type not in _ZIPPED:
                raise DataError(f"{archive}: {info.filename!r} is encrypted, or packed unusually")
            yield info.filename, info.file_size, None if info.is_dir() else file.open(info)


def _tar(archive: Path, limit: int) -> Iterator[Member]:
    with archive.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        source = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if zipped else raw)
        bounded = cast(IO[bytes], Bounded(archive, source, limit))
        with tarfile.open(fileobj=bounded, mode="r|") as file:
            for member in file:
                if not (member.isreg() or member.isdir()):
                    raise DataError(f"{archive}: {member.name!r} is a link or a device: refused")
                yield member.name, member.size, file.extractfile(member)


@final
class Bounded(io.RawIOBase):
    """A stream that ends in DataError after `limit` bytes and as much for headers."""

    def __init__(self, archive: Path, source: IO[bytes], limit: int) -> None:
        self._archive, self._source, self._left = archive, source, 2 * limit

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        chunk = self._source.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise DataError(f"{self._archive} unpacks to too much for an archive of its size")
        return chunk


def _inside(archive: Path, name: str) -> PurePosixPath:
    """A member's path, if it stays below the folder."""
    path = PurePosixPath(name)
    if (
        path.is_absolute()
        or (not path.parts and name not in (".", "./"))
        or ".." in path.parts
        or any(c in name for c in "\\:\0")
    ):
        raise DataError(f"{archive}: {name!r} lies outside the folder, or has no place: refused")
    return path
