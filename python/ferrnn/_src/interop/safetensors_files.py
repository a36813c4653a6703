"""Reads `.safetensors` files, with the package of that name."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ferrnn._src.tree.types import Array

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
    "U8": "<u1",
    "BOOL": "?",
}


def is_safetensors(path: Path) -> bool:
    """Whether the file begins as a `.safetensors` file does: a length, and a JSON object."""
    with path.open("rb") as file:
        begin = file.read(9)
    return begin[8:] == b"{" and 2 <= int.from_bytes(begin[:8], "little") <= path.stat().st_size


def read_safetensors(path: Path) -> dict[str, Array]:
    """The tensors of a file by name; bfloat16 as float32.

    Raises:
        ModuleNotFoundError: The package safetensors is not installed.
        ValueError: The file is damaged, or has numbers of a type that is not read.
    """
    try:
        import safetensors  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "files of safetensors are read with the package safetensors: pip install "
            "'ferrnn[files]'",
            name="safetensors",
        ) from error
    try:
        entries = safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: a damaged file of safetensors: {error}") from error
    return {name: _array(path, name, entry) for name, entry in entries}


def _array(path: Path, name: str, entry: dict[str, object]) -> Array:
    kind, shape = str(entry["dtype"]), entry["shape"]
    data = entry["data"]
    assert isinstance(data, bytes | bytearray)
    assert isinstance(shape, list)
    if kind == "BF16":
        halves: Array = np.frombuffer(data, "<u2").astype(np.uint32) << np.uint32(16)
        return halves.view(np.float32).reshape(shape)
    if kind not in _DTYPES:
        raise ValueError(f"{path}: the tensor {name!r} has the type {kind}, which is not read")
    return np.frombuffer(data, _DTYPES[kind]).reshape(shape)
