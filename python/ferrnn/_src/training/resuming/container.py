"""Plain values and arrays as bytes, with a checksum: no code is run by reading them."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array

_MAGIC = b"ferrnn checkpoint 1\n"
_HEAD = struct.Struct("<QQI")  # bytes of text, bytes of arrays, CRC-32 of both
_KINDS = "?bhilqBHILQefdgFDGSUmM"  # dtypes whose bytes mean the same everywhere
_SCALARS = {str, int, float, bool, type(None)}
_NOTHING = np.empty(0, np.uint8)


class Packed:
    """A tree of values, captured immediately; its bytes are made when they are requested.

    A tree is made of None, numbers, texts, bytes, NumPy's numbers and arrays, and lists, tuples and
    dicts of them, and is restored as it was. Errors name `what`.

    Raises:
        TypeError: For anything else; the error names the place.

    >>> packed = Packed({"wait": 2, "weights": [np.zeros(2)], "at": (1, None)})
    >>> unpacked(b"".join(packed.parts()))
    {'wait': 2, 'weights': [array([0., 0.])], 'at': (1, None)}
    """

    def __init__(self, tree: Any, what: str = "the state") -> None:
        self._arrays: list[Array | Words] = []
        try:
            self._written = _written(tree, self._arrays)
        except _UnplainError as error:
            place = what + "".join(f"[{key!r}]" for key in reversed(error.keys))
            raise TypeError(
                f"{place} must be made of numbers, texts, None, NumPy's arrays, and lists, tuples "
                f"and dicts of them, received {error.received}"
            ) from None

    def parts(self) -> list[bytes | memoryview]:
        """The parts of the file, in order."""
        text = json.dumps(self._written, separators=(",", ":")).encode()
        arrays = [
            np.array(each, "<u4") if isinstance(each, Words) else each for each in self._arrays
        ]
        body: list[bytes | memoryview] = [text, *map(bytes_of, arrays)]
        checksum = 0
        for part in body:
            checksum = zlib.crc32(part, checksum)
        size = sum(len(part) for part in body[1:])
        return [_MAGIC, _HEAD.pack(len(text), size, checksum), *body]


class _UnplainError(Exception):
    """A value that cannot be packed, with the keys that lead to it, the innermost first."""

    def __init__(self, received: str) -> None:
        super().__init__(received)
        self.received, self.keys = received, list[Any]()


def bytes_of(array: Array) -> memoryview:
    """The bytes of an array, without a copy if they are contiguous."""
    return _as_bytes(array).data


def _as_bytes(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def unpacked(content: bytes) -> Any:
    """The tree that was packed.

    Raises:
        ValueError: If the content has been damaged.
    """
    start = len(_MAGIC) + _HEAD.size
    if content[: len(_MAGIC)] != _MAGIC or len(content) < start:
        raise ValueError("it must begin with the bytes of a checkpoint")
    text, size, checksum = _HEAD.unpack_from(content, len(_MAGIC))
    if len(content) != start + text + size:
        raise ValueError(
            f"it must have {start + text + size} bytes, received {len(content)}: the end is "
            "missing, or does not belong to it"
        )
    if zlib.crc32(memoryview(content)[start:]) != checksum:
        raise ValueError("its checksum does not match its contents")
    try:
        return _read(json.loads(content[start : start + text]), content, start + text)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise ValueError(f"its text cannot be read: {error}") from error


class Bundle:
    """Named arrays whose bytes are copied together; restored as a dict.

    >>> packed = Packed({"weights": Bundle({"a": np.arange(3.0)})})
    >>> unpacked(b"".join(packed.parts()))["weights"]["a"].tolist()
    [0.0, 1.0, 2.0]
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.layout = [(name, each.dtype.str, each.shape) for name, each in arrays.items()]
        self.content = np.concatenate([_NOTHING, *map(_as_bytes, arrays.values())])


class Words(tuple[int, ...]):
    """Numbers stored in 32 bits each; restored as an array."""

    __slots__ = ()


