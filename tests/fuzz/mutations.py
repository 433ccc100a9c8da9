"""Damaged and hostile versions of a file: of its bytes, and of what a container in it holds."""

from __future__ import annotations

import gzip
import io
import random
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence

NUMBERS = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
)
WORDS = (
    b"NaN", b"Infinity", b"-1", b"1e999", b"1e308", b"-1e308", b"null", b"true", b"[]", b"{}",
    b'""', b"9" * 400, b"9" * 5_000,
    b"[" * 20_000, b"{" * 3_000, b"../../../x", b"/etc/passwd", b"<script>alert(1)</script>",
    b"{{ 7*7 }}", b"!!python/object/apply:os.system [id]", b"&a [*a, *a]", b"\0", b"\xff\xfe",
    "\u202e".encode(), b"0x7fffffffffffffff", b"-0.0", b"1" + b"0" * 18, b"|O", b"\n", b",", b":",
)  # fmt: skip
"""Put in the place of a number or a word of a text."""


ZEROS = zlib.compress(bytes(2**26))
"""64 MiB in 64 kB."""


NOT_WHOLE = (
    OSError, EOFError, ValueError, LookupError, ArithmeticError, RuntimeError, struct.error,
    zlib.error, zipfile.BadZipFile, tarfile.TarError,
)  # fmt: skip
"""A seed that is itself damaged, and can't be unpacked."""


def mutated(seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """One to four changes of one of the seeds; of what it packs, half the time, where it does."""
    raw = rng.choice(seeds)
    try:
        if rng.random() < 0.5 and raw[:2] == b"PK":
            return _repacked(raw, rng)
        if rng.random() < 0.7 and raw[:2] == b"\x1f\x8b":
            content = gzip.decompress(raw)
            if rng.random() < 0.5 and content[257:262] == b"ustar":
                return gzip.compress(_retarred(content, rng), mtime=0)
            return gzip.compress(_changed(content, seeds, rng), mtime=0)
        if rng.random() < 0.5 and raw[:4] == b"\x89PNG":
            return _rechunked(raw, rng)
    except NOT_WHOLE:
        pass
    return _changed(raw, seeds, rng)


def _changed(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        raw = rng.choice(CHANGES)(raw, seeds, rng)
    return raw


def _place(raw: bytes, rng: random.Random) -> int:
    """Anywhere, or, as often, near the start, where most formats have their head."""
    return rng.randrange(max(1, len(raw) if rng.random() < 0.5 else min(len(raw), 200)))


def _bit(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    at = _place(raw, rng)
    return raw[:at] + bytes([b ^ 1 << rng.randrange(8) for b in raw[at : at + 1]]) + raw[at + 1 :]


def _number(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """A claim of a size, or whatever stands there, becomes an extreme number."""
    at, width = _place(raw, rng), rng.choice((1, 2, 4, 8))
    value = rng.choice(NUMBERS) % 256**width
    return raw[:at] + value.to_bytes(width, rng.choice(("little", "big"))) + raw[at + width :]


def _cut(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    return raw[: _place(raw, rng)]


def _without(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    at = _place(raw, rng)
    return raw[:at] + raw[at + rng.choice((1, 2, 4, 16, 300)) :]


def _twice(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    at, length = _place(raw, rng), rng.choice((1, 4, 64, 4096))
    return raw[: at + length] + raw[at:]


def _spliced(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    other = rng.choice(seeds)
    return raw[: _place(raw, rng)] + other[_place(other, rng) :]


def _noise(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    at = _place(raw, rng)
    return raw[:at] + rng.randbytes(rng.choice((1, 8, 64))) + raw[at:]


def _word(raw: bytes, seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """A number or a word in a text becomes another."""
    found = list(re.finditer(rb"[A-Za-z_]+|-?\d[\d.e+-]*", raw[:20_000]))
    if not found:
        return raw
    old = rng.choice(found)
    return raw[: old.start()] + rng.choice(WORDS) + raw[old.end() :]


CHANGES = (_bit, _number, _cut, _without, _twice, _spliced, _noise, _word, _word)


def _repacked(raw: bytes, rng: random.Random) -> bytes:
    """A zip archive, whole again, with a member changed, renamed, left out or there twice."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = rng.randrange(len(members))
    name, content = members[at]
    hostile = rng.choice(_names(name))
    match rng.randrange(6):
        case 0:
            del members[at]
        case 1:
            members.append((name, content[: len(content) // 2]))
        case 2:
            members[at] = (hostile, content)
        case _:
            members[at] = (name, _changed(content, [content], rng))
    out = io.BytesIO()
    packing = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(out, "w", packing) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name or "x")
            info.compress_type = packing
            archive.writestr(info, content)
    return out.getvalue()


def _names(name: str) -> tuple[str, ...]:
    """Names that lie elsewhere, or can't be a file's."""
    return ("../" + name, "/" + name, "x" * 300, "a\0b", name + "/", "C:\\" + name, "a/../../b")


def _retarred(raw: bytes, rng: random.Random) -> bytes:
    """A tar archive, whole again, in which one or two members became something else."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        members = [(m, archive.extractfile(m)) for m in archive.getmembers()]
        held = [(info, b"" if file is None else file.read()) for info, file in members]
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(held))
        info, content = held[at]
        match rng.randrange(7):
            case 0:
                info.name = rng.choice(_names(info.name))
            case 1:
                info.type = bytes([rng.choice(b"0123456789xgLKSVDMN")])
                info.linkname = rng.choice(("/etc/passwd", "../../x", info.name, ""))
            case 2:
                info.size = rng.choice((2**31, 2**33 - 1, 2**62, info.size // 2))
            case 3:
                claims = ("size", "path", "linkpath", "mtime", "GNU.sparse.map", "GNU.sparse.major")
                word = rng.choice(("-1", "9" * 400, "x", "1,2,3", "../../x", "nan", "\u202e"))
                info.pax_headers = {rng.choice(claims): word}
            case 4:
                held.insert(at, (info, content))
            case 5:
                del held[at]
            case _:
                content = _changed(content, [content], rng)
                info.size = len(content)
        if not held:
            break
        if at < len(held) and held[at][0] is info:
            held[at] = (info, content)
    out = b""
    for info, content in held:
        out += info.tobuf(tarfile.PAX_FORMAT, errors="replace")
        out += content + bytes(-len(content) % tarfile.BLOCKSIZE)
    return out + bytes(2 * tarfile.BLOCKSIZE)


def _rechunked(raw: bytes, rng: random.Random) -> bytes:
    """A PNG with one of its chunks changed, doubled or named otherwise, and checksums that fit."""
    chunks, at = [], 8
    while at < len(raw):
        (length,) = struct.unpack(">I", raw[at : at + 4])
        chunks.append((raw[at + 4 : at + 8], raw[at + 8 : at + 8 + length]))
        at += length + 12
    place = rng.randrange(len(chunks))
    kind, content = chunks[place]
    match rng.randrange(4):
        case 0:
            chunks.insert(place, (kind, content))
        case 1:
            others = (
                b"tEXt",
                b"zTXt",
                b"iTXt",
                b"iCCP",
                b"eXIf",
                b"acTL",
                b"fcTL",
                b"tRNS",
                b"PLTE",
            )
            chunks.insert(1, (rng.choice(others), b"a\0\0" + ZEROS))
        case _:
            chunks[place] = (kind, _changed(content, [content], rng))
    return raw[:8] + b"".join(
        struct.pack(">I", len(content)) + kind + content
        + struct.pack(">I", zlib.crc32(kind + content)) for kind, content in chunks
    )  # fmt: skip
