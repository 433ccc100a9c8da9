"""Events as they come, and answers as soon as they are sure."""

from __future__ import annotations

import io
import json
import re
import runpy
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tempreg
from tempreg.cli.events_in import LONGEST, Lines
from tempreg.cli.main import main
from tempreg.config import RunConfig
from tempreg.data.formats.recordings import read_recordings
from tempreg.runs import train
from tempreg.runs.predict import predictor


@pytest.fixture(scope="module")
def run(tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live") / "run"
    train(replace(tiny, epochs=1), folder)
    return folder


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """900 events in 90 ms."""
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 90_000, 900))
    xy = rng.integers(0, 34, (2, 900))
    path = tmp_path / "one.npy"
    np.save(path, np.stack([t, *xy, rng.integers(0, 2, 900)], axis=1))
    return path


def as_lines(path: Path) -> bytes:
    return b"".join(b"%d %d %d %d\n" % tuple(row) for row in np.load(path).tolist())


def test_events_in_pieces_answer_as_the_whole_file(run: Path, recording: Path) -> None:
    r = read_recordings([recording], (34, 34))
    lasts = (int(r.t[-1]) - int(r.t[0]) + 1) / 1000
    stream = tempreg.Stream(run, sample_ms=lasts, backend="torch")
    answers = []
    for part in np.array_split(np.arange(len(r.t)), 7):
        answers += stream.events(r.t[part], r.x[part], r.y[part], r.p[part])
    last = stream.finish()
    assert last is not None
    answers.append(last)
    wanted = predictor(run)(recording)
    assert [float(a.confidence) for a in answers] == pytest.approx(wanted.confidences, abs=1e-5)
    assert stream.finish() is None


def test_a_reset_forgets_the_clock(run: Path) -> None:
    stream = tempreg.Stream(run, until=0.01, sample_ms=20, backend="torch")
    for _ in range(2):
        assert len(stream.events([500, 15_000], [1, 1], [1, 1], [1, 1])) == 1
        stream.reset()
    assert len(stream.events([500, 15_000], [1, 1], [1, 1], [1, 1])) == 1
    assert stream.events([500], [1], [1], [1]) == []
    assert not isinstance(stream.live, str)
    assert stream.live.dropped.late == 1


def test_a_sure_answer_ends_its_sample(run: Path, recording: Path) -> None:
    r = read_recordings([recording], (34, 34))
    stream = tempreg.Stream(run, until=0.01, sample_ms=20, backend="torch")
    answers = stream.events(r.t, r.x, r.y, r.p)
    assert len(answers) >= 7
    assert all(bool(a.done) and a.steps.tolist() == [1] for a in answers)


@pytest.mark.parametrize("source", ["-", "tcp", "udp", "file"])
def test_every_source_says_the_same(
    run: Path,
    recording: Path,
    source: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["predict", str(run), "--sample-ms", "30", "--json", "--stream"]
    content = as_lines(recording) + b"no event\n1 99 0 1\n"
    if source == "file":
        assert main([*words, str(recording), "--speed", "1000"]) == 0
    elif source == "-":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert main([*words, "-"]) == 0
    else:
        port = _free_port(source)
        sender = threading.Thread(target=_send, args=(source, port, content))
        sender.start()
        if source == "udp":
            _interrupted_when_idle(monkeypatch)
        assert main([*words, f"{source}:{port}"]) == 0
        sender.join()
    said = capsys.readouterr()
    found = [json.loads(line) for line in said.out.splitlines()]
    assert len(found) == 3
    assert [each["timesteps"] for each in found] == [2, 2, 2]
    # However many events came at once, an answer's time is when its last timestep was over.
    t = np.load(recording)[:, 0]
    first = int(t[0])
    second = int(t[np.searchsorted(t, first + 30_000)])
    assert [each["t"] for each in found] == [first + 30_000, second + 30_000, None]
    ending = said.err.splitlines()[-1]
    if source == "file":
        assert ending == "tempreg: 900 events, 3 answers"
    else:
        assert ending == (
            "tempreg: 901 events, 3 answers; not looked at: malformed lines 1, "
            "outside of the sensor 1"
        )


def _free_port(kind: str) -> int:
    family = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, family) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _send(kind: str, port: int, content: bytes) -> None:
    until = time.monotonic() + 60
    if kind == "udp":
        lines = content.splitlines(keepends=True)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.connect(("127.0.0.1", port))
            while time.monotonic() < until:  # nobody listens yet: the first is refused
                try:
                    out.send(b"\n")
                    time.sleep(0.05)
                    out.send(b"\n")
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            for at in range(0, len(lines), 100):
                out.send(b"".join(lines[at : at + 100]))
                time.sleep(0.01)
            out.send(b"stop")
        return
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port)) as out:
                out.sendall(content)
            return
        except ConnectionRefusedError:
            time.sleep(0.05)


