"""Reads PyTorch's `.pt` and `.pth` files, including TorchScript, without PyTorch.

Such a file is a zip archive of one pickle and the bytes of each storage (`torch.save` since
PyTorch 1.6, `torch.jit.save`); an older one is read by `torch_legacy_files`.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

from ferrnn._src.interop.torch.legacy_files import read_legacy_file
from ferrnn._src.interop.torch.pickles import PickleError, read_pickle
from ferrnn._src.interop.torch.tensors import Storage, Tensors, dtype_of, storage_of

_OLD_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
# The pickle describes tensors and settings; that of a model is not larger.
_LARGEST_PICKLE = 64 << 20


def read_torch_file(path: str | os.PathLike[str]) -> Any:
    """The contents of a PyTorch file: dicts, lists, numbers, arrays, and `Inert` modules.

    Arrays are read-only views of the file's bytes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It was not written by `torch.save` or `torch.jit.save`, it is damaged, or its
                    pickle calls anything but the functions that make tensors.
    """
    path = Path(path)
    with path.open("rb") as file:
        begin = file.read(len(_OLD_MAGIC))
    try:
        if begin == _OLD_MAGIC:
            return read_legacy_file(path.read_bytes(), len(_OLD_MAGIC))
        with zipfile.ZipFile(path) as archive:
            return _Archive(path, archive).read()
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a PyTorch file, or a damaged one: {error}") from error
    except PickleError as error:
        raise ValueError(f"{path}: {error}") from error


def is_torch_file(path: Path) -> bool:
    """Whether a file has the layout of those that `torch.save` and `torch.jit.save` write.

    >>> from pathlib import Path
    >>> _ = Path("notes.txt").write_text("nothing")
    >>> is_torch_file(Path("notes.txt"))
    False
    """
    with path.open("rb") as file:
        if file.read(len(_OLD_MAGIC)) == _OLD_MAGIC:
            return True
    try:
        with zipfile.ZipFile(path) as archive:
            return any(_is_pickle(name) for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, OSError):
        return False


class _Archive:
    """One PyTorch file."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self.archive = archive
        self.size = path.stat().st_size
        self.folder = self._folder()
        self.tensors = Tensors(self.size)
        self.storages: dict[str, Storage] = {}

    def _folder(self) -> str:
        """The one folder with everything in it, which may have any name."""
        tops = [name[: -len("/data.pkl")] for name in self.archive.namelist() if _is_pickle(name)]
        if len(tops) != 1:
            raise PickleError(f"it must have one pickle named data.pkl, received {len(tops)}")
        stored = [e for e in self.archive.infolist() if e.compress_type == zipfile.ZIP_STORED]
        total = sum(entry.file_size for entry in stored)
        if total > self.size:
            raise PickleError(f"its entries claim {total:,} bytes, but the file has {self.size:,}")
        return tops[0]

    def read(self) -> Any:
        order = self._entry("byteorder", optional=True)
        if order not in {b"", b"little"}:
            raise PickleError(f"byte order {order!r} is not supported, only little")
        pickled = self._entry("data.pkl")
        return read_pickle(pickled, self.tensors.functions(), self._storage)

    def _entry(self, name: str, *, optional: bool = False) -> bytes:
        """The bytes of an entry, which PyTorch stores without compression."""
        full = f"{self.folder}/{name}"
        try:
            entry = self.archive.getinfo(full)
        except KeyError:
            if optional:
                return b""
            raise PickleError(f"entry {full!r} is missing") from None
        if entry.compress_type != zipfile.ZIP_STORED:
            raise PickleError(f"entry {full!r} must be stored without compression, as PyTorch does")
        if name == "data.pkl" and entry.file_size > _LARGEST_PICKLE:
            raise PickleError(f"entry {full!r} has {entry.file_size:,} bytes, too many for a model")
        try:
            return self.archive.read(entry)
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise PickleError(f"entry {full!r} is damaged: {error}") from error

    def _storage(self, identity: Any) -> Storage:
        """The storage for a persistent id: ('storage', type, key, device, count of elements)."""
        if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
            raise PickleError(f"a persistent id {identity!r} is not a storage")
        _, kind, key, _, count = identity
        if isinstance(key, str) and key in self.storages:
            return self.storages[key]
        if not isinstance(key, str) or not isinstance(count, int):
            raise PickleError(f"a persistent id {identity!r} is not a storage")
        dtype_of(kind, key)
        self.storages[key] = storage_of(kind, key, count, self._entry(f"data/{key}"))
        return self.storages[key]


def _is_pickle(name: str) -> bool:
    return name.endswith("/data.pkl") and name.count("/") == 1
