"""Reads tensors from `.safetensors` files of other programs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ferrnn._src.files.errors import reading
from ferrnn._src.files.safetensors import opened
from ferrnn._src.tree.types import Array


def read_safetensors(path: Path) -> dict[str, Array]:
    """The tensors of a file by name; bfloat16 as float32.

    Raises:
        FileError: The file is damaged, or has numbers of an unsupported type.
    """
    with reading(path), opened(path) as contents:
        return {name: np.array(tensor.array()) for name, tensor in contents.tensors.items()}
