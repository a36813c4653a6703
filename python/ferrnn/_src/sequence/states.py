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
    """The bytes of arrays by name, and of texts beside them.

    >>> state_of_bytes(state_bytes({"lstm/h": np.ones((1, 2))}))["lstm/h"].tolist()
    [[1.0, 1.0]]
    """
    arrays = {name: np.asarray(each, order="C") for name, each in state.items()}
    file = io.BytesIO()
    write(file, arrays, summed(arrays, {**(texts or {}), _VERSION: VERSION}))
    return file.getvalue()


def state_of_bytes(data: bytes) -> dict[str, Array]:
    """What `state_bytes` was given.

    Raises:
        TypeError: `data` are no bytes.
        ValueError: They are damaged, no state, or of another version.
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
        raise ValueError(f"`data` is not a state that can be restored: {error}") from error


def same_layers(state: Mapping[str, Any], wanted: Mapping[str, Sequence[int]]) -> None:
    """Refuses the state of other layers; `wanted` are the shapes of a row of each state."""
    if set(state) != set(wanted):
        raise ValueError(
            f"the state is that of another model: it holds {sorted(state)}, the layers here have "
            f"{sorted(wanted)}"
        )
    for name, shape in wanted.items():
        received = np.shape(state[name])
        if received[1:] != tuple(shape):
            raise ValueError(
                f"the state is that of another model: `{name}` must have the shape "
                f"{('rows', *shape)}, it has {received}"
            )


def _check_version(texts: Mapping[str, str]) -> None:
    version = texts.get(_VERSION)
    if version is None:
        raise ValueError("they are not what `state_to_bytes` gives")
    if version != VERSION:
        raise ValueError(f"they have the version {version!r}, {VERSION!r} is read")