def _interrupted_when_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C after the sender's last datagram."""
    events = Lines.events

    def stopping(self: Lines, piece: bytes) -> object:
        if piece == b"stop\n":
            raise KeyboardInterrupt
        return events(self, piece)

    monkeypatch.setattr(Lines, "events", stopping)


def test_until_stops_at_the_first_sure_timestep(
    run: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(run), str(recording), "--until", "0.01"]) == 0
    assert re.search(r"timestep +1 .*<- the answer\n$", capsys.readouterr().out)
    assert main(["predict", str(run), str(recording), "--until", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["timesteps"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "the following arguments are required: FILE"),
        ("x.npy --stream -", "--stream is in place of files"),
        ("x.npy --speed 2", "--speed is for --stream"),
        ("--stream - --speed 2", "--speed is for a recording that is played, not for -"),
        ("--stream - --top 2", "--stream doesn't go with --window or --top"),
        ("--stream sctp:5", "--stream sctp:5: give -, tcp:PORT, udp:PORT"),
        ("--stream tcp:\u0665", "--stream tcp:\u0665: give -"),
        ("--stream tcp:70000", "--stream tcp:70000: give -"),
        ("--stream tcp:1.2.3.4:0", "--stream tcp:1.2.3.4:0: "),
        ("--stream - --until sure", "--until takes a number in (0, 1], or calibrated, not 'sure'"),
        ("--stream - --until 2", "until must be a confidence in (0, 1]"),
        ("--stream - --until calibrated", "tempreg calibrate"),
        ("--stream - --sample-events 9", "the run's frames are by time: give sample_ms"),
        ("x.npy --sample-events 9", "--sample-events is for --stream"),
        ("--stream - --sample-ms 0", "sample_ms must be in [0.002, 1e12], got 0"),
    ],
)
def test_words_that_do_not_go_together(
    run: Path, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["predict", str(run), *words.split()])
    except SystemExit as end:
        code = int(str(end.code))
    errors = capsys.readouterr().err
    assert code == 2
    assert said in errors
    assert errors.count("\n") == 1


LINE = st.tuples(st.integers(0, 10**9), st.integers(0, 40), st.integers(0, 40), st.integers(0, 1))
NOISE = (
    st.binary(max_size=40).filter(lambda b: b"\n" not in b and b.strip()).map(lambda b: b"?" + b)
)


@given(st.lists(st.one_of(LINE, NOISE), max_size=30), st.integers(1, 50))
def test_among_noise_every_event_is_found(parts: list[object], size: int) -> None:
    content, wanted, noise = b"", [], 0
    for part in parts:
        if isinstance(part, bytes):
            content, noise = content + part + b"\n", noise + 1
        else:
            assert isinstance(part, tuple)
            content += b"%d, %d %d\t%d\r\n" % part
            wanted.append(list(part))
    lines = Lines()
    pieces = [lines.events(content[i : i + size]) for i in range(0, len(content), size)]
    found = np.concatenate([*pieces, lines.end()], axis=1).T.tolist()
    assert (found, lines.malformed) == (wanted, noise)


def test_a_line_without_an_end_is_not_kept() -> None:
    lines = Lines()
    for _ in range(1000):
        assert lines.events(b"1" * 1000).size == 0
        assert len(lines._rest) <= LONGEST
    assert lines.events(b" 2 3 1\n5 6 7 1\n").T.tolist() == [[5, 6, 7, 1]]
    assert lines.malformed == 1


def test_the_example_is_a_program_that_answers(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "live.py"))
    example["main"](str(run), 0.3)
    assert re.search(r"\d+ of 20 right, after \d\.\d timesteps", capsys.readouterr().out)
