"""The error for sequences of different lengths where one array is expected."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_ragged(value: Any) -> bool:
    """Whether a list holds, at any depth, sequences of different lengths.

    >>> is_ragged([[1, 2], [3]]), is_ragged([[[1], [2, 3]]]), is_ragged([[1, 2], [3, 4]])
    (True, True, False)
    """
    if not _is_sequence(value) or not all(map(_is_sequence, value)):
        return False
    return len(set(map(len, value))) > 1 or any(map(is_ragged, value))


def _is_sequence(value: Any) -> bool:
    array = isinstance(value, np.ndarray) and value.ndim > 0
    return array or isinstance(value, list | tuple)


def refuse_ragged(value: Any, what: str) -> None:
    """Raises ValueError for sequences of different lengths; `what` names the argument."""
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return
    if is_ragged(value) or type(value).__name__ == "RaggedTensor":  # TensorFlow's ragged tensors
        raise ValueError(
            f"{what} must be one array, received a {type(value).__name__} of sequences of "
            f"different lengths: {REMEDY}"
        )


REMEDY = (
    "`keras.utils.pad_sequences(sequences, padding='post')` makes one array of them. To mark the "
    "steps that are real, give a recurrent layer's call `lengths=[len(each) for each in "
    "sequences]` or a mask"
)
