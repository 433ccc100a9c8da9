"""Random words of EVT 2.0, 2.1 and 3.0, and random .dat files."""

from __future__ import annotations

import random
import struct

from tests.differential.stream import Draw, Stream

GAP, AGAIN, BACK = "a gap of many TIME_HIGH", "the same TIME_HIGH again", "time steps back"
EARLY, NO_ROW = "events before the first TIME_HIGH", "events before the first row"
OUTSIDE, JUMP = "pixels outside the sensor", "TIME_HIGH jumps"
SINGLE, LONE = "a pixel between a vector's base and its words", "vectors of other than 12, 12, 8"
OTHER_ROWS, RESERVED = "rows of kind 1", "words of reserved kinds"
NO_LOW, LITTLE = "no TIME_LOW behind a TIME_HIGH", "words with their upper half last"
TURN, SIGNALS = "time that wraps", "triggers and monitoring words"
FALL = "a lower TIME_LOW than before"
START = "a first TIME_HIGH of 4,094 or 4,095"
NOTHING = "no events"
EVENT_2D = "events of the type Event2D"
MARK = "words that begin with %"
DAT_1, TRIGGERS = "version 1 of .dat", "a file of triggers"
T0 = "a line T0"


def evt3(rng: random.Random) -> Stream:
    """Words of 16 bits."""
    draw = Draw(rng)
    width, height = draw.sensor()
    wanted = draw.some(
        GAP,
        AGAIN,
        BACK,
        EARLY,
        NO_ROW,
        OUTSIDE,
        JUMP,
        SINGLE,
        LONE,
        OTHER_ROWS,
        RESERVED,
        NO_LOW,
        SIGNALS,
    )
    words: list[int] = []
    high, low = rng.choice((rng.randrange(4096), 4096 - rng.randrange(1, 100))), 0
    falling, sent = rng.random() < 0.6, 0

    def pixel() -> None:
        words.append(2 << 12 | rng.randrange(2) << 11 | rng.randrange(width))

    def row() -> None:
        words.append(rng.randrange(height))

    def vector() -> None:
        groups = rng.choice((1, 1, 2))
        base = rng.randrange(max(1, width - 32 * groups + 1))
        words.append(3 << 12 | rng.randrange(2) << 11 | base)
        for _ in range(groups):
            kinds = [(4, 12), (4, 12), (5, 8)]
            if LONE in wanted and rng.random() < 0.3:
                draw.has(LONE)
                kinds = rng.choice(([(4, 12)], [(5, 8)], [(4, 12), (5, 8)], [(5, 8), (4, 12)]))
            for kind, bits in kinds:
                if SINGLE in wanted and rng.random() < 0.2:
                    draw.has(SINGLE)
                    pixel()
                mask = rng.choice((0, (1 << bits) - 1, rng.getrandbits(bits), 1 << bits - 1))
                words.append(kind << 12 | rng.getrandbits(12 - bits) << bits | mask)

    def upper(value: int) -> None:
        nonlocal high, low
        if value < high:
            draw.has(TURN)
        if value != high:
            high, low = value, 0
        words.append(8 << 12 | value)

    def later() -> None:
        if NO_LOW in wanted and rng.random() < 0.5:
            draw.has(NO_LOW)
        else:
            lower(rng.randrange(1, 300) if falling else min(4095, sent + rng.randrange(1, 60)))

    def lower(value: int) -> None:
        nonlocal low, sent
        if value < sent:
            draw.has(FALL)
        low = sent = value
        words.append(6 << 12 | value)

    if EARLY in wanted:
        draw.has(EARLY)
        for _ in range(rng.randrange(1, 5)):
            rng.choice((pixel, row, vector))()
        row()
    words.append(8 << 12 | high)
    if high >= 4094:
        draw.has(START)
    later()
    if NO_ROW in wanted and EARLY not in wanted:
        draw.has(NO_ROW)
        pixel()
    row()
    for _ in range(rng.randrange(10, 60)):
        action = rng.random()
        if action < 0.3:
            if rng.random() < 0.5 and low < 4095:
                lower(low + rng.randrange(min(300, 4096 - low)))
            if rng.random() < 0.5:
                row()
            pixel()
        elif action < 0.55:
            vector()
        elif action < 0.65:
            upper((high + 1) % 4096)
            later()
        elif action < 0.72 and SIGNALS in wanted:
            draw.has(SIGNALS)
            words.append(10 << 12 | rng.randrange(16) << 8 | rng.randrange(2))
        elif action < 0.77 and SIGNALS in wanted:
            draw.has(SIGNALS)
            words.extend((14 << 12 | 0x14, 15 << 12 | rng.getrandbits(12), 15 << 12, 7 << 12 | 3))
        elif action < 0.82 and AGAIN in wanted:
            draw.has(AGAIN)
            upper(high)
        elif action < 0.87 and GAP in wanted:
            draw.has(GAP)
            # Mostly some milliseconds, at times more than the 16.8 s after which the counter wraps.
            for _ in range(rng.choice((*[rng.randrange(1, 100)] * 20, 4200))):
                upper((high + 1) % 4096)
            later()
        elif action < 0.9 and JUMP in wanted:
            draw.has(JUMP)
            upper((high + rng.randrange(17, 2000)) % 4096)
            later()
        elif action < 0.92 and OTHER_ROWS in wanted:
            draw.has(OTHER_ROWS)
            words.append(1 << 12 | rng.randrange(height))
            pixel()
            vector()
            row()
        elif action < 0.95 and RESERVED in wanted:
            draw.has(RESERVED)
            words.append(rng.choice((9, 11, 12, 13)) << 12 | rng.getrandbits(12))
        elif action < 0.97 and BACK in wanted and low > 0:
            draw.has(BACK)
            lower(rng.randrange(low))
            pixel()
        elif action < 0.98 and OUTSIDE in wanted:
            draw.has(OUTSIDE)
            words.append(rng.choice((height, 2 << 12 | width, 2 << 12 | width + 5)))
            pixel()
            row()
    return _raw(draw, "3", width, height, struct.pack(f"<{len(words)}H", *words), 2)


