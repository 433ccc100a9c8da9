"""Decoders as slow and plain as their formats allow: a word after another, a state, no arrays.

Written from the published descriptions, and apart from the readers: docs.prophesee.ai (encoding and
file formats), docs.inivation.com (AEDAT file formats), garrickorchard.com (N-MNIST). Like the
readers they refuse a recording that is cut, leaves its sensor or steps back in time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.differential.stream import Event


class Refused(Exception):
    """The recording can't be one."""


def head_of(raw: bytes, mark: str) -> tuple[list[str], bytes]:
    """The lines of a header, without mark, and what comes behind them."""
    lines: list[str] = []
    ends = b""
    while raw[: len(mark)] == mark.encode():
        line, _, rest = raw.partition(b"\n")
        end = line[-1:] if line.endswith(b"\r") else b"."
        if any(byte < 32 or byte > 126 for byte in line.rstrip(b"\r")) or end != (ends or end):
            break
        ends = end
        raw = rest
        lines.append(line.decode("ascii")[len(mark) :].strip())
        if lines[-1].lower() in ("end", "!end-header", "end of ascii header"):
            break
    return lines, raw


def words_of(raw: bytes, code: str) -> Iterator[tuple[int, ...]]:
    """Numbers in the layout of a struct."""
    if len(raw) % struct.calcsize(code):
        raise Refused("cut")
    yield from struct.iter_unpack(code, raw)


def in_order(events: list[Event], width: int = 10**9, height: int = 10**9) -> list[Event]:
    """The events, if they can be."""
    last = None
    for t, x, y, p in events:
        if x >= width or y >= height or p not in (0, 1) or (last is not None and t < last):
            raise Refused("an event that can't be")
        last = t
    return events


def raw_file(raw: bytes) -> list[Event]:
    """EVT 2.0, 2.1 and 3.0."""
    lines, words = head_of(raw, "% ")
    fields = {}
    for line in lines:
        key, _, value = line.partition(" ")
        fields[key] = value
    kind, *options = fields.get("format", f"EVT{fields.get('evt', '')[:3]}").split(";")
    fields.update(option.split("=") for option in options)
    if "geometry" in fields:
        fields["width"], fields["height"] = fields["geometry"].split("x")
    decode = {
        "EVT2": _evt2,
        "EVT2.0": _evt2,
        "EVT3": _evt3,
        "EVT3.0": _evt3,
        "EVT21": _evt21,
        "EVT2.1": _evt21,
    }[kind]
    events = decode(words, fields.get("endianness") == "legacy")
    return in_order(events, int(fields["width"]), int(fields["height"]))


class _Clock:
    """Time's upper part, which begins anew after its last value."""

    def __init__(self, bits: int) -> None:
        self.bits, self.value, self.turns, self.known = bits, 0, 0, False

    def set(self, value: int) -> bool:
        """Whether it is another than before."""
        if self.known and self.value - value >= 1 << (self.bits - 1):
            self.turns += 1
        other = not self.known or value != self.value
        self.value, self.known = value, True
        return other

    def now(self) -> int:
        return (self.turns << self.bits) + self.value


def _evt2(words: bytes, _: bool) -> list[Event]:
    clock, found = _Clock(28), []
    for (word,) in words_of(words, "<I"):
        kind = word >> 28
        if kind == 8:
            clock.set(word & 0xFFFFFFF)
        elif kind in (0, 1) and clock.known:
            t = clock.now() * 64 + (word >> 22) % 64
            found.append((t, (word >> 11) % 2048, word % 2048, kind))
    return found


def _evt21(words: bytes, upper_first: bool) -> list[Event]:
    clock, found = _Clock(28), []
    for first, second in words_of(words, "<II"):
        mask, word = (second, first) if upper_first else (first, second)
        kind = word >> 28
        if kind == 8:
            clock.set(word & 0xFFFFFFF)
        elif kind in (0, 1) and clock.known:
            t = clock.now() * 64 + (word >> 22) % 64
            for bit in range(32):
                if mask >> bit & 1:
                    found.append((t, (word >> 11) % 2048 + bit, word % 2048, kind))
    return found


def _evt3(words: bytes, _: bool) -> list[Event]:
    clock, low, found = _Clock(12), 0, []
    row: int | None = None
    other_row = False
    base: tuple[int, int] | None = None
    for (word,) in words_of(words, "<H"):
        kind, value = word >> 12, word & 0xFFF
        placed = clock.known and row is not None and not other_row
        if kind == 0:
            row, other_row = value & 0x7FF, False
        elif kind == 1:
            row, other_row = row if row is not None else 0, True
        elif kind == 2 and placed and row is not None:
            found.append((clock.now() * 4096 + low, value & 0x7FF, row, value >> 11))
        elif kind == 3:
            base = value & 0x7FF, value >> 11
        elif kind in (4, 5) and base is not None:
            bits = 12 if kind == 4 else 8
            for bit in range(bits):
                if value >> bit & 1 and placed and row is not None:
                    found.append((clock.now() * 4096 + low, base[0] + bit, row, base[1]))
            base = base[0] + bits, base[1]
        elif kind == 6:
            low = value
        elif kind == 8 and clock.set(value):
            low = 0
    return found


def dat_file(raw: bytes) -> list[Event]:
    """Versions 1 and 2."""
    lines, rest = head_of(raw, "%")
    fields = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines}
    if len(rest) < 2 or rest[1] != 8 or rest[0] not in (0, 12):
        raise Refused("other events")
    begin, last, found = int(fields.get("T0", 0)), None, []
    for t, word in words_of(rest[2:], "<II"):
        while last is not None and last - t > 2**31:
            t += 2**32
        last = t if last is None or t > last else last
        if fields["Version"] == "1":
            found.append((t + begin, word % 512, (word >> 9) % 256, (word >> 17) % 16))
        else:
            found.append((t + begin, word % 2**14, (word >> 14) % 2**14, word >> 28))
    return in_order(found, int(fields["Width"]), int(fields["Height"]))
