"""Checksums of the texts and arrays of a safetensors file, kept in its metadata."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping

import numpy as np

from ferrnn._src.files.safetensors import Array, Contents

_CHECKSUMS, _CHECKSUM = "checksums", "checksum"


def summed(arrays: Mapping[str, Array], texts: Mapping[str, str]) -> dict[str, str]:
    """The texts with checksums of the arrays and of all texts added.

    >>> sorted(summed({"a": np.ones(2)}, {"by": "me"}))
    ['by', 'checksum', 'checksums']
    """
    sums = {name: _of_array(name, each) for name, each in arrays.items()}
    made = {**texts, _CHECKSUMS: json.dumps(sums)}
    return {**made, _CHECKSUM: str(_of_texts(made))}


def checked(contents: Contents) -> tuple[Mapping[str, str], dict[str, Array]]:
    """The texts and arrays of a file, after verifying their checksums.

    Raises:
        ValueError: A checksum does not match.
    """
    texts = contents.metadata
    if texts.get(_CHECKSUM) != str(_of_texts(texts)):
        raise ValueError("the metadata is damaged: its checksum does not match")
    sums = json.loads(texts.get(_CHECKSUMS, "{}"))
    arrays = {name: tensor.array() for name, tensor in contents.tensors.items()}
    if not isinstance(sums, dict) or sums.keys() != arrays.keys():
        raise ValueError("the names of the arrays are not those that were saved")
    for name, array in arrays.items():
        if sums[name] != _of_array(name, array):
            raise ValueError(f"the array {name!r} is damaged: its checksum does not match")
    return texts, arrays


def _of_array(name: str, array: Array) -> int:
    """The checksum of an array's numbers, dtype, shape and name."""
    plain = np.asarray(array, array.dtype.newbyteorder("<"))
    head = f"{name} {plain.dtype.str} {plain.shape}"
    return zlib.crc32(plain.reshape(-1).view(np.uint8).data, zlib.crc32(head.encode()))


def _of_texts(texts: Mapping[str, str]) -> int:
    rest = sorted((key, text) for key, text in texts.items() if key != _CHECKSUM)
    return zlib.crc32(json.dumps(rest).encode())
