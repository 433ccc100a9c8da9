"""As `plain`: AEDAT 1, 2 and 3.1, and N-MNIST's layout."""

from __future__ import annotations

import struct

from tests.differential.plain import Refused, head_of, in_order, words_of
from tests.differential.stream import Event


def forty_bit(raw: bytes) -> list[Event]:
    """Five bytes an event; a word of overflow adds 2^13 us to all that follow."""
    found: list[Event] = []
    extra, last, any_extra = 0, None, any(y == 240 for y in raw[1::5])
    for x, y, first, second, third in words_of(raw, "5B"):
        t = (first & 127) << 16 | second << 8 | third
        if y == 240:
            extra += 8192
            continue
        t += extra
        if not any_extra and last is not None and last - t > 2**22:
            extra += 2**23
            t += 2**23
        found.append((t, x, y, first >> 7))
        last = t
    return in_order(found)


def aedat(raw: bytes) -> list[Event]:
    """Versions 1.0 and 2.0 of a DVS128, and 3.1."""
    lines, rest = head_of(raw, "#")
    version = next((line[8:] for line in lines if line.startswith("!AER-DAT")), "1.0")
    if version == "3.1":
        return in_order(_packets(rest))
    found: list[Event] = []
    turns, last = 0, None
    for address, t in words_of(rest, ">HI" if version == "1.0" else ">II"):
        if address & 0x8000:
            continue
        if last is not None and last - t > 2**31:
            turns += 1
        last = t
        x, y = 127 - (address >> 1) % 128, 127 - (address >> 8) % 128
        found.append((t + turns * 2**32, x, y, 1 - address % 2))
    return in_order(found, 128, 128)


def _packets(raw: bytes) -> list[Event]:
    found: list[Event] = []
    while raw:
        if len(raw) < 28:
            raise Refused("cut")
        kind, _, size, _, over, room, number, _ = struct.unpack("<HHiiiiii", raw[:28])
        length = room if kind & 0x8000 else room * size
        body, raw = raw[28 : 28 + length], raw[28 + length :]
        if len(body) < length:
            raise Refused("cut")
        if kind & 0x7FFF != 1:
            continue
        numbers = [word for (word,) in words_of(body, "<I")]
        pairs: list[tuple[int, int]] = []
        while numbers:
            data, time = numbers.pop(0), numbers.pop(0)
            pairs.append((data, time & 0x7FFFFFFF))
            if time & 0x80000000:
                pairs.append((numbers.pop(0), time & 0x7FFFFFFF))
                pairs += [(numbers.pop(0), time & 0x7FFFFFFF) for _ in range(numbers.pop(0))]
        if len(pairs) != number:
            raise Refused("another number of events")
        for data, time in pairs:
            if data & 1:
                found.append((over * 2**31 + time, data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1))
    return found
