"""The parts of an archive or folder, each read by name when it is asked for."""

from __future__ import annotations

import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Protocol

from ferrnn._src.files.limits import limit_of


class Parts(Protocol):
    """What is in an archive or a folder."""

    size: int  # of the whole archive or folder, in bytes

    def names(self, folder: str) -> list[str]:
        """The names of the parts right below a folder, which ends in a slash."""

    def read(self, name: str) -> bytes | None:
        """The contents of a part; None if there is no such part."""


@contextmanager
def opened(path: Path) -> Iterator[Parts]:
    """The parts of a zip archive, or of a folder.

    Together they may not take more than `limit_of` the archive's size; links, devices and pipes in
    a folder are refused.
    """
    if path.is_dir():
        yield _Folder(path)
        return
    with path.open("rb") as file, _archive(file) as archive:
        yield _Archive(archive, os.fstat(file.fileno()).st_size)


@contextmanager
def _archive(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ValueError(f"a `.keras` file must be a zip archive: {error}") from error
    with archive:
        yield archive


class _Archive:
    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self.size = size
        self._archive = archive
        self._left = limit_of(size)
        self._members = {each.filename: each for each in archive.infolist()}
        if len(self._members) < len(archive.infolist()):
            name, _ = Counter(archive.namelist()).most_common(1)[0]
            raise ValueError(f"the archive has several parts of the same name: {name!r}")
        inside = sorted(archive.infolist(), key=lambda member: member.header_offset)
        for before, after in pairwise(inside):
            if before.header_offset + before.compress_size > after.header_offset:
                raise ValueError(
                    f"the parts {before.filename!r} and {after.filename!r} overlap in the archive"
                )

    def names(self, folder: str) -> list[str]:
        below = (name for name in self._members if name.startswith(folder))
        return [name for name in below if "/" not in name[len(folder) :]]

    def read(self, name: str) -> bytes | None:
        member = self._members.get(name)
        if member is None:
            return None
        self._left -= member.file_size
        if self._left < 0:
            raise ValueError(
                f"it would expand to {member.file_size} bytes, more than {self.size} bytes of "
                "archive may hold"
            )
        # Decoders of other methods may allocate gigabytes before they return the first byte.
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(
                f"it must be stored or deflated, received compression method {member.compress_type}"
            )
        return self._archive.read(member)


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = sum(each.lstat().st_size for each in path.iterdir() if each.is_file())

    def names(self, folder: str) -> list[str]:
        if not self._is_there(folder.rstrip("/")):
            return []
        return [folder + each.name for each in (self._path / folder).iterdir()]

    def read(self, name: str) -> bytes | None:
        if not self._is_there(name):
            return None
        # A link made since the check is not followed, and opening a pipe does not block.
        flags = (getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
        handle = os.open(self._path / name, os.O_RDONLY | sum(flags))
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ValueError("expected a regular file, received a folder, a pipe or a device")
            return file.read()

    def _is_there(self, name: str) -> bool:
        """Whether the folder has this part; raises ValueError if a link leads to it."""
        place = self._path
        for each in Path(name).parts:
            place /= each
            if place.is_symlink():
                raise ValueError(f"{name!r} is a link, which is not followed")
            if not place.exists():
                return False
        return True