def evt2(rng: random.Random) -> Stream:
    """Words of 32 bits."""
    draw = Draw(rng)
    width, height = draw.sensor()
    words = _words_2(draw, width, height)
    return _raw(draw, "2", width, height, struct.pack(f"<{len(words)}I", *words), 4)


def evt21(rng: random.Random) -> Stream:
    """Words of 64 bits, either half first."""
    draw = Draw(rng)
    width, height = draw.sensor()
    order, words = rng.choice(("little", "legacy")), []
    for word in _words_2(draw, width - 32, height):
        kind, mask = word >> 28, rng.choice((0, 1, rng.getrandbits(32), 2**32 - 1))
        lower = mask if kind < 2 or kind == 14 else 0
        words.append(word << 32 | lower if order == "little" else lower << 32 | word)
    raw = struct.pack(f"<{len(words)}Q", *words)
    if order == "little":
        draw.has(LITTLE)
    return _raw(draw, "21", width, height, raw, 8, f"% endianness {order}\n")


def _words_2(draw: Draw, width: int, height: int) -> list[int]:
    """Kind, time, column and row, as EVT 2.0 and the upper half of 2.1 have them."""
    rng, words = draw.rng, []
    wanted = draw.some(GAP, AGAIN, BACK, EARLY, OUTSIDE, RESERVED, SIGNALS)
    high, low = rng.choice((rng.randrange(2**28), 2**28 - rng.randrange(1, 50))), 0

    def pixel() -> None:
        words.append(
            rng.randrange(2) << 28 | low << 22 | rng.randrange(width) << 11 | rng.randrange(height)
        )

    def upper(value: int) -> None:
        nonlocal high, low
        if value >= 2**28:
            draw.has(TURN)
        high, low = value % 2**28, 0
        words.append(8 << 28 | high)

    if EARLY in wanted:
        draw.has(EARLY)
        pixel()
    words.append(8 << 28 | high)
    for _ in range(rng.randrange(10, 60)):
        action = rng.random()
        if action < 0.6:
            low += rng.randrange(64 - low) if rng.random() < 0.3 else 0
            pixel()
        elif action < 0.75:
            upper(high + rng.choice((1, 1, 2, rng.randrange(1, 3000))))
        elif action < 0.8 and SIGNALS in wanted:
            draw.has(SIGNALS)
            words.append(10 << 28 | low << 22 | rng.randrange(16) << 8 | rng.randrange(2))
        elif action < 0.83 and SIGNALS in wanted:
            draw.has(SIGNALS)
            words += [14 << 28 | low << 22 | 0x14, 15 << 28 | rng.getrandbits(22)]
        elif action < 0.87 and AGAIN in wanted:
            draw.has(AGAIN)
            words.append(8 << 28 | high)
        elif action < 0.9 and GAP in wanted:
            draw.has(GAP)
            for _ in range(rng.randrange(1, 6)):
                upper(high + rng.randrange(1, 2**26))
        elif action < 0.93 and RESERVED in wanted:
            draw.has(RESERVED)
            words.append(rng.choice((2, 3, 9, 13)) << 28 | rng.getrandbits(28))
        elif action < 0.96 and BACK in wanted and low > 0:
            draw.has(BACK)
            low = rng.randrange(low)
            pixel()
        elif action < 0.98 and OUTSIDE in wanted:
            draw.has(OUTSIDE)
            words.append(1 << 28 | low << 22 | 1 << 11 | 1500)
    return words


