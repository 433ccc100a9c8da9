"""Words and lines of recordings by which readers err: time across gaps, headers, other layouts."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from tempreg.data.errors import DataError
from tempreg.data.formats.recordings import Recording, read_recording
from tempreg.data.formats.recordings.recording import checked
from tests.unit.data.formats.recordings.layouts import aedat3, aedat4, dat, dvs128, same

EVT3 = b"% evt 3.0\n% geometry 64x48\n% end\n"


def read(folder: Path, name: str, raw: bytes) -> Recording:
    path = folder / name
    path.write_bytes(raw)
    return read_recording(path)


def evt3(*words: tuple[int, int]) -> bytes:
    return EVT3 + struct.pack(f"<{len(words)}H", *(kind << 12 | value for kind, value in words))


def test_the_same_upper_time_again_keeps_the_lower_bits(tmp_path: Path) -> None:
    raw = evt3((8, 5), (6, 100), (0, 1), (2, 2), (8, 5), (2, 3))
    assert same(read(tmp_path, "a.raw", raw), np.array([[20580, 2, 1, 0], [20580, 3, 1, 0]]))
    raw = evt3((8, 5), (6, 100), (0, 1), (2, 2), (8, 6), (2, 3))
    assert read(tmp_path, "a.raw", raw).t.tolist() == [20580, 6 << 12]


def test_time_goes_on_through_19_seconds_without_events(tmp_path: Path) -> None:
    """A camera sends the upper part every 4,096 us; its 24 bits wrap after 16.8 s."""
    highs = [(8, high % 4096) for high in range(244, 20_000_000 // 4096 + 1)]
    low = 20_000_000 % 4096
    raw = evt3(highs[0], (6, 576), (0, 7), (2, 9), *highs[1:], (6, low), (2, 10))
    assert read(tmp_path, "a.raw", raw).t.tolist() == [1_000_000, 20_000_000]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_each_turn_without_events_counts(tmp_path: Path, turns: int) -> None:
    steps = [(8, high) for _ in range(turns) for high in (1500, 3000, 100)]
    raw = evt3((8, 100), (0, 7), (2, 9), *steps, (2, 10))
    assert np.diff(read(tmp_path, "a.raw", raw).t).tolist() == [turns * 2**24]
    words = [8 << 28 | 7, *[8 << 28 | part * 2**26 for _ in range(turns) for part in (1, 2, 3, 0)]]
    words.insert(1, 1 << 28 | 3 << 11 | 4)
    raw = b"% evt 2.0\n% end\n" + struct.pack(f"<{len(words) + 1}I", *words, 5 << 11)
    assert read(tmp_path, "b.raw", raw).t.tolist() == [7 << 6, turns * 2**34]


def test_a_step_back_of_upper_time_is_no_turn(tmp_path: Path) -> None:
    raw = evt3((8, 2000), (0, 7), (2, 9), (8, 1999), (2, 10))
    with pytest.raises(DataError, match=r"event 1 has t = 8187904, before the event before it"):
        read(tmp_path, "a.raw", raw)


def test_a_step_back_by_half_the_range_is_a_turn_and_by_one_less_is_none(tmp_path: Path) -> None:
    """Where OpenEB draws the line."""
    raw = evt3((8, 3000), (0, 7), (2, 9), (8, 3000 - 2048), (2, 10))
    assert read(tmp_path, "a.raw", raw).t.tolist() == [3000 << 12, (3000 + 2048) << 12]
    raw = evt3((8, 3000), (0, 7), (2, 9), (8, 3000 - 2047), (2, 10))
    with pytest.raises(DataError, match="before the event before it"):
        read(tmp_path, "b.raw", raw)


def test_rows_of_exposure_measurement_are_no_events(tmp_path: Path) -> None:
    raw = evt3((8, 1), (0, 7), (1, 9), (2, 4), (3, 5), (4, 7), (0, 8), (2, 6))
    assert same(read(tmp_path, "a.raw", raw), np.array([[4096, 6, 8, 0]]))


@pytest.mark.parametrize("header", ["% evt 2.1\n", "% format EVT21;height=48;width=64\n"])
@pytest.mark.parametrize("order", ["legacy", "little"])
@pytest.mark.parametrize("said", [True, False])
def test_evt_2_1(tmp_path: Path, header: str, order: str, said: bool) -> None:
    words = [
        (8 << 28 | 3, 0),
        (1 << 28 | 5 << 22 | 32 << 11 | 9, 1 << 31 | 0x90000001),
        (10 << 28, 0),
        (0 << 28 | 6 << 22 | 0 << 11 | 8, 2),
    ]
    pairs = [pair if order == "legacy" else pair[::-1] for pair in words]
    raw = header.encode() + (f"% endianness {order}\n".encode() if said else b"") + b"% end\n"
    found = read(tmp_path, "a.raw", raw + b"".join(struct.pack("<II", *pair) for pair in pairs))
    t = 3 * 64
    assert same(
        found,
        np.array([[t + 5, 32, 9, 1], [t + 5, 60, 9, 1], [t + 5, 63, 9, 1], [t + 6, 1, 8, 0]]),
    )


def test_a_header_ends_where_text_ends(tmp_path: Path) -> None:
    """EVT 2.0's upper time 0x2025 begins as a line of the header does."""
    words = struct.pack("<3I", 8 << 28 | 0x2025, 1 << 28 | 10 << 11 | 4, 1 << 28 | 12 << 11 | 4)
    found = read(tmp_path, "a.raw", b"% evt 2.0\n" + words)
    assert found.x.tolist() == [10, 12]
    assert found.t.tolist() == [0x2025 << 6] * 2


