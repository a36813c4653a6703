"""Reads PyTorch's files, `.pt` and `.pth`, TorchScript too, without PyTorch.

Such a file is a zip archive of one pickle and the bytes of each storage (`torch.save` since
PyTorch 1.6, `torch.jit.save`). A tensor is a view of a storage: an offset, sizes and strides, which
are checked against the storage's bytes before anything is looked at.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ferrnn._src.interop.pickles import Named, PickleError, read_pickle
from ferrnn._src.tree.types import Array

_STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "<i1",
    "torch.ByteStorage": "<u1",
    "torch.BoolStorage": "?",
}
_OLD_MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
# The pickle describes tensors and settings; a larger one is not a model's.
_LARGEST_PICKLE = 64 << 20


@dataclass(frozen=True)
class _Storage:
    """The numbers of one storage."""

    key: str
    values: Array
    narrow: bool  # bfloat16: the upper halves of float32


def read_torch_file(path: str | os.PathLike[str]) -> Any:
    """What a file of PyTorch holds: dicts, lists, numbers, arrays, and `Inert` modules.

    Arrays are read-only views of the file's bytes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a file that `torch.save` or `torch.jit.save` wrote, it is damaged, or
            its pickle wants to call something else than what makes tensors.
    """
    path = Path(path)
    with path.open("rb") as file:
        begin = file.read(len(_OLD_MAGIC))
    if begin == _OLD_MAGIC:
        raise ValueError(
            f"{path}: written by PyTorch before 1.6, in a format that is not read: open it with "
            "`torch.load` and write it again with `torch.save`"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(path, archive).read()
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a file of PyTorch, or a damaged one: {error}") from error
    except PickleError as error:
        raise ValueError(f"{path}: {error}") from error


class _Archive:
    """One file of PyTorch."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self.archive = archive
        self.size = path.stat().st_size
        self.folder = self._folder()
        self.storages: dict[str, _Storage] = {}
        self.elements = 0

    def _folder(self) -> str:
        """The one folder that everything lies in, its name is anything."""
        tops = [name[: -len("/data.pkl")] for name in self.archive.namelist() if _is_pickle(name)]
        if len(tops) != 1:
            raise PickleError(f"{len(tops)} pickles named data.pkl instead of one: not a model")
        stored = [e for e in self.archive.infolist() if e.compress_type == zipfile.ZIP_STORED]
        total = sum(entry.file_size for entry in stored)
        if total > self.size:
            raise PickleError(f"its entries say {total:,} bytes, the file has {self.size:,}")
        return tops[0]

    def read(self) -> Any:
        order = self._entry("byteorder", optional=True)
        if order not in {b"", b"little"}:
            raise PickleError(f"byte order {order!r} is not read, only little")
        pickled = self._entry("data.pkl")
        functions: dict[str, Callable[..., Any]] = {
            "collections.OrderedDict": _plain_dict,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_tensor_v3": self._tensor_v3,
            "torch._utils._rebuild_parameter": _first,
            "torch.Size": _first,
            "torch.device": _nothing,
            "torch.jit._pickle.build_tensorlist": _first,
            "torch.jit._pickle.build_intlist": _first,
            "torch.jit._pickle.build_doublelist": _first,
            "torch.jit._pickle.build_boollist": _first,
            "torch.jit._pickle.restore_type_tag": _first,
            "torch.jit._pickle.build_tensor_from_id": self._constant,
        }
        return read_pickle(pickled, functions, self._storage)

    def _entry(self, name: str, *, optional: bool = False) -> bytes:
        """The bytes of an entry, which PyTorch stores as they are."""
        full = f"{self.folder}/{name}"
        try:
            entry = self.archive.getinfo(full)
        except KeyError:
            if optional:
                return b""
            raise PickleError(f"entry {full!r} is missing") from None
        if entry.compress_type != zipfile.ZIP_STORED:
            raise PickleError(f"entry {full!r} is compressed, which PyTorch never does")
        if name == "data.pkl" and entry.file_size > _LARGEST_PICKLE:
            raise PickleError(f"entry {full!r} has {entry.file_size:,} bytes: not a model's")
        try:
            return self.archive.read(entry)
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise PickleError(f"entry {full!r} is damaged: {error}") from error

    def _constant(self, index: Any) -> Any:
        raise PickleError(f"tensor {index!r} is kept in the file's constants, which are not read")

    def _storage(self, identity: Any) -> _Storage:
        """The storage of a persistent id: ('storage', type, key, device, count of elements)."""
        if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
            raise PickleError(f"a persistent id {identity!r} is not a storage")
        _, kind, key, _, count = identity
        if isinstance(key, str) and key in self.storages:
            return self.storages[key]
        name = kind.name if isinstance(kind, Named) else repr(kind)
        if name not in _STORAGES or not isinstance(key, str) or not isinstance(count, int):
            raise PickleError(f"storage {key!r} is of the type {name}, which is not read")
        data = self._entry(f"data/{key}")
        narrow = _STORAGES[name] == "bfloat16"
        dtype = np.dtype("<u2" if narrow else _STORAGES[name])
        if count < 0 or len(data) != count * dtype.itemsize:
            raise PickleError(
                f"storage {key!r} should have {count} elements of {dtype.itemsize} bytes, and has "
                f"{len(data)} bytes"
            )
        self.storages[key] = _Storage(key, np.frombuffer(data, dtype), narrow)
        return self.storages[key]

    def _tensor_v3(self, *arguments: Any) -> Array:
        return self._tensor(*arguments[:4])

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Array:
        """A view of a storage, checked against it."""
        if not isinstance(storage, _Storage):
            raise PickleError("a tensor without a storage")
        about = (
            f"a tensor of storage {storage.key!r}: offset {offset}, size {size}, stride {stride}"
        )
        whole = [offset, *size, *stride]
        if len(size) != len(stride) or any(type(n) is not int or n < 0 for n in whole):
            raise PickleError(f"{about}: not all are counts")
        elements = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if elements and last >= storage.values.size:
            raise PickleError(f"{about}: outside of its {storage.values.size} elements")
        self.elements += elements
        if self.elements > 4 * self.size:
            raise PickleError("its tensors say more elements than its bytes could hold")
        item = storage.values.itemsize
        view = np.lib.stride_tricks.as_strided(
            storage.values[offset if elements else 0 :],
            size,
            [step * item for step in stride],
            writeable=False,
        )
        return _widened(view) if storage.narrow else view


def _widened(halves: Array) -> Array:
    """Float32 of bfloat16's bits."""
    wide: Array = halves.astype(np.uint32) << np.uint32(16)
    return wide.view(np.float32)


def _is_pickle(name: str) -> bool:
    return name.endswith("/data.pkl") and name.count("/") == 1


def _plain_dict(items: Any = ()) -> dict[Any, Any]:
    return dict(items)


def _first(value: Any, *_: Any) -> Any:
    return value


def _nothing(*_: Any) -> None:
    return None