def _raw(
    draw: Draw, version: str, width: int, height: int, words: bytes, size: int, more: str = ""
) -> Stream:
    """Headers as different programs write them."""
    rng = draw.rng
    dotted = {"2": "2.0", "21": "2.1", "3": "3.0"}[version]
    lines = ["% date 2024-01-02 03:04:05\n"] * rng.randrange(2)
    lines += ["% serial_number 00001621\n% camera_integrator_name Prophesee\n"] * rng.randrange(2)
    if rng.random() < 0.5:
        lines += [f"% format EVT{version};height={height};width={width}\n"]
        lines += [f"% geometry {width}x{height}\n"] * rng.randrange(2)
    else:
        lines += [f"% geometry {width}x{height}\n", f"% evt {dotted}\n"]
    lines.append(more)
    rng.shuffle(lines)
    if words.startswith(b"%"):
        draw.has(MARK)
    end = "% end\n" * rng.randrange(2)
    return draw.finished(".raw", "".join(lines).encode() + end.encode() + words, size)


def dat(rng: random.Random) -> Stream:
    """Events of 8 bytes behind lines with %."""
    draw = Draw(rng)
    width, height = draw.sensor()
    wanted = draw.some(BACK, OUTSIDE, DAT_1, TRIGGERS, T0)
    kind, version = rng.choice((0, 12)), 2
    if DAT_1 in wanted:
        draw.has(DAT_1)
        version, width, height = 1, 304, 240
    if TRIGGERS in wanted:
        draw.has(TRIGGERS)
        kind = 14
    if kind == 0:
        draw.has(EVENT_2D)
    first = rng.choice((0, rng.randrange(2**32), 2**32 - rng.randrange(1, 9000)))
    events = draw.events(rng.randrange(80), width, height, first, first + 2**31)
    if not events:
        draw.has(NOTHING)
    if BACK in wanted and len(events) > 2:
        place = rng.randrange(1, len(events))
        t, x, y, p = events[place]
        if t > events[0][0]:
            draw.has(BACK)
            before = events[place - 1][0]
            events[place] = (before - 1 if before else before, x, y, p)
    if OUTSIDE in wanted and events:
        draw.has(OUTSIDE)
        t, _, y, p = events[-1]
        events[-1] = (t, width + rng.randrange(3), y, p)
    head = f"% Data file containing events.\n% Version {version}\n"
    if T0 in wanted:
        draw.has(T0)
        head += "% T0 5000\n"
    head += f"% Height {height}\n% Width {width}\n"
    raw = head.encode() + bytes((kind, 8))
    for t, x, y, p in events:
        word = x | y << 9 | p << 17 if version == 1 else x | y << 14 | p << 28
        raw += struct.pack("<II", t % 2**32, word)
    return draw.finished(".dat", raw, 8)
