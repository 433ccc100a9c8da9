"""Commands that compute begin again with huge pages asked for; nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from tempreg import huge_pages as pages


class Began(Exception):
    """Stands for the process that begins instead."""


@pytest.fixture
def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel and C library where asking helps; the kernel's file."""
    kernel = tmp_path / "enabled"
    kernel.write_text("always [madvise] never\n")
    monkeypatch.setattr(pages, "KERNEL", kernel)
    monkeypatch.setitem(os.confstr_names, "CS_GNU_LIBC_VERSION", 2)
    monkeypatch.setattr(os, "confstr", lambda name: "glibc 2.36")
    monkeypatch.delenv(pages.TUNABLES, raising=False)

    def execve(path: str, arguments: list[str], environment: dict[str, str]) -> NoReturn:
        assert path == arguments[0] == sys.executable
        assert arguments[1:] == sys.orig_argv[1:]
        raise Began(environment[pages.TUNABLES])

    monkeypatch.setattr(os, "execve", execve)
    return kernel


@pytest.mark.usefixtures("asking")
def test_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Began, match=r"^glibc.malloc.hugetlb=1$") as began:
        pages.ask_for_huge_pages(["train", "nmnist-trt"])
    monkeypatch.setenv(pages.TUNABLES, str(began.value))
    pages.ask_for_huge_pages(["train", "nmnist-trt"])


@pytest.mark.usefixtures("asking")
def test_what_the_user_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pages.TUNABLES, "glibc.malloc.hugetlb=0")
    pages.ask_for_huge_pages(["train"])
    monkeypatch.setenv(pages.TUNABLES, "glibc.malloc.tcache_count=3")
    with pytest.raises(Began, match=r"^glibc.malloc.tcache_count=3:glibc.malloc.hugetlb=1$"):
        pages.ask_for_huge_pages(["train"])


@pytest.mark.usefixtures("asking")
@pytest.mark.parametrize(
    "words", [[], ["--help"], ["presets"], ["bench", "lif"], ["data", "train"]]
)
def test_not_for_commands_that_compute_nothing(words: list[str]) -> None:
    pages.ask_for_huge_pages(words)


def test_not_where_it_has_no_use(asking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asking.write_text("[always] madvise never\n")
    pages.ask_for_huge_pages(["train"])
    asking.unlink()
    pages.ask_for_huge_pages(["train"])
    asking.write_text("always [madvise] never\n")
    for version in ("glibc 2.34", "other 9.9", None):
        monkeypatch.setattr(os, "confstr", lambda name, v=version: v)
        pages.ask_for_huge_pages(["train"])
    monkeypatch.delitem(os.confstr_names, "CS_GNU_LIBC_VERSION")
    pages.ask_for_huge_pages(["train"])


@pytest.mark.skipif(not pages.given_to_those_who_ask(), reason="no huge pages for those who ask")
def test_the_same_process_goes_on_with_the_same_words() -> None:
    environment = {k: v for k, v in os.environ.items() if k != pages.TUNABLES}
    program = (
        "import os, sys\n"
        "from tempreg.cli import main\n"
        "main.main = lambda: print(os.getpid(), os.environ['GLIBC_TUNABLES'], sys.argv[1:])\n"
        "main.program()\n"
    )
    words = ["train", "a b", "--out", "x"]
    process = subprocess.Popen(
        [sys.executable, "-X", "utf8", "-c", program, *words],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    said, _ = process.communicate(timeout=60)
    assert said == f"{process.pid} glibc.malloc.hugetlb=1 {words}\n"
