"""Huge pages for commands that compute.

Memory for a large tensor is often fresh, and the kernel hands it out page by page, 4 KiB each
time something is first written. Where it has pages of 2 MiB for those who ask (transparent huge
pages: madvise), the GNU C library from 2.35 on asks, if GLIBC_TUNABLES says so when a process
begins; tensors stay the same, bit for bit. docs/performance.md has what it saves. So such a
command begins once more, as the same process, with that said.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

COMMANDS = ("train", "compare", "evaluate", "analyze", "predict")
TUNABLES, TUNABLE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb"
KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")
SINCE = (2, 35)


def ask_for_huge_pages(words: Sequence[str]) -> None:
    """Begin this process anew where that helps the command, and nobody chose already."""
    given = os.environ.get(TUNABLES, "")
    if words and words[0] in COMMANDS and TUNABLE not in given and given_to_those_who_ask():
        asked = ":".join(filter(None, (given, f"{TUNABLE}=1")))
        arguments = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, TUNABLES: asked})


def given_to_those_who_ask() -> bool:
    """Whether kernel and C library are of that kind."""
    if not sys.executable or "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", ()):
        return False
    try:
        library = os.confstr("CS_GNU_LIBC_VERSION") or ""
        chosen = KERNEL.read_text(encoding="ascii")
    except OSError:  # another C library, or a kernel without
        return False
    version = re.fullmatch(r"glibc (\d+)\.(\d+)", library)
    new = version is not None and (int(version[1]), int(version[2])) >= SINCE
    return new and "[madvise]" in chosen