@pytest.mark.parametrize(
    "head", [b"#!AER-DAT1.0\r\n# made by a test\r\n", b"#!AER-DAT1.0\n# made by a test\n", b""]
)
def test_an_address_that_begins_as_a_header(tmp_path: Path, head: bytes) -> None:
    """Row 92 from above is 0x23, '#'; an end of a line follows in some later event."""
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 2**22, 400))
    events = np.stack([t, *rng.integers(0, 128, (2, 400)), rng.integers(0, 2, 400)], axis=1)
    events[0, 2] = 127 - 0x23
    raw = dvs128(events, 1).partition(b"test\r\n")[2]
    assert raw.startswith(b"#")
    assert b"\n" in raw
    assert same(read(tmp_path, "a.aedat", head + raw), events)


def test_serialised_times(tmp_path: Path) -> None:
    data = [x << 17 | 7 << 2 | 1 for x in range(6)]
    words = [data[0], 10, data[1], 20 | 1 << 31, data[2], 2, data[3], data[4], data[5], 30]
    body = struct.pack("<10I", *words)
    head = b"#!AER-DAT3.1\r\n#Format: SerializedTS\r\n#!END-HEADER\r\n"
    raw = head + struct.pack("<HHIIIIII", 0x8001, 1, 8, 4, 0, len(body), 6, 6) + body
    found = read(tmp_path, "a.aedat", raw)
    assert found.t.tolist() == [10, 20, 20, 20, 20, 30]
    assert found.x.tolist() == list(range(6))
    for number in (5, 7):
        wrong = raw.replace(struct.pack("<II", 6, 6), struct.pack("<II", number, number))
        with pytest.raises(DataError, match=f"doesn't hold the {number} events"):
            read(tmp_path, "a.aedat", wrong)


def dat_1(*events: tuple[int, int, int, int]) -> bytes:
    head = b"% Version 1\n% T0 7\n% Height 240\n% Width 304\n" + bytes([12, 8])
    return head + b"".join(struct.pack("<II", t, x | y << 9 | p << 17) for t, x, y, p in events)


def test_dat_of_version_1_and_its_begin(tmp_path: Path) -> None:
    found = read(tmp_path, "a.dat", dat_1((5, 303, 239, 1), (6, 1, 2, 0)))
    assert same(found, np.array([[12, 303, 239, 1], [13, 1, 2, 0]]))


def test_a_few_events_that_look_like_text(tmp_path: Path) -> None:
    assert same(
        read(tmp_path, "a.bin", b"!!" + bytes([0x20, 0x20, 0x20])),
        np.array([[0x202020, 0x21, 0x21, 0]]),
    )


def test_aedat_4_is_read_by_its_first_line(tmp_path: Path) -> None:
    events = np.array([[5, 1, 2, 1], [7, 3, 4, 0]])
    assert same(read(tmp_path, "a.aedat", aedat4(events)), events)
    assert same(read(tmp_path, "a.aedat2", dvs128(events)), events)


