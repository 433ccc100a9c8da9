"""CIFAR's files, binary and pickled, in folders and archives; pickles that mean harm."""

from __future__ import annotations

import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from tempreg.data import DataError, load_dataset
from tempreg.data.formats.pickle import read_pickle
from tempreg.data.sources.cifar import CIFAR10, CIFAR100

RNG = np.random.default_rng(0)
SOURCES = {"cifar10": CIFAR10(), "cifar100": CIFAR100()}


def written(root: Path, name: str, binary: bool) -> tuple[Path, np.ndarray]:
    """A small set in the original layout; its folder and test rows [N, 3072]."""
    source = SOURCES[name]
    folder = root / source.folders[0 if binary else 1]
    folder.mkdir()
    rows = np.zeros((0, 0))
    classes = [f"class{i}" for i in range(10)]
    for files in source.files.values():
        for file in files:
            rows = RNG.integers(0, 256, (40, 3072), dtype=np.uint8)
            labels = np.arange(40) % 10
            if binary:
                before = [labels // 5, labels][-source.labels_before :]
                table = np.column_stack([*before, rows]).astype(np.uint8)
                (folder / f"{file}.bin").write_bytes(table.tobytes())
            else:
                content = {b"data": rows, source.label_key: labels.tolist(), b"batch_label": b"x"}
                (folder / file).write_bytes(pickle.dumps(content, protocol=2))
    if binary:
        (folder / source.names[0]).write_text("\n".join(classes) + "\n\n")
    else:
        meta = {source.names[2]: [c.encode() for c in classes]}
        (folder / source.names[1]).write_bytes(pickle.dumps(meta, protocol=2))
    return folder, rows


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_pixels_read_back(tmp_path: Path, name: str, binary: bool, packed: bool) -> None:
    folder, rows = written(tmp_path, name, binary)
    path = tmp_path
    if packed:
        path = tmp_path / "packed"
        path.mkdir()
        with tarfile.open(path / SOURCES[name].archives[0 if binary else 1], "w:gz") as archive:
            archive.add(folder, folder.name)
    data = load_dataset(name, num_steps=2, path=path)
    assert data.classes[3] == "class3"
    assert data.reading is not None
    scale, offset = (
        torch.tensor(v)[:, None, None] for v in (data.reading.scale, data.reading.offset)
    )
    x, y = data.test.batch(torch.arange(40))
    assert np.array_equal(((x - offset) / scale).round().byte().flatten(1).numpy(), rows)
    assert y.tolist() == [i % 10 for i in range(40)]
    if packed:
        assert len(list(path.iterdir())) == 1  # nothing was unpacked


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("executed", "w")


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, _ = written(tmp_path, "cifar10", binary=False)
    trap = pickle.dumps({b"data": Trap(), b"labels": []}, protocol=2)
    (folder / "data_batch_2").write_bytes(trap)
    with pytest.raises(DataError, match=r"data_batch_2 names \S+open, which could run code"):
        load_dataset("cifar10", num_steps=2, path=tmp_path)
    assert not (tmp_path / "executed").exists()
    pickle.loads(trap)[b"data"].close()  # noqa: S301  the trap does work where nobody minds
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content",
    [
        np.array([Trap()], dtype=object),
        np.zeros(3),
        np.array(["text"]),
        np.float64(1),
        {1, 2},
        Trap,
    ],
)
def test_only_arrays_of_bytes_are_rebuilt(tmp_path: Path, monkeypatch, content: object) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="refused"):
        read_pickle(pickle.dumps(content, protocol=2), "a file")
    assert not (tmp_path / "executed").exists()


def test_a_pickle_can_change_no_function() -> None:
    """Opcode b on a function sets its attributes, here its default arguments."""
    change = b"\x80\x02c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__K\x01\x85s\x86b."
    with pytest.raises(DataError, match="a file changes a function: it is refused"):
        read_pickle(change, "a file")


@pytest.mark.parametrize("opcode", [b"r\xff\xff\x3f\x00", b"p4194303\n"])
def test_places_of_notes_take_no_memory(opcode: bytes) -> None:
    """Python makes room for all places below: 2^31, which fits as well, would take 32 GB."""
    with pytest.raises(DataError, match="a file notes something as number 4,194,303"):
        read_pickle(b"\x80\x02]" + opcode + b".", "a file")


def test_names_are_shown_on_one_line() -> None:
    with pytest.raises(DataError, match=r"^a file names 'a\\x1bb\.c\\rd', which could run code"):
        read_pickle(b"\x80\x02ca\x1bb\nc\rd\n.", "a file")


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_each_protocol(protocol: int) -> None:
    rows = RNG.integers(0, 256, (5, 7), dtype=np.uint8)
    found = read_pickle(pickle.dumps({b"data": rows}, protocol=protocol), "a file")
    assert np.array_equal(found[b"data"], rows)


@pytest.mark.parametrize("end", [0, 1, 50, 500, 122_000])
def test_a_pickle_cut_short(end: int) -> None:
    whole = pickle.dumps({b"data": np.zeros((40, 3072), np.uint8), b"labels": [1] * 40}, protocol=2)
    with pytest.raises(DataError, match="can't be read as a pickle"):
        read_pickle(whole[:end], "a file")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has 0 bytes: it must have 3073"),
        (b"text", "has 4 bytes: it must have 3073"),
        (b"\x0b" + bytes(3072), "label 11 of train image 40 is not in 0 ... 9"),
    ],
)
def test_damaged_binary_files(tmp_path: Path, content: bytes, words: str) -> None:
    folder, _ = written(tmp_path, "cifar10", binary=True)
    (folder / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(DataError, match=words):
        load_dataset("cifar10", num_steps=2, path=tmp_path)


def test_an_archive_cut_short(tmp_path: Path) -> None:
    folder, _ = written(tmp_path, "cifar10", binary=True)
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(DataError, match=r"can't be read as \.tar\.gz"):
        load_dataset("cifar10", num_steps=2, path=path)


def test_a_pickle_as_python_2_wrote_it() -> None:
    """Protocol 2, with text as bytes: opcodes U (short string), T (string), written by hand."""
    values = bytes(range(6))
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02K\x03\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T\x06\x00\x00\x00" + values + b"tb"
    )
    found = read_pickle(b"\x80\x02}(U\x04data" + array + b"U\x06labels]K\x01au.", "a file")
    assert found[b"labels"] == [1]
    assert np.array_equal(found[b"data"], np.arange(6).reshape(2, 3))
