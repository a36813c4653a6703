"""Files that are written as a whole or not at all: the one way in which the package writes."""

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

    It lies in the same folder under another name until all of it is on the disk, and then takes
    the old file's place in one step: whoever opens `path`, whenever this process or the machine
    stops, finds the old file or the new one. It keeps the old file's permissions; a new file has
    those that the umask leaves. A link at `path` stays, and what it leads to is replaced; the old
    file's other hard links keep the old contents. Devices and pipes are written to directly. What a
    killed process left beside `path` while it wrote there is removed.

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
    """A draft that is finished and takes its place if nothing is raised."""
    draft = _Draft(path)
    try:
        with _named_errors(path):
            yield draft
        draft.finish()
        draft.replace()
    finally:
        draft.drop()


class _Draft:
    """A file under another name in the folder of the one that it will be."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.asked = path
        self.target = Path(os.path.realpath(path))
        self.path = self.target
        self.placed = False
        with _named_errors(path, self.target):
            old = self.target.stat() if self.target.exists() else None
            if old is not None and not os.access(self.target, os.W_OK):
                # Only the folder's permissions would count for a replacement.
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
        """Sees to it that everything is on the disk."""
        with _named_errors(self.asked, self.path):
            self.file.flush()
            if not self.placed:
                os.fsync(self.file.fileno())
            if self.placed or os.name == "nt":  # which renames no open file
                self.file.close()

    def replace(self) -> None:
        """Puts the draft in the place of the old file, and sees to it that the folder knows."""
        if self.placed:
            return
        with _named_errors(self.asked, self.path):
            self.path.replace(self.target)
            self.placed = True
            self.file.close()  # and with it the lock, which kept others from removing it
        _sync_folder(self.target.parent)

    def drop(self) -> None:
        """Closes the file and removes it, unless it has taken its place."""
        with suppress(OSError):  # of what could not be written, which has been told
            self.file.close()
        if not self.placed:
            with suppress(OSError):
                self.path.unlink()


def _sync_folder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows has no such thing
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # it may be written to, but not read
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # not every file system can
            raise OSError(error.errno, error.strerror, str(folder)) from error
    finally:
        os.close(handle)


@contextmanager
def _named_errors(path: str | os.PathLike[str], draft: Path | None = None) -> Iterator[None]:
    """An error of the system that names no file, or the draft, names the path asked for."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(draft)):
            raise
        reason = f"{error.strerror}; nothing was written"
        raise OSError(error.errno, reason, os.fspath(path)) from error
