"""The folder in which the web processes of one host keep their metrics for each other."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import stat
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 # nosec B108 - a folder of our own in it, checked
"""Files are mapped: where the disk under one is full, a write to it kills the process (SIGBUS), so not on a disk."""


def prepare(instance: Path) -> Path:
    """Return the folder, without the files of processes that have ended; in memory if this system has such a place."""
    folder = _in_memory(instance)
    if folder is None:
        folder = instance / "metrics" / (socket.gethostname() or "host")
        folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.db"):
        process = re.search(r"_(\d+)\.db$", file.name)
        if process is None or not Path(f"/proc/{process[1]}").exists():
            file.unlink(missing_ok=True)
    return folder


def _in_memory(instance: Path) -> Path | None:
    """Return this instance's folder in memory; None if there is none that only this user can write to."""
    folder = MEMORY / f"smsapp-{hashlib.sha256(str(instance).encode()).hexdigest()[:16]}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        standing = folder.lstat()
    except OSError:
        return None
    is_own = stat.S_ISDIR(standing.st_mode) and standing.st_uid == os.getuid() and not standing.st_mode & 0o077
    return folder if is_own else None
