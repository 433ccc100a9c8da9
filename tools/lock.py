"""Writes down which file of which version of everything CI installs, with its hash: `make lock`.

    python tools/lock.py [--check] [NAME ...]      names of LOCKS; all of them by default
    python tools/lock.py --here                    only: whether the locks are for this machine

Versions are those of constraints.txt, chosen by pip for the Python and the machine this runs on,
which must be those of CI (TARGET). Of each package only the one file that pip would install is
listed. Source archives, of packages that have no wheel (SOURCES), stand in a file of their own,
NAME-source.txt: they are built after the rest is installed, with the setuptools that is locked
there, for pip would fetch an unlocked one.
`--check` writes nothing and ends with exit code 1 where a file would change.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".ci" / "locks"
TARGET = "CPython 3.11 on Linux x86_64"
TESTS = ("pytest", "pytest-xdist", "hypothesis")
BUILD = ("setuptools>=77", "setuptools-scm>=8")
LOCKS: dict[str, tuple[str, ...]] = {
    "dev": (".[dev,docs]", *BUILD),
    "triton": ("triton",),
    "wheel": (".", "pytorch-lightning>=2.4"),
    "release": ("-r", "tools/release.txt"),
    "spikingjelly-snntorch-norse": (
        "-r", "tests/interop/requirements-spikingjelly-snntorch-norse.txt", ".", *TESTS, *BUILD,
    ),
    "sinabs": ("-r", "tests/interop/requirements-sinabs.txt", ".", *TESTS, *BUILD),
}  # fmt: skip
"""What each environment of the Makefile is filled from, by the name of its file."""
OWN_PINS = {"release": ".", "spikingjelly-snntorch-norse": "nir|nirtorch", "sinabs": "nir|nirtorch"}
"""Which names of constraints.txt an environment's own requirement file decides: a pattern."""

SOURCES = {"release": {"docopt"}, "spikingjelly-snntorch-norse": {"norse"}}
"""Packages that have no wheel, by environment; a new one is refused until it is written here."""


def here() -> str:
    """This Python and machine, in TARGET's words."""
    python = ".".join(platform.python_version_tuple()[:2])
    return (
        f"{platform.python_implementation()} {python} on {platform.system()} {platform.machine()}"
    )


def pins(name: str) -> str:
    """constraints.txt, without what the environment `name` decides itself."""
    text = (ROOT / "constraints.txt").read_text()
    own = OWN_PINS.get(name)
    return re.sub(rf"(?m)^({own.replace('.', '.*')})==.*\n", "", text) if own else text


def resolved(name: str) -> list[dict[str, Any]]:
    """What pip would install into an empty environment: entries of its report, by package."""
    with tempfile.TemporaryDirectory() as folder:
        constraints, report = Path(folder, "constraints.txt"), Path(folder, "report.json")
        constraints.write_text(pins(name))
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet",
             "--dry-run", "--ignore-installed", "--report", report, "-c", constraints,
             *LOCKS[name]],
            cwd=ROOT, check=True,
        )  # fmt: skip
        found: list[dict[str, Any]] = json.loads(report.read_text())["install"]
    return found


def lines(name: str, entries: list[dict[str, Any]]) -> dict[str, list[str]]:
    """`package==version --hash=...`, sorted, by file; the project itself is left out.

    A build's label is too (2.13.0 for 2.13.0+cpu): the hash says which build it is.
    """
    found: dict[str, list[str]] = {name: []}
    for entry in entries:
        origin, metadata = entry["download_info"], entry["metadata"]
        if "dir_info" in origin:
            continue
        package = re.sub(r"[-_.]+", "-", metadata["name"]).lower()
        file = name
        if not origin["url"].partition("#")[0].endswith(".whl"):
            if package not in SOURCES.get(name, ()):
                sys.exit(f"{package} has no wheel for {TARGET}, only {origin['url']}")
            file = f"{name}-source"
        version = metadata["version"].partition("+")[0]
        digest = origin["archive_info"]["hashes"]["sha256"]
        found.setdefault(file, []).append(f"{package}=={version} --hash=sha256:{digest}")
    return {file: sorted(each, key=package_of) for file, each in found.items()}


def package_of(line: str) -> str:
    return line.partition("==")[0]


def main(names: list[str], check: bool) -> None:
    stale = []
    head = f"# What CI installs ({TARGET}), and no other file: made by `make lock`.\n"
    for name in names:
        for stem, packages in lines(name, resolved(name)).items():
            file = FOLDER / f"{stem}.txt"
            text = head + "\n".join(packages) + "\n"
            if check and (not file.exists() or file.read_text() != text):
                stale.append(str(file.relative_to(ROOT)))
            elif not check:
                file.write_text(text)
                print(f"{file.relative_to(ROOT)}: {len(packages)} packages")
    if stale:
        sys.exit(f"{', '.join(stale)}: not what pip chooses now; remake by `make lock`")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(LOCKS))
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--here", action="store_true", help="only: are they for this machine?")
    given = parser.parse_args()
    if here() != TARGET:
        sys.exit(f"the locks are for {TARGET}, and this is {here()}")
    if given.here:
        sys.exit()
    if unknown := set(given.names) - LOCKS.keys():
        sys.exit(f"no lock is called {', '.join(sorted(unknown))}; there are {', '.join(LOCKS)}")
    main(given.names or list(LOCKS), given.check)
