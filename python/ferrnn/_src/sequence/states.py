"""States as bytes: arrays by name, with a version and checksums."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.files.limits import limited
from ferrnn._src.files.safetensors import contents_of, write
from ferrnn._src.files.sums import checked, summed
from ferrnn._src.tree.types import Array

_VERSION = "ferrnn-state"
VERSION = "1"


def state_bytes(state: Mapping[str, Array], texts: Mapping[str, str] | None = None) -> bytes:
    """Named arrays, and texts beside them, as bytes.

    >>> state_of_bytes(state_bytes({"lstm/h": np.ones((1, 2))}))["lstm/h"].tolist()
    [[1.0, 1.0]]
    """
    arrays = {name: np.asarray(each, order="C") for name, each in state.items()}
    file = io.BytesIO()
    write(file, arrays, summed(arrays, {**(texts or {}), _VERSION: VERSION}))
    return file.getvalue()


def state_of_bytes(data: bytes) -> dict[str, Array]:
    """The arrays that `state_bytes` was given.

    Raises:
        TypeError: `data` is not bytes.
        ValueError: The bytes are damaged, not a state, or of another version.
    """
    return state_and_texts(data)[0]


def state_and_texts(data: bytes) -> tuple[dict[str, Array], Mapping[str, str]]:
    """As `state_of_bytes`, with the texts."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"`data` must be bytes, received {type(data).__name__}")
    content = memoryview(data).cast("B")
    try:
        with limited(len(content)):
            contents = contents_of(content)
            _check_version(contents.metadata)
            texts, arrays = checked(contents)
            return {name: np.array(each) for name, each in arrays.items()}, texts
    except ValueError as error:
        raise ValueError(f"`data` must be the bytes of a state: {error}") from error


def same_layers(state: Mapping[str, Any], wanted: Mapping[str, Sequence[int]]) -> None:
    """Raises ValueError for a state of other layers; `wanted` has the shape of each state's row."""
    if set(state) != set(wanted):
        raise ValueError(
            f"the state is that of another model: expected the names {sorted(wanted)}, received "
            f"{sorted(state)}"
        )
    for name, shape in wanted.items():
        received = np.shape(state[name])
        if received[1:] != tuple(shape):
            raise ValueError(
                f"the state is that of another model: `{name}` must have the shape "
                f"{('rows', *shape)}, received {received}"
            )


def _check_version(texts: Mapping[str, str]) -> None:
    version = texts.get(_VERSION)
    if version is None:
        raise ValueError(
            "expected what `state_to_bytes` returns, received bytes without a version of states"
        )
    if version != VERSION:
        raise ValueError(f"expected the version {VERSION!r}, received {version!r}")
