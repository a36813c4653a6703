"""Files of the safetensors layout: a length, a header in JSON, and the bytes of arrays in a row.

The layout is that of https://huggingface.co/docs/safetensors. Reading maps the file into memory:
an array's bytes are read when they are first used.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ferrnn._src.files.limits import limit_of

Array: TypeAlias = NDArray[Any]

_NUMPY = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES = {dtype: name for name, dtype in _NUMPY.items()}
_BFLOAT16 = "BF16"
_METADATA = "__metadata__"
_ALIGNMENT = 8
# What the reference implementation reads at most.
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class Tensor:
    """An array as the header describes it: its dtype and shape, and its bytes in the file."""

    kind: str
    shape: tuple[int, ...]
    data: memoryview

    def array(self) -> Array:
        """The numbers, where they lie in the file; bfloat16 as a copy in float32."""
        if self.kind != _BFLOAT16:
            return np.frombuffer(self.data, _NUMPY[self.kind]).reshape(self.shape)
        halves: Array = np.frombuffer(self.data, "<u2").astype(np.uint32) << np.uint32(16)
        return halves.view(np.float32).reshape(self.shape)


@dataclass(frozen=True)
class Contents:
    """What is in a file: the texts of its metadata, and the arrays by name."""

    metadata: Mapping[str, str]
    tensors: Mapping[str, Tensor]


def is_safetensors(path: Path) -> bool:
    """Whether the file begins as a safetensors file does: with a length and a JSON object."""
    with path.open("rb") as file:
        begin = file.read(9)
    return begin[8:] == b"{" and 2 <= int.from_bytes(begin[:8], "little") <= _LONGEST_HEADER


def write(
    file: BinaryIO, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes named arrays and texts to a binary file, each array aligned to the size of its dtype.

    >>> with Path("two.safetensors").open("wb") as file:
    ...     write(file, {"a": np.arange(3, dtype="int16"), "b": np.ones((2, 2))}, {"by": "me"})
    >>> with opened(Path("two.safetensors")) as contents:
    ...     print(contents.metadata["by"], contents.tensors["b"].array().sum())
    me 4.0
    """
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    at = 0
    for name, array in _in_order(plain):
        kind = _NAMES[array.dtype.str]
        place = [at, at + array.nbytes]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > _LONGEST_HEADER:
        raise ValueError(
            "the header of a safetensors file, with all names and texts, may take "
            f"{_LONGEST_HEADER} bytes, received {len(text)}"
        )
    file.write(len(text).to_bytes(8, "little") + text)
    for _, array in _in_order(plain):
        file.write(array.reshape(-1).view(np.uint8).data)


def _plain(name: str, array: Array) -> Array:
    little = array.dtype.newbyteorder("<")
    if little.str not in _NAMES:
        raise TypeError(f"{name!r} must hold real numbers, received the dtype {array.dtype}")
    return np.array(array, little, order="C", copy=None if np.__version__ >= "2" else False)


def _in_order(arrays: Mapping[str, Array]) -> list[tuple[str, Array]]:
    """The widest dtypes first, so that every array is aligned."""
    return sorted(arrays.items(), key=lambda each: -each[1].dtype.itemsize)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Contents]:
    """The contents of a file; its arrays stay valid as long as they are referenced.

    Raises:
        ValueError: It is not a safetensors file: arrays overlap, leave holes or are incomplete, or
                the header is too long, too deeply nested or otherwise not what the layout asks for.
    """
    with Path(path).open("rb") as file:
        yield _contents(file)


def _contents(file: BinaryIO) -> Contents:
    size = os.fstat(file.fileno()).st_size
    if size < 8:
        raise ValueError(f"a safetensors file must have at least 8 bytes, received {size}")
    return contents_of(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))


def contents_of(data: memoryview) -> Contents:
    """The contents of the bytes of a file, where they lie.

    Raises:
        ValueError: They are not those of a safetensors file; see `opened`.
    """
    size, length = len(data), int.from_bytes(data[:8], "little")
    if not 2 <= length <= size - 8:
        raise ValueError(
            f"not a safetensors file: its header would have {length} bytes, but the file has {size}"
        )
    if length > _LONGEST_HEADER:
        raise ValueError(f"the header must have at most {_LONGEST_HEADER} bytes, received {length}")
    header = _header(bytes(data[8 : 8 + length]))
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("the metadata must be a JSON object of strings")
    return Contents(metadata, dict(_tensors(header, data[8 + length :])))


def _header(text: bytes) -> dict[str, Any]:
    # A parsed list or object takes some 60 bytes; names and numbers take less than their text.
    if 64 * (text.count(b"[") + text.count(b"{")) > limit_of(len(text)):
        raise ValueError("the header has more lists and objects than a file of its size may hold")
    try:
        header = json.loads(text, object_pairs_hook=_unique, parse_constant=_refused)
    except RecursionError:
        raise ValueError("the header is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"the header must be UTF-8, but is not at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise ValueError(  # noqa: TRY004 - the file is at fault
            f"the header must be a JSON object, received a {type(header).__name__}"
        )
    return header


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the header has the key {key!r} twice")
        made[key] = value
    return made


def _refused(name: str) -> Any:
    raise ValueError(f"the header has the number {name}, which is not JSON")


def _tensors(header: Mapping[str, Any], data: memoryview) -> Iterator[tuple[str, Tensor]]:
    """The arrays in the order of their bytes, which must fill the file."""
    entries = [(name, *_entry(name, entry)) for name, entry in header.items()]
    reached = 0
    for name, kind, shape, begin, end in sorted(entries, key=lambda each: each[3:]):
        if begin != reached:
            fault = "overlap" if begin < reached else "leave a hole"
            raise ValueError(
                f"the arrays {fault}: {name!r} begins at byte {begin}, but the one before it ends "
                f"at {reached}"
            )
        if end > len(data):
            raise ValueError(
                f"the array {name!r} would end at byte {end}, but the file has {len(data)} bytes "
                "after its header"
            )
        itemsize = 2 if kind == _BFLOAT16 else np.dtype(_NUMPY[kind]).itemsize
        if end - begin != math.prod(shape) * itemsize:
            raise ValueError(
                f"the array {name!r} has {end - begin} bytes for the shape {list(shape)} and dtype "
                f"{kind}"
            )
        yield name, Tensor(kind, shape, data[begin:end])
        reached = end
    if reached != len(data):
        raise ValueError(f"{len(data) - reached} bytes at the end belong to no array")


def _entry(name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(
            f"{name!r} must have the keys dtype, shape and data_offsets, and no others"
        )
    kind, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if kind not in _NUMPY and kind != _BFLOAT16:
        raise ValueError(
            f"the array {name!r} has the dtype {str(kind)[:20]}, which is not supported"
        )
    if not _counts(shape) or len(shape) > 32:
        raise ValueError(
            f"the shape of {name!r} must be a list of at most 32 integers that are not negative"
        )
    if not _counts(place) or len(place) != 2 or place[1] < place[0]:
        raise ValueError(f"the data_offsets of {name!r} must be two offsets, the begin and the end")
    return kind, tuple(shape), place[0], place[1]


def _counts(value: Any) -> bool:
    """Whether it is a list of integers that are not negative and fit into 64 bits."""
    return isinstance(value, list) and all(
        type(each) is int and 0 <= each < 2**63 for each in value
    )