def is_plain(value: Any) -> bool:
    """Whether a value can be packed.

    >>> is_plain([1, {"a": np.zeros(2)}]), is_plain([object()])
    (True, False)
    """
    kind = type(value)
    if kind in _SCALARS or kind is bytes:
        return True
    if kind is list or kind is tuple:
        return set(map(type, value)) <= _SCALARS or all(map(is_plain, value))
    if kind is dict:
        return set(map(type, value)) <= _SCALARS and all(map(is_plain, value.values()))
    return (kind is np.ndarray or isinstance(value, np.generic)) and value.dtype.char in _KINDS


def _written(value: Any, arrays: list[Any]) -> Any:
    """A value as JSON data: anything but numbers and strings is a pair of kind and content."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is list or kind is tuple:
        kinds = set(map(type, value))
        if kinds == {float} and kind is list:
            arrays.append(np.array(value))
            return ["floats", "<f8", [len(value)]]
        if kinds <= _SCALARS:
            return [kind.__name__, list(value)]
        return [kind.__name__, [_inner(each, arrays, at) for at, each in enumerate(value)]]
    if kind is dict:
        if not set(map(type, value)) <= _SCALARS:
            raise _UnplainError(
                f"keys of the types {sorted({type(key).__name__ for key in value})}"
            )
        return ["dict", [[key, _inner(each, arrays, key)] for key, each in value.items()]]
    return _written_array(value, arrays)


def _written_array(value: Any, arrays: list[Any]) -> Any:
    """Bytes, arrays and NumPy's numbers; those that may be written to later are copied now."""
    kind = type(value)
    if kind is Bundle:
        arrays.append(value.content)
        return ["bundle", value.layout]
    if kind is Words or kind is bytes:
        arrays.append(value if kind is Words else np.frombuffer(value, np.uint8))
        return ["array", "<u4", [len(value)]] if kind is Words else ["bytes", "|u1", [len(value)]]
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.char not in _KINDS:
        raise _UnplainError(str(getattr(value, "dtype", kind.__name__)))
    arrays.append(np.array(value, order="C"))
    shape = list(value.shape)
    return ["array" if isinstance(value, np.ndarray) else "number", value.dtype.str, shape]


def _inner(value: Any, arrays: list[Any], key: Any) -> Any:
    if type(value) in _SCALARS:
        return value
    try:
        return _written(value, arrays)
    except _UnplainError as error:
        error.keys.append(key)
        raise


class _Reader:
    def __init__(self, content: bytes, at: int) -> None:
        self.content, self.at = content, at

    def array(self, dtype: str, shape: Sequence[int]) -> Array:
        kind = np.dtype(dtype)
        if kind.char not in _KINDS:
            raise ValueError(f"arrays of the dtype {dtype} are not supported")
        count = int(np.prod(shape, dtype=object))
        if count * kind.itemsize > len(self.content) - self.at or count < 0:
            raise ValueError("an array would be larger than the file")
        found: Array = np.frombuffer(self.content, kind, count, self.at).reshape(shape).copy()
        self.at += found.nbytes
        return found

    def value(self, written: Any) -> Any:
        if not isinstance(written, list):
            return written
        kind, content = written[0], written[1]
        if kind == "dict":
            return {key: self.value(each) for key, each in content}
        if kind in ("list", "tuple"):
            entries = [self.value(each) for each in content]
            return entries if kind == "list" else tuple(entries)
        if kind == "bundle":
            return {name: self.array(dtype, shape) for name, dtype, shape in content}
        if kind not in ("array", "number", "bytes", "floats"):
            raise ValueError(f"values of the kind {kind!r} are not supported")
        array = self.array(content, written[2])
        if kind in ("array", "number"):
            return array if kind == "array" else array[()]
        return array.tobytes() if kind == "bytes" else array.tolist()


def _read(written: Any, content: bytes, at: int) -> Any:
    return _Reader(content, at).value(written)
