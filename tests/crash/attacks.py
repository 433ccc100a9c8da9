"""Ways to stop a process, and to undo what stopped it."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import resource
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
ROOT = Path(__file__).parents[2]
WITH_PROJECT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
"""The environment, in which `tempreg` and its tests can be imported."""


class Attack(ABC):
    """One kind. Subclass it with `strike`, and with `relieve` where something must be undone."""

    name: str

    def possible(self, folder: Path) -> bool:
        """Whether it works here, for boxes in this folder."""
        return True

    def started(self) -> dict[str, Any]:
        """How the command is started, as `subprocess.Popen` takes it."""
        return {}

    @abstractmethod
    def strike(self, process: subprocess.Popen[str], box: Path, chance: random.Random) -> None:
        """Do it, now."""

    def relieve(self, box: Path) -> None:
        """Undo it, when the process has ended."""
        return


class Signal(Attack):
    """A signal to the process, or to its whole group, as a terminal sends Ctrl-C, and as a batch
    system kills a job with all of its children. Final."""

    def __init__(self, name: str, number: signal.Signals, *, group: bool = False) -> None:
        self.name, self.number, self.group = name, number, group

    def strike(self, process: subprocess.Popen[str], box: Path, chance: random.Random) -> None:
        if self.group:
            os.killpg(process.pid, self.number)
        else:
            os.kill(process.pid, self.number)


class Memory(Attack):
    """No more address space than the process has, and up to 24 MiB. Final."""

    name = "memory limit"

    def strike(self, process: subprocess.Popen[str], box: Path, chance: random.Random) -> None:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        held = next((int(x.split()[1]) for x in lines if x.startswith("VmSize:")), None)
        if held is not None:  # else it has just ended
            limit = 1024 * held + chance.randrange(24 * 2**20)
            resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))


class FileSize(Attack):
    """No file may grow beyond some bytes, as a disk that fills up; needs no rights. Final."""

    name = "file size limit"

    def strike(self, process: subprocess.Popen[str], box: Path, chance: random.Random) -> None:
        most = chance.choice((0, chance.randrange(20_000)))
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))


class DiskFull(Attack):
    """The box, a file system of its own, has between 0 and 32 KiB left. Final."""

    name = "disk full"

    def strike(self, process: subprocess.Popen[str], box: Path, chance: random.Random) -> None:
        left = chance.choice((0, chance.randrange(2**15)))
        with self._filler(box).open("wb") as file:
            while (free := _free(box)) > left:
                try:
                    return os.posix_fallocate(file.fileno(), 0, free - left)
                except OSError as error:  # the command took some of it meanwhile
                    if error.errno != errno.ENOSPC:
                        raise

    def relieve(self, box: Path) -> None:
        self._filler(box).unlink(missing_ok=True)

    @staticmethod
    def _filler(box: Path) -> Path:
        return box / "filler"

    def possible(self, folder: Path) -> bool:
        box = folder / "mountable"
        box.mkdir(exist_ok=True)
        if not self.mount(box):
            return False
        self.unmount(box)
        return True

    @staticmethod
    def mount(box: Path) -> bool:
        """A file system of 64 MiB in memory at `box`."""
        words = ["mount", "-t", "tmpfs", "-o", "size=64m", "tempreg-crash", str(box)]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0

    @staticmethod
    def unmount(box: Path) -> None:
        subprocess.run(["umount", "-l", str(box)], check=True)


class ReadOnly(Attack):
    """Nothing in the box may be written any more. Final.

    Root may write whatever the modes say, so where this is root, the command lacks that right.
    """

    name = "read-only"

    def started(self) -> dict[str, Any]:
        return {"preexec_fn": _obey_modes} if os.geteuid() == 0 else {}

    def possible(self, folder: Path) -> bool:
        try:
            subprocess.run(["true"], check=True, **self.started())
        except subprocess.SubprocessError:
            return False
        return True

    def strike(self, process: subprocess.Popen[str], box: Path, chance: random.Random) -> None:
        self._modes(box, 0o555, 0o444)

    def relieve(self, box: Path) -> None:
        self._modes(box, 0o755, 0o644)

    @staticmethod
    def _modes(box: Path, folders: int, files: int) -> None:
        for path in (box, *box.rglob("*")):
            try:
                path.chmod(folders if path.is_dir() else files)
            except FileNotFoundError:  # a temporary one
                continue


def _obey_modes() -> None:
    """Linux: what this process starts may write only where modes let its user, root or not."""
    if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0):
        raise PermissionError("the right to drop a right is missing")


ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        Signal("SIGKILL", signal.SIGKILL),
        Signal("SIGKILL to all", signal.SIGKILL, group=True),
        Signal("SIGTERM", signal.SIGTERM),
        Signal("Ctrl-C", signal.SIGINT, group=True),
        Memory(),
        DiskFull(),
        FileSize(),
        ReadOnly(),
    )
}


def _free(folder: Path) -> int:
    """Bytes left on the file system."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_bsize
