"""The presets that bear the paper's name: docs/paper.md, frames, splits, and one epoch of each."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from tempreg.cautions import CHOSEN_ON_TEST
from tempreg.config import PRESETS, ConfigError, RunConfig, config_from_dict, config_to_dict
from tempreg.config.dotted import leaves
from tempreg.config.yaml import parse
from tempreg.data import DataError, DataOptions, Recordings, events_to_frames
from tempreg.data.frames.frames import frames_of
from tempreg.data.sources.events import CIFAR_CLASSES
from tempreg.data.sources.image_files import FileSplit
from tempreg.data.splits.drawn import last_of_each_class, natural
from tempreg.runs import evaluate_run, train
from tempreg.runs.build import build_augmentation, build_data, build_model, build_objective
from tests.conftest import CommandLine
from tests.unit.data.formats.recordings.layouts import forty_bit
from tests.unit.data.sources.test_static_cifar import written

PAGE = Path(__file__).parents[3] / "docs" / "paper.md"
GOLDEN = Path(__file__).parents[2] / "golden" / "published_frames.npz"
PAPER = [name for name in PRESETS if name.startswith("paper-")]
PUBLISHED = [name for name in PAPER if name.endswith("-as-published")]
Rows = list[tuple[str, str, str]]


def flat(config: RunConfig) -> dict[str, Any]:
    data = config_to_dict(config)
    found = {}
    for dotted, _, _ in leaves():
        value: Any = data
        for key in dotted.split("."):
            value = value[key]
        found[dotted] = value
    return found


def tables() -> dict[str, Rows]:
    """By the second last heading of each table on the page: setting, ours, as published."""
    found: dict[str, Rows] = {}
    rows: Rows = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| Setting"):
            rows = found[cells[2].strip("`")] = []
            assert cells[3].strip(" |`") == f"{cells[2].strip('`')}-as-published"
        elif line.startswith("| `"):
            setting, _, ours, theirs = (cell.strip(" |").strip("`") for cell in cells)
            rows.append((setting, ours, theirs))
    return found


def test_presets_are_what_the_page_says() -> None:
    told = tables()
    assert set(told) == {"paper-*", *PAPER} - set(PUBLISHED)
    default = flat(RunConfig())
    for name in set(told) - {"paper-*"}:
        ours, theirs = flat(PRESETS[name]()), flat(PRESETS[f"{name}-as-published"]())
        said = {setting: pair for setting, *pair in told["paper-*"] + told[name]}
        for setting, pair in said.items():
            for text, value in zip(pair, (ours[setting], theirs[setting]), strict=True):
                assert parse(text, setting) == value, (name, setting)
        for setting, value in ours.items():  # and says all that isn't as everywhere
            if not value == theirs[setting] == default[setting]:
                assert setting in said, (name, setting)


def golden(k: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    with np.load(GOLDEN, allow_pickle=False) as held:
        columns = {name: held[f"{name}{k}"] for name in ("t", "x", "y", "p", "table")}
        return columns, held[f"frames128_{k}"], held[f"frames48_{k}"]


def write_mat(path: Path, k: int) -> None:
    """As test_dvs.m of the published preprocessing saves what dat2mat.m returns."""
    scipy.io.savemat(path, {"out1": golden(k)[0]["table"].astype(float)})


def write_aedat(path: Path, k: int) -> None:
    """AEDAT 2 of a DVS128: bit 0 OFF, 1-7 columns from the right, 8-14 rows from below."""
    g = golden(k)[0]
    x, y, p = (g[name].astype(np.int64) for name in "xyp")
    events = np.zeros(len(x), [("address", ">u4"), ("t", ">u4")])
    events["address"] = (127 - y) << 8 | (127 - x) << 1 | (1 - p)
    events["t"] = g["t"]
    head = b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n# created Wed Mar 2 2016\r\n"
    path.write_bytes(head + events.tobytes())


FILES: dict[str, tuple[Callable[[Path, int], None], str]] = {
    "mat": (write_mat, "{class_name}/{i}.mat"),
    "aedat": (write_aedat, "{class_name}/cifar10_{class_name}_{i}.aedat"),
}


@pytest.fixture(params=FILES)
def cifar10dvs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: Any) -> Path:
    """Eleven recordings a class, named as the original files: golden ones in turn."""
    monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path / "cache"))
    write, pattern = FILES[request.param]
    for class_name in CIFAR_CLASSES:
        (tmp_path / "data" / class_name).mkdir(parents=True)
        for i in range(11):
            place = tmp_path / "data" / pattern.format(class_name=class_name, i=i)
            if i < 3:
                write(place, i)
            else:
                place.hardlink_to(place.with_name(place.name.replace(f"{i}.", f"{i % 3}.")))
    return tmp_path / "data"


@pytest.mark.parametrize("size", [48, 128])
def test_cifar10dvs_frames_are_the_published_ones(cifar10dvs: Path, size: int) -> None:
    config = PRESETS["paper-cifar10dvs-as-published"]()
    assert config.data.size == 48
    config = replace(config, data=replace(config.data, path=str(cifar10dvs), size=size))
    data = build_data(config)
    lengths = len(data.train), len(data.validation), len(data.test)
    assert lengths == (100, 0, 10)  # the eleventh file is 10, after 9: by number, not by letter
    seen = [*data.train.inputs(torch.arange(100)).unbind(1)]
    seen += data.test.inputs(torch.arange(10)).unbind(1)
    numbers = [k % 3 for k in sorted(range(10), key=str)] * 10 + [10 % 3] * 10
    most = 0.0
    for frames, k in zip(seen, numbers, strict=True):
        expected = golden(k)[1 if size == 128 else 2]
        most = max(most, float(np.abs(frames.numpy() - expected).max()))
    assert most <= (0 if size == 128 else 1 / 255 + 1e-7)
    assert data.reading is not None
    options = DataOptions(num_steps=10, frames="published", size=size)
    file = sorted(cifar10dvs.glob("cat/*"))[1]
    one = data.reading.read(file, options)
    assert torch.equal(one[:, 0], data.train.inputs(torch.tensor([31]))[:, 0])


def test_published_frames_of_few_and_of_no_events() -> None:
    arrays = [np.arange(7), np.arange(7) % 4, np.zeros(7, int), np.ones(7, int)]
    few = Recordings(*arrays, np.array([0, 0, 3, 7]), (4, 4))
    frames = frames_of(few, DataOptions(num_steps=4, frames="published"))
    assert frames.sum(dim=(1, 2, 3, 4)).tolist() == [0, 0, 4]
    assert frames[2, 0, 1, 3, 3] == 1  # column 3 is row 3, row 0 the last column
    wide = Recordings(*arrays, np.array([0, 7]), (4, 5))
    with pytest.raises(ValueError, match="square sensor"):
        frames_of(wide, DataOptions(num_steps=4, frames="published"))


def random_recordings() -> Recordings:
    rng = np.random.default_rng(0)
    sizes = [0, 3, 10, 997, 1000]
    n = sum(sizes)
    t = np.concatenate([np.sort(rng.integers(0, 9000, size)) for size in sizes])
    xyp = rng.integers(0, 240, n), rng.integers(0, 180, n), rng.integers(0, 2, n)
    return Recordings(t, *xyp, np.cumsum([0, *sizes]), (180, 240))


def test_frames_by_number_have_the_remainder_in_the_last() -> None:
    r = random_recordings()
    frames = events_to_frames(r, 10, "number")
    for i, size in enumerate(np.diff(r.offsets)):
        expected = np.zeros((10, 2, 180, 240))
        for event in range(size):
            step = min(event // (size // 10), 9) if size >= 10 else 9
            place = r.offsets[i] + event
            expected[step, r.p[place], r.y[place], r.x[place]] += 1
        assert np.array_equal(frames[i].numpy(), expected)
    kept = events_to_frames(r, 10, "published").sum(dim=(1, 2, 3, 4))
    assert kept.tolist() == [size // 10 * 10 for size in np.diff(r.offsets)]


def test_bilinear_is_pillows() -> None:
    r = random_recordings()
    counts = events_to_frames(r, 3, "number")
    small = frames_of(r, DataOptions(num_steps=3, frames="number", size=48, resize="bilinear"))
    assert small.shape == (5, 3, 2, 48, 48)
    for i, t, c in np.ndindex(5, 3, 2):
        image = Image.fromarray(counts[i, t, c].numpy().astype(np.float32))
        expected = np.asarray(image.resize((48, 48), Image.Resampling.BILINEAR))
        assert np.allclose(small[i, t, c].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("count", [10, 11, 19, 50, 70, 1000])
def test_the_last_of_each_class_come_after_ceil_90_percent(count: int) -> None:
    names = [natural(f"x/{i}.mat") for i in range(count)]
    mixed = np.random.default_rng(0).permutation(count)
    held = last_of_each_class(np.zeros(count, int), [names[i] for i in mixed])
    assert set(mixed[held]) == set(range(math.ceil(0.9 * count), count))


def test_a_split_without_a_last_sample_is_refused() -> None:
    with pytest.raises(DataError, match=r"set data\.test_part drawn"):
        last_of_each_class([0, 0, 1, 1], range(4))


def write_images(root: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in ("n01", "n02"):
            (root / part / name).mkdir(parents=True)
            for i in range(5):
                pixels = rng.integers(0, 256, (40 + i, 60, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{i}.JPEG", "JPEG")


def write_caltech(root: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("BACKGROUND_Google", "accordion"):
        (root / "Caltech101" / name).mkdir(parents=True)
        for i in range(1, 12):
            t = np.sort(rng.integers(0, 90_000, 200))
            place = rng.integers(0, 180, (2, 200))
            events = np.stack([t, *place, rng.integers(0, 2, 200)], axis=1)
            path = root / "Caltech101" / name / f"image_{i:04}.bin"
            path.write_bytes(forty_bit(events))


def small(name: str, root: Path) -> RunConfig:
    """A preset on small files in the original layout, with a network of seconds."""
    root.mkdir()
    changes: dict[str, Any] = {"size": 16}
    if "cifar10dvs" in name:
        for class_name in CIFAR_CLASSES:
            (root / class_name).mkdir()
            for i in range(10):
                write_mat(root / class_name / f"{i}.mat", i % 3)
    elif "cifar10" in name:
        written(root, "cifar10", binary=False)
        changes = {}
    elif "imagenet100" in name:
        write_images(root)
        changes = {"size": 32, "shorter_side": 36}
    else:
        write_caltech(root)
    config = PRESETS[name]()
    return replace(
        config,
        epochs=1,
        batch_size=8,
        precision="32-true",
        data=replace(config.data, path=str(root), **changes),
        model=replace(config.model, name="csnn", channels=(4, 4)),
    )


@pytest.mark.parametrize("name", PAPER)
def test_each_preset_builds_and_trains_an_epoch(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tempreg_here: CommandLine
) -> None:
    monkeypatch.setenv("TEMPREG_CACHE_DIR", str(tmp_path / "cache"))
    config = small(name, tmp_path / "data")
    data = build_data(config)
    whole = replace(config, model=PRESETS[name]().model)
    if "vgg" in whole.model.name:
        whole = replace(whole, data=replace(whole.data, size=48))
    build_augmentation(whole, data)
    build_objective(whole, build_model(whole, data))
    run = tmp_path / "run"
    summary = train(config, run)
    assert json.loads((run / "summary.json").read_text())["test_accuracy"] is not None
    marked = name in PUBLISHED
    assert summary.get("chosen_on_test", False) is marked
    assert (len(data.validation) == 0) is marked
    assert isinstance(data.train, FileSplit) is ("imagenet" in name)
    assert evaluate_run(run).accuracy == pytest.approx(summary["test_accuracy"])
    report = tempreg_here("report", "run")
    assert report.returncode == 0, report.stderr
    for text in ((run / "README.md").read_text(), (run / "report.html").read_text()):
        assert (CHOSEN_ON_TEST in text) is marked
        assert re.search("nothing was chosen by it", text) is None or not marked


def test_what_once_was_called_paper_is_refused_truly() -> None:
    words = r"run\.yaml: data\.resize: paper is no more.*data\.frames published"
    with pytest.raises(ConfigError, match=words):
        config_from_dict({"data": {"resize": "paper", "size": 48}}, "run.yaml")
