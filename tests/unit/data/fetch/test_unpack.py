"""Archives that mean harm, or are damaged: one sentence each, and nothing outside the folder."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from tempreg.data import DataError
from tempreg.data.fetch import unpack as module
from tempreg.data.fetch.unpack import unpack


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tuple[
    tarfile.TarInfo, bytes
]:  # fmt: skip
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, "/etc/passwd"
    return info, content


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.fixture
def inner(tmp_path: Path) -> Path:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    return folder


def outside(inner: Path) -> list[Path]:
    return [p for p in inner.parents[1].rglob("*") if p.is_file() and inner not in p.parents]


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_tar(tmp_path: Path, inner: Path, mode: str) -> None:
    content = bytes(range(256)) * 9000
    folder = member("set/deep", kind=tarfile.DIRTYPE)
    name = "x.tar.gz" if mode == "w:gz" else "x.tar"
    unpack(tar(tmp_path / name, folder, member("./set/deep/f", content), mode=mode), inner)
    assert (inner / "set" / "deep" / "f").read_bytes() == content


def test_zip(tmp_path: Path, inner: Path) -> None:
    content = bytes(range(256)) * 9000
    members = (("set/", b""), ("set/f.bin", content), ("__MACOSX/set/._f.bin", b"x"))
    unpack(zipped(tmp_path / "x.zip", *members), inner)
    assert [p.name for p in inner.rglob("*")] == ["set", "f.bin"]
    assert (inner / "set" / "f.bin").read_bytes() == content


OUT = ["../out", "/tmp/tempreg-out", "ok/../../out", "..", "c:\\out", "..\\out", ""]


@pytest.mark.parametrize("name", OUT)
def test_climbing_out_of_a_tar(tmp_path: Path, inner: Path, name: str) -> None:
    refused(tar(tmp_path / "x.tar.gz", member("ok", b"1"), member(name, b"2")), inner)


@pytest.mark.parametrize("name", OUT[:-1])  # zipfile can't write a name of no characters
def test_climbing_out_of_a_zip(tmp_path: Path, inner: Path, name: str) -> None:
    refused(zipped(tmp_path / "x.zip", ("ok", b"1"), (name, b"2")), inner)


def refused(archive: Path, inner: Path) -> None:
    with pytest.raises(DataError, match="lies outside the folder"):
        unpack(archive, inner)
    assert outside(inner) == [archive]
    assert not Path("/tmp/tempreg-out").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.BLKTYPE]
)
def test_links_and_devices_in_a_tar(tmp_path: Path, inner: Path, kind: bytes) -> None:
    with pytest.raises(DataError, match="'bad' is a link or a device"):
        unpack(tar(tmp_path / "x.tar.gz", member("bad", kind=kind)), inner)
    assert list(inner.iterdir()) == []


def test_link_in_a_zip(tmp_path: Path, inner: Path) -> None:
    info = zipfile.ZipInfo("bad")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(DataError, match="'bad' is a link or a device"):
        unpack(zipped(tmp_path / "x.zip", (info, b"/etc/passwd")), inner)
    assert list(inner.iterdir()) == []


def test_bombs_are_refused_by_what_they_declare(
    tmp_path: Path, inner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", 100_000)
    zeros = bytes(2_000_000)
    for archive in (
        zipped(tmp_path / "x.zip", ("bomb", zeros)),
        tar(tmp_path / "x.tar.gz", member("bomb", zeros)),
    ):
        assert archive.stat().st_size < 5000
        with pytest.raises(DataError, match="too much for an archive of its size"):
            unpack(archive, inner)
        assert list(inner.iterdir()) == []
    many = zipped(tmp_path / "many.zip", *((f"{i}", zeros[:50_000]) for i in range(40)))
    with pytest.raises(DataError, match="too much"):
        unpack(many, inner)
    kept = sum(p.stat().st_size for p in inner.iterdir())
    assert kept <= 20 * many.stat().st_size + 100_000


def test_bomb_that_lies_about_its_size(tmp_path: Path, inner: Path) -> None:
    raw = zipped(tmp_path / "x.zip", ("bomb", bytes(2_000_000))).read_bytes()
    (tmp_path / "x.zip").write_bytes(
        raw.replace((2_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    )
    with pytest.raises(DataError, match="damaged"):
        unpack(tmp_path / "x.zip", inner)
    assert (inner / "bomb").stat().st_size <= 10


def test_bomb_in_the_header_of_a_tar(
    tmp_path: Path, inner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", 100_000)
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 50_000_000
    with gzip.open(tmp_path / "x.tar.gz", "wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + bytes(header.size))
    with pytest.raises(DataError, match="too much for an archive of its size"):
        unpack(tmp_path / "x.tar.gz", inner)


def test_damaged(tmp_path: Path, inner: Path) -> None:
    content = bytes(i * i % 251 for i in range(200_000))
    whole = tar(tmp_path / "x.tar.gz", member("f", content)).read_bytes()
    zip_whole = zipped(tmp_path / "x.zip", ("f", content)).read_bytes()
    harmed = bytearray(zip_whole)
    harmed[len(harmed) // 2] ^= 255
    cases = (whole[: len(whole) // 2], whole[:5], b"", b"<html>not found</html>", bytes(harmed))
    for i, bad in enumerate(cases):
        archive, folder = tmp_path / f"bad{i}", inner / str(i)
        folder.mkdir()
        archive.write_bytes(bad)
        with pytest.raises(DataError, match="damaged, or no archive"):
            unpack(archive, folder)


def test_one_name_twice(tmp_path: Path, inner: Path) -> None:
    with pytest.raises(DataError, match="'f' twice"):
        unpack(tar(tmp_path / "x.tar.gz", member("f", b"1"), member("f", b"2")), inner)
    (inner / "f").unlink()
    both = tar(tmp_path / "x.tar.gz", member("f", b"1"), member("f/g", b"2"))
    with pytest.raises(DataError, match="'f/g' twice, or as file and folder"):
        unpack(both, inner)


def test_unknown_versions_and_places(tmp_path: Path, inner: Path) -> None:
    whole = zipped(tmp_path / "x.zip", ("f", b"1" * 100)).read_bytes()
    entry, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    for place, value in ((entry + 6, 250), (end + 16, 255)):
        raw = bytearray(whole)
        raw[place] = value
        (tmp_path / "x.zip").write_bytes(raw)
        with pytest.raises(DataError, match=r"x\.zip is damaged"):
            unpack(tmp_path / "x.zip", inner)


def test_encrypted(tmp_path: Path, inner: Path) -> None:
    raw = bytearray(zipped(tmp_path / "x.zip", ("f", b"1")).read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "x.zip").write_bytes(raw)
    with pytest.raises(DataError, match="'f' is encrypted"):
        unpack(tmp_path / "x.zip", inner)
