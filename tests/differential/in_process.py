"""The program that decodes AEDAT 4, without a process of its own for each of thousands of files."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def run_here(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
    """As subprocess.run of `python -c program arguments`, which names a file to write last."""
    _, _, program, *arguments = command
    script = Path(arguments[-1]).with_suffix(".py")
    script.write_text(program)
    before, sys.argv = sys.argv, ["-c", *arguments]
    try:
        runpy.run_path(str(script))
    except SystemExit as error:
        return subprocess.CompletedProcess(command, int(bool(error.code)), "", str(error.code))
    except BaseException as error:  # a panic of native code is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return subprocess.CompletedProcess(command, 1, "", f"{type(error).__name__}: {error}")
    finally:
        sys.argv = before
    return subprocess.CompletedProcess(command, 0, "", "")
