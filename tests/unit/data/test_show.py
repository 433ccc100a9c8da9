"""`data show`: a recording in words, and its frames as a picture that has its events' places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tempreg.cli.main import main
from tempreg.data import Recording, write_recording

Said = pytest.CaptureFixture[str]


def test_a_recording_in_words_and_as_a_strip(tmp_path: Path, capsys: Said) -> None:
    t, x, y, p = (
        np.array(v) for v in ([0, 10, 990_000, 999_999], [3, 3, 0, 9], [1, 1, 0, 7], [1, 1, 0, 0])
    )
    write_recording(tmp_path / "one.npz", Recording(t + 5000, x, y, p, (8, 10)))
    words = ["data", "show", str(tmp_path / "one.npz"), "--num-steps", "2"]
    assert main([*words, "--out", str(tmp_path / "strip.png")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("one.npz: a recording of 1 s, from 5,000 microseconds on")
    assert said[1] == "4 events, 4 a second; 2 ON, 2 OFF"
    assert said[2] == "on 10 x 8 pixels of a sensor of 10 x 8"
    picture = np.array(Image.open(tmp_path / "strip.png"))
    assert picture.shape == (160, 2 * 200 + 2, 3)
    first, second = picture[10::20, 10:200:20], picture[10::20, 212::20]
    red = [tuple(place) for place in np.argwhere((first != 255).any(-1)).tolist()]
    assert red == [(1, 3)]
    assert first[1, 3].tolist() == [255, 0, 0]
    blue = [tuple(place) for place in np.argwhere((second != 255).any(-1)).tolist()]
    assert blue == [(0, 0), (7, 9)]
    assert second[0, 0, 2] == 255 > second[0, 0, 0]


def test_images_and_what_is_neither(tmp_path: Path, capsys: Said) -> None:
    Image.new("RGB", (5, 4), (9, 0, 0)).save(tmp_path / "a.png")
    assert main(["data", "show", str(tmp_path / "a.png")]) == 0
    assert "an image of 5 x 4 pixels, in colour" in capsys.readouterr().out
    (tmp_path / "a.txt").write_text("")
    assert main(["data", "show", str(tmp_path / "a.txt")]) == 2
    assert "is neither a recording" in capsys.readouterr().err
    assert main(["data", "show", str(tmp_path / "a.png"), "--out", str(tmp_path / "b.gif")]) == 2
    assert not (tmp_path / "b.gif").exists()
