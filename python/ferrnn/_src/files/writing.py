"""Files written as a whole or not at all: the one way in which the package writes files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ferrnn._src.files.drafts import new_draft, remove_abandoned


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write, read and seek in, which becomes the file at `path` at the end.

    It stands in the same folder under another name until all of it is on the disk, and then takes
    the old file's place in one step: whenever this process or the machine stops, `path` is the old
    file or the new one. The old file's permissions are kept; a new file has those that the umask
    leaves. A link at `path` stays, and its target is replaced; other hard links to the old file
    keep the old contents. Devices and pipes are written to directly. Drafts that killed processes
    left beside `path` are removed.

    Raises:
        OSError: With `path` and the reason. The old file is as it was, and nothing lies beside it.

    >>> with whole_file("numbers.txt") as file:
    ...     _ = file.write(b"1 2 3")
    >>> Path("numbers.txt").read_text()
    '1 2 3'
    """
    with _draft(path) as draft:
        yield draft.file


def write_file(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Writes a whole file, as `whole_file` does; text in UTF-8.

    >>> write_file("numbers.txt", "7 8 9")
    >>> Path("numbers.txt").read_bytes()
    b'7 8 9'
    """
    write_files({path: content})


def write_files(contents: Mapping[str | os.PathLike[str], bytes | str]) -> None:
    """Writes several whole files: none is replaced before all of them are on the disk."""
    with ExitStack() as stack:
        drafts = []
        for path, content in contents.items():
            drafts.append(_Draft(path))
            stack.callback(drafts[-1].drop)
            with _named_errors(path):
                drafts[-1].file.write(content.encode() if isinstance(content, str) else content)
            drafts[-1].finish()
        for draft in drafts:
            draft.replace()


@contextmanager
def _draft(path: str | os.PathLike[str]) -> Iterator[_Draft]:
    """A draft that replaces the file at the end of the block if nothing is raised in it."""
    draft = _Draft(path)
    try:
        with _named_errors(path):
            yield draft
        draft.finish()
        draft.replace()
    finally:
        draft.drop()


class _Draft:
    """A file under another name, in the folder of the file that it will replace."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.asked = path
        self.target = Path(os.path.realpath(path))
        self.path = self.target
        self.placed = False
        with _named_errors(path, self.target):
            old = self.target.stat() if self.target.exists() else None
            if old is not None and not os.access(self.target, os.W_OK):
                # A replacement would only need permissions for the folder.
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            # A folder cannot be opened to write; a device or pipe is written to directly.
            self.placed = old is not None and not stat.S_ISREG(old.st_mode)
            self.file: BinaryIO = self._direct() if self.placed else self._opened(old)

    def _direct(self) -> BinaryIO:
        if self.path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        return self.path.open("wb")

    def _opened(self, old: os.stat_result | None) -> BinaryIO:
        """A new file, with the old one's permissions and, if that is allowed, its owner."""
        remove_abandoned(self.target)
        self.path, file = new_draft(self.target)
        if old is None:
            return file
        try:
            own = self.path.stat()
            if hasattr(os, "chown") and (own.st_uid, own.st_gid) != (old.st_uid, old.st_gid):
                with suppress(PermissionError):
                    os.chown(self.path, old.st_uid, old.st_gid)
            self.path.chmod(stat.S_IMODE(old.st_mode))
        except OSError as error:
            file.close()
            self.path.unlink()
            error.filename = str(self.target)
            raise
        return file

    def finish(self) -> None:
        """Flushes everything to the disk."""
        with _named_errors(self.asked, self.path):
            self.file.flush()
            if not self.placed:
                os.fsync(self.file.fileno())
            if self.placed or os.name == "nt":  # Windows cannot rename an open file
                self.file.close()

    def replace(self) -> None:
        """Puts the draft in the place of the old file, and flushes the folder to the disk."""
        if self.placed:
            return
        with _named_errors(self.asked, self.path):
            self.path.replace(self.target)
            self.placed = True
            self.file.close()  # and with it the lock that kept others from removing the draft
        _sync_folder(self.target.parent)

    def drop(self) -> None:
        """Closes the file and removes it, unless it has taken its place."""
        with suppress(OSError):  # a failed write, which has been reported already
            self.file.close()
        if not self.placed:
            with suppress(OSError):
                self.path.unlink()


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open folders
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder may be writable but not readable
        return
    try:
        os.fsync(handle)
    except OSError as error:
        # Not every file system can flush folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise OSError(error.errno, error.strerror, str(folder)) from error
    finally:
        os.close(handle)


@contextmanager
def _named_errors(path: str | os.PathLike[str], draft: Path | None = None) -> Iterator[None]:
    """System errors that name no file, or the draft, are made to name the path asked for."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(draft)):
            raise
        reason = f"{error.strerror}; nothing was written"
        raise OSError(error.errno, reason, os.fspath(path)) from error