EVENTS = np.array([[5, 1, 2, 1], [7, 3, 4, 0]])
_, _, PACKETS = aedat3(EVENTS + np.array([9, 0, 0, 0])).partition(b"#!END-HEADER\r\n")
OF_ANOTHER = PACKETS.replace(struct.pack("<HH", 1, 1), struct.pack("<HH", 1, 2))


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("a.aedat", aedat3(EVENTS).replace(b"DAT3.1", b"DAT3.0"), "AEDAT 3.0, which counts rows"),
        ("a.aedat", aedat3(EVENTS) + OF_ANOTHER, "holds events of 2 cameras"),
        (
            "a.aedat",
            aedat3(EVENTS).replace(struct.pack("<II", 2, 2), struct.pack("<II", 2, 1)),
            "of 1 events of 8 bytes with room for 2",
        ),
        (
            "a.aedat",
            b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n" + bytes(8),
            "is a recording of a 'DAVIS240C'",
        ),
        ("a.aedat", b"PK whatever", "doesn't begin with #!AER-DAT, and as one of version 1.0"),
        (
            "a.aedat4",
            aedat4(EVENTS[:0]).replace(b">EVTS<", b">TRIG<"),
            "holds no stream of events, but triggers",
        ),
        ("a.dat", dat(EVENTS).replace(bytes([0, 8]), bytes([14, 8]), 1), "holds events of type 14"),
        ("a.dat", dat(EVENTS).replace(b"Version 2", b"Version 3"), ".dat version '3'"),
        ("a.dat", dvs128(EVENTS), "jAER's recordings are read as .aedat"),
        ("a.raw", b"% format EVT4;height=3;width=4\n% end\n", "is encoded as 'evt4'"),
        ("a.raw", EVT3.replace(b"% end", b"% endianness big\n% end"), "has 'big' words"),
    ],
)
def test_what_is_there_is_named(tmp_path: Path, name: str, raw: bytes, words: str) -> None:
    with pytest.raises(DataError, match=name) as caught:
        read(tmp_path, name, raw)
    assert words in str(caught.value)
    assert "damaged" not in str(caught.value) or "room for" in words


def test_aedat_4_with_frames_of_16_bits() -> None:
    """As dv-processing 2.0.4 wrote it: three events and a frame; aedat 2.2 fails on the frame."""
    found = read_recording(Path(__file__).parents[4] / "data" / "frames_16_bit.aedat4")
    assert same(found, np.array([[1000, 0, 0, 1], [1001, 1, 2, 1], [1002, 2, 4, 1]]))
    assert found.sensor_size == (36, 40)


def test_events_before_the_first_upper_time_have_none_and_are_left_out(tmp_path: Path) -> None:
    event = 1 << 28 | 3 << 22 | 5 << 11 | 4
    raw = b"% evt 2.0\n% end\n" + struct.pack("<3I", event, 8 << 28 | 7, event)
    assert same(read(tmp_path, "a.raw", raw), np.array([[7 << 6 | 3, 5, 4, 1]]))


def test_words_of_another_kind_are_no_events_whatever_their_lower_half(tmp_path: Path) -> None:
    kinds = [8 << 28 | 7, 2 << 28 | 1, 1 << 28 | 3 << 22 | 5 << 11 | 4]
    words = [kinds[0] << 32, kinds[1] << 32 | 0b111, kinds[2] << 32 | 0b101]
    head = b"% evt 2.1\n% endianness little\n% end\n"
    found = read(tmp_path, "a.raw", head + struct.pack("<3Q", *words))
    assert found.t.tolist() == [7 << 6 | 3] * 2
    assert np.diff(found.x).tolist() == [2]


@pytest.mark.parametrize("time", [1e20, float("inf"), float("-inf"), float("nan"), 0.5])
def test_times_that_are_no_whole_numbers_are_refused(time: float) -> None:
    zeros = np.zeros(1, np.int64)
    with pytest.raises(DataError, match=r"event 0 has t = .*, not a whole number"):
        checked(Path("a.csv"), np.array([time]), zeros, zeros, zeros, None)


@pytest.mark.parametrize("size", [(0, 4), (4, 0), (-1, 4)])
def test_a_sensor_has_rows_and_columns(size: tuple[int, int]) -> None:
    none = np.zeros(0, np.int64)
    with pytest.raises(DataError, match="claims a sensor of"):
        checked(Path("a.raw"), none, none, none, none, size)
