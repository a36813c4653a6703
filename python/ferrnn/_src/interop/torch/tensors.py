"""Tensors of PyTorch files: views of storages, checked against the storages' bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferrnn._src.interop.torch.pickles import Named, PickleError
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


@dataclass(frozen=True)
class Storage:
    """The numbers of one storage."""

    key: str
    values: Array
    narrow: bool  # bfloat16: the upper halves of float32


class Tensors:
    """The functions that the pickle of one file may call, which only make tensors."""

    def __init__(self, size: int) -> None:
        """`size` is that of the file, which limits the size of its tensors."""
        self.size = size
        self.elements = 0

    def functions(self) -> dict[str, Callable[..., Any]]:
        """The functions by their names in pickles."""
        return {
            "collections.OrderedDict": _plain_dict,
            "torch._utils._rebuild_tensor": self.tensor,
            "torch._utils._rebuild_tensor_v2": self.tensor,
            "torch._utils._rebuild_tensor_v3": self._tensor_v3,
            "torch._utils._rebuild_parameter": _first,
            # Modules pickled as a whole keep names of buffers in a set, for which a list suffices.
            "__builtin__.set": _first,
            "builtins.set": _first,
            "torch.Size": _first,
            "torch.device": _nothing,
            "torch.jit._pickle.build_tensorlist": _first,
            "torch.jit._pickle.build_intlist": _first,
            "torch.jit._pickle.build_doublelist": _first,
            "torch.jit._pickle.build_boollist": _first,
            "torch.jit._pickle.restore_type_tag": _first,
            "torch.jit._pickle.build_tensor_from_id": self._constant,
        }

    def _constant(self, index: Any) -> Any:
        raise PickleError(f"tensor {index!r} is in the file's constants, which are not supported")

    def _tensor_v3(self, *arguments: Any) -> Array:
        return self.tensor(*arguments[:4])

    def tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Array:
        """A view of a storage, checked against it."""
        if not isinstance(storage, Storage):
            raise PickleError("a tensor must have a storage")
        about = (
            f"a tensor of storage {storage.key!r}: offset {offset}, size {size}, stride {stride}"
        )
        whole = [offset, *size, *stride]
        if len(size) != len(stride) or any(type(n) is not int or n < 0 for n in whole):
            raise PickleError(f"{about}: all must be non-negative integers")
        elements = math.prod(size)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if elements and last >= storage.values.size:
            raise PickleError(
                f"{about}: it lies outside the storage's {storage.values.size} elements"
            )
        self.elements += elements
        if self.elements > 4 * self.size:
            raise PickleError("its tensors claim more elements than its bytes can hold")
        item = storage.values.itemsize
        view = np.lib.stride_tricks.as_strided(
            storage.values[offset if elements else 0 :],
            size,
            [step * item for step in stride],
            writeable=False,
        )
        return _widened(view) if storage.narrow else view


def storage_of(kind: Any, key: str, count: int, data: memoryview | bytes) -> Storage:
    """A storage of this type, checked against its bytes."""
    dtype, narrow = dtype_of(kind, key)
    if count < 0 or len(data) != count * dtype.itemsize:
        raise PickleError(
            f"storage {key!r} must have {count} elements of {dtype.itemsize} bytes, received "
            f"{len(data)} bytes"
        )
    return Storage(key, np.frombuffer(data, dtype), narrow)


def dtype_of(kind: Any, key: Any) -> tuple[np.dtype[Any], bool]:
    """The dtype for a type of storage, and whether it is bfloat16."""
    name = kind.name if isinstance(kind, Named) else repr(kind)
    if name not in _STORAGES:
        raise PickleError(f"storage {key!r} has the type {name}, which is not supported")
    narrow = _STORAGES[name] == "bfloat16"
    return np.dtype("<u2" if narrow else _STORAGES[name]), narrow


def _widened(halves: Array) -> Array:
    """Float32 numbers from bfloat16's bits."""
    wide: Array = halves.astype(np.uint32) << np.uint32(16)
    return wide.view(np.float32)


def _plain_dict(items: Any = ()) -> dict[Any, Any]:
    return dict(items)


def _first(value: Any, *_: Any) -> Any:
    return value


def _nothing(*_: Any) -> None:
    return None
