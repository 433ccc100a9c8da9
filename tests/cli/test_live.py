"""Events as they come, and answers as soon as they are sure."""

from __future__ import annotations

import io
import json
import re
import runpy
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tempreg
from tempreg.cli import events_in
from tempreg.cli.events_in import LONGEST, Lines, Source
from tempreg.cli.main import main
from tempreg.config import RunConfig
from tempreg.data.formats.recordings import read_recordings
from tempreg.runs import train
from tempreg.runs.predict import predictor
from tests.processes import Running


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


def test_each_answer_comes_before_the_next_is_computed(run: Path) -> None:
    stream = tempreg.Stream(run, sample_ms=20, backend="torch")
    assert not isinstance(stream.live, str)
    seconds = np.arange(1000) * 1_000_000  # each event is far behind the sample before it
    one = np.ones(1000, int)
    answers = stream.each(seconds, one, one, one)
    for number in range(1, 5):
        answer = next(answers)
        assert answer.steps.tolist() == [2 - number % 2]
        assert len(stream.live.ends) == number
    assert stream.live.ends == [10_000, 20_000, 1_010_000, 1_020_000]


@pytest.mark.parametrize("source", ["-", "tcp", "udp", "file"])
def test_every_source_says_the_same(
    run: Path,
    recording: Path,
    source: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["predict", str(run), "--sample-ms", "30", "--json", "--stream"]
    # After the noise comes an event with which the third sample is over, and the fourth begins.
    t = np.load(recording)[:, 0]
    content = as_lines(recording) + b"no event\n1 99 0 1\n%d 1 1 1\n" % (t[-1] + 31_000)
    if source == "file":
        assert main([*words, str(recording), "--speed", "1000"]) == 0
        output, errors = capsys.readouterr()
    elif source == "-":
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert main([*words, "-"]) == 0
        output, errors = capsys.readouterr()
    else:
        output, errors = _over_a_socket(source, [*words, f"{source}:0"], content, recording.parent)
    found = [json.loads(line) for line in output.splitlines()]
    # However many events came at once, an answer's time is when its last timestep was over.
    ends, start = [], int(t[0])
    for _ in range(2):
        ends.append(start + 30_000)
        start = int(t[np.searchsorted(t, ends[-1])])
    ends += [None] if source == "file" else [start + 30_000, None]
    assert [each["t"] for each in found] == ends
    assert [each["timesteps"] for each in found[:3]] == [2, 2, 2]
    assert errors.splitlines()[-1] == (
        "tempreg: 900 events, 3 answers"
        if source == "file"
        else "tempreg: 902 events, 4 answers; not looked at: malformed lines 1, "
        "outside of the sensor 1"
    )


def _over_a_socket(kind: str, words: list[str], content: bytes, folder: Path) -> tuple[str, str]:
    """What a process says that listens for `content`, and is interrupted once it had it all."""
    process = Running(words, folder)
    _, port = process.wait_for("errors", r"listening on (tcp|udp):127\.0\.0\.1:(\d+)\n").groups()
    with socket.socket(
        socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    ) as out:
        out.connect(("127.0.0.1", int(port)))
        lines = content.splitlines(keepends=True)
        for at in range(0, len(lines), 100):
            out.send(b"".join(lines[at : at + 100]))
            time.sleep(0.01)
    process.wait_for("output", r"(.+\n){3}")
    if kind == "udp":
        process.send_signal(signal.SIGINT)
    told = process.communicate()
    assert process.returncode == 0, told
    return told


def test_a_silent_sender_is_waited_for_until_ctrl_c(run: Path, tmp_path: Path) -> None:
    process = Running(["predict", str(run), "--stream", "tcp:0"], tmp_path)
    port = process.wait_for("errors", r"listening on tcp:127\.0\.0\.1:(\d+)\n").group(1)
    with socket.create_connection(("127.0.0.1", int(port))):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 0
    assert errors.splitlines()[-1] == "tempreg: 0 events, 0 answers"


def test_a_sender_that_breaks_off_is_told_after_its_answers(
    run: Path, recording: Path, tmp_path: Path
) -> None:
    words = ["predict", str(run), "--sample-ms", "30", "--json", "--stream", "tcp:0"]
    process = Running(words, tmp_path)
    port = process.wait_for("errors", r"listening on tcp:127\.0\.0\.1:(\d+)\n").group(1)
    with socket.create_connection(("127.0.0.1", int(port))) as out:
        out.sendall(as_lines(recording) + b"99999 3")
        process.wait_for("output", r"(.+\n){2}")
        out.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    output, errors = process.communicate()
    assert process.returncode == 1
    assert output.count("\n") == 3
    assert errors.splitlines()[-2:] == [
        "tempreg: 900 events, 3 answers; not looked at: malformed lines 1",
        "tempreg: the sender's connection broke off: Connection reset by peer",
    ]


def test_datagrams_that_came_too_fast_are_told(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux says how many datagrams were thrown away")
    monkeypatch.setattr(events_in, "WAITING", 1 << 15)

    def flooded(address: str, lines: Lines, _: Callable[[str], None]) -> Source:
        """A listener that a sender of 500 datagrams gets ahead of, and then Ctrl-C."""

        def flood(said: str) -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
                out.connect(("127.0.0.1", int(said.rpartition(":")[2])))
                for number in range(500):
                    out.send(b"%d 1 1 1\n" % number * 50)

        with closing(listening(address, lines, flood)) as source:
            yield next(source)
            raise KeyboardInterrupt

    listening = events_in.listening
    monkeypatch.setattr(events_in, "listening", flooded)
    assert main(["predict", str(run), "--stream", "udp:0"]) == 0
    told = re.search(r"not looked at: datagrams that came too fast (\d+)$", capsys.readouterr().err)
    assert told
    assert 0 < int(told[1]) < 500


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
