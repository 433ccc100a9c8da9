"""Tries the wheel as a stranger would: a fresh environment, an empty folder, one command.

Then the Lightning example with the real Lightning, in the same environment: the tests' own has a
torchvision beside a torch that it wasn't built for, where Lightning can't be imported.

    python tools/try_wheel.py DIST [--lock FILE] [FLAG ...]    flags are those of `pip install`

With a lock, what the wheel and the example need comes from there, with hashes, and then the wheel
alone; `pip check` says whether anything is missing.
DIST holds one wheel and one source archive. Ends with exit code 1 and a sentence where the wheel
lacks a file, its version is another than its metadata's, or training from it fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

NEEDED = (
    "py.typed",
    "data/assets/nmnist.npz",
    "data/assets/nmnist.LICENSE.txt",
    "data/assets/fashion_mnist.npz",
    "data/assets/fashion_mnist.LICENSE.txt",
    "ops/kernels/lif.c",
    "ops/kernels/lif_body.h",
    "ops/kernels/step.c",
    "report/templates/page.html.jinja",
)
EXAMPLE = Path(__file__).parents[1] / "examples" / "lightning_callback.py"
TRAINING = ("train", "nmnist-trt", "--epochs", "1", "--num-steps", "2", "--out", "run")


def main(dist: Path, lock: str | None, flags: list[str]) -> None:
    (wheel,) = dist.glob("*.whl")
    (source,) = dist.glob("*.tar.gz")
    check_contents(wheel, source)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "env", with_pip=True)
        programs = folder / "env" / ("Scripts" if sys.platform == "win32" else "bin")
        pip = [programs / "python", "-m", "pip", "--disable-pip-version-check"]
        install = [*pip, "install", "--quiet", "--no-warn-script-location", *flags]
        if lock:
            hashed = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", lock]
            subprocess.run([*install, *hashed], check=True)
            subprocess.run([*install, "--no-deps", wheel], check=True)
            subprocess.run([*pip, "check"], check=True)
        else:
            subprocess.run([*install, wheel], check=True)
        empty = folder / "empty"
        empty.mkdir()
        check_command(programs / "tempreg", empty, version=wheel.name.split("-")[1])
        print(f"{wheel.name}: trains from an empty folder, in an environment of its own")
        if not lock:
            subprocess.run([*install, "pytorch-lightning>=2.4"], check=True)
        check_example(programs / "python", empty)
        print(f"{EXAMPLE.name}: trains and measures")


def check_contents(wheel: Path, source: Path) -> None:
    """Everything that is read at run time is inside, and the licences are."""
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = [name for name in NEEDED if f"tempreg/{name}" not in names]
    missing += [
        name
        for name in ("LICENSE", "NOTICE")
        if not any(inside.endswith(f".dist-info/licenses/{name}") for inside in names)
    ]
    if missing:
        sys.exit(f"{wheel} lacks {', '.join(missing)}")
    if rooms := sorted(name for name in names if name.endswith("README.md")):
        sys.exit(f"{wheel} holds what is for readers of the sources alone: {', '.join(rooms)}")
    with tarfile.open(source) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    needed = {f"src/tempreg/{name}" for name in NEEDED} | {"CITATION.cff", "CHANGELOG.md"}
    if missing := sorted(needed - inside):
        sys.exit(f"{source} lacks {', '.join(missing)}")


def check_command(program: Path, folder: Path, version: str) -> None:
    """The installed program says its version, and trains in `folder`, which is empty."""
    environment = clean_environment()
    environment["TEMPREG_CACHE_DIR"] = str(folder.parent / "cache")

    def run(*words: str) -> str:
        result = subprocess.run(
            [program, *words], cwd=folder, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if result.returncode != 0:
            sys.exit(f"tempreg {' '.join(words)} ended with {result.returncode}: {result.stderr}")
        return result.stdout

    if (said := run("--version").strip()) != version:
        sys.exit(f"the wheel is of version {version}, and tempreg --version says {said}")
    print(run(*TRAINING), end="")
    if (left := sorted(path.name for path in folder.iterdir())) != ["run"]:
        sys.exit(f"training left {', '.join(left)} in the folder, not only run")
    accuracy = json.loads((folder / "run" / "summary.json").read_text())["accuracy_per_step"]
    told = json.loads(run("evaluate", "run", "--json"))["accuracy_per_step"]
    if accuracy != told or len(told) != 2:
        sys.exit(f"evaluation gives {told}, and the run's summary {accuracy}")


def check_example(python: Path, folder: Path) -> None:
    """The Lightning example trains for an epoch; its callback logs terms, accuracy and centroid."""
    result = subprocess.run(
        [python, EXAMPLE, "1"], cwd=folder, env=clean_environment(), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if result.returncode != 0:
        sys.exit(f"{EXAMPLE.name} ended with {result.returncode}: {result.stderr}")
    logged = {name: float(value) for name, value in map(str.split, result.stdout.splitlines())}
    print(logged)
    if not {"cross_entropy", "mse", "penalty"} <= logged.keys():
        sys.exit(f"{EXAMPLE.name} logs no terms of the loss: {result.stdout}")
    if not (1 <= logged["fisher_centroid"] <= 4 and logged["accuracy_4"] > 0.2):
        sys.exit(f"{EXAMPLE.name} learned nothing in an epoch, or measures nonsense: {logged}")


def clean_environment() -> dict[str, str]:
    """This process's, without what points Python elsewhere."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    dist, *flags = sys.argv[1:]
    lock = None
    if flags[:1] == ["--lock"]:
        lock, flags = flags[1], flags[2:]
    main(Path(dist), lock, flags)
