"""The changes that fuzzing makes."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable
from random import Random

import pytest
from PIL import Image

from tests.fuzz.mutations import mutated


@pytest.mark.parametrize("kind", ["tar", "png"])
def test_mutations_give_whole_files_too(kind: str) -> None:
    out = io.BytesIO()
    if kind == "tar":
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
            archive.addfile(tarfile.TarInfo("b"), io.BytesIO())
    else:
        Image.new("L", (4, 4)).save(out, "PNG")
    read, hostile = 0, 0
    for number in range(60):
        changed = mutated([out.getvalue()], Random(number))
        if (known := _whole(kind)(changed)) is not None:
            read += 1
            hostile += known
    assert read > 5
    assert hostile > 0


def _whole(kind: str) -> Callable[[bytes], bool | None]:
    def tar(raw: bytes) -> bool | None:
        try:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(raw))) as archive:
                return any(not m.isreg() or m.name not in "ab" for m in archive.getmembers())
        except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error):
            return None

    def png(raw: bytes) -> bool | None:
        return b"tEXt" in raw or b"iCCP" in raw or b"zTXt" in raw

    return tar if kind == "tar" else png
