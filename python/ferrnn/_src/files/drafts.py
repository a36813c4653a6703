"""Temporary files for writing, and the removal of those whose writer was killed."""

from __future__ import annotations

import os
import random
import stat
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

_OLD = 24 * 3600.0  # seconds, where files cannot be locked


def new_draft(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside `target`, locked for as long as it is open.

    The lock ends with the process, however that ends, so `remove_abandoned` in any process knows
    which drafts nobody writes any more. It is a shared lock, which does not keep HDF5 from reading.

    Raises:
        OSError: The file cannot be made; the error names `target`.
    """
    while True:
        path = target.with_name(f".{_digest(target)}{uuid.uuid4().hex[:16]}.tmp")
        try:
            file = path.open("x+b")
        except OSError as error:
            error.filename = str(target)
            raise
        if _locked(file.fileno(), alone=False, otherwise=True) and path.exists():
            return path, file
        file.close()  # another process took it for abandoned before it was locked


def remove_abandoned(target: Path) -> None:
    """Removes drafts of `target` whose writers have been killed.

    >>> Path("a.bin").write_bytes(b"whole")
    5
    >>> _ = Path(f".{_digest(Path('a.bin'))}{'0' * 16}.tmp").write_bytes(b"ha")
    >>> remove_abandoned(Path("a.bin"))
    >>> [path.name for path in Path().glob("*") if path.suffix in (".bin", ".tmp")]
    ['a.bin']
    """
    start = f".{_digest(target)}"
    with suppress(OSError), os.scandir(target.parent) as entries:
        found = [each.path for each in entries if each.name.startswith(start)]
        for path in found:
            if path.endswith(".tmp"):
                _remove_if_abandoned(path)


def _digest(target: Path) -> str:
    name = target.name.encode(errors="surrogateescape")
    # `random` hashes its seed by SHA-512; `hashlib` itself would load 4 MB of OpenSSL.
    return f"{random.Random(name).getrandbits(64):016x}"


def _remove_if_abandoned(path: str) -> None:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with suppress(OSError):
        handle = os.open(path, flags)
        try:
            about = os.fstat(handle)
            old = time.time() - about.st_mtime > _OLD
            if stat.S_ISREG(about.st_mode) and _locked(handle, alone=True, otherwise=old):
                Path(path).unlink()
        finally:
            os.close(handle)


def _locked(handle: int, *, alone: bool, otherwise: bool) -> bool:
    """Locks the file, exclusively if `alone`, and tells whether that succeeded.

    `otherwise` is the answer on systems that cannot lock files.
    """
    if sys.platform == "win32":
        return otherwise
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # not every file system can
        return otherwise
    return True
