"""Columns of tables of other packages that are no arrays, but give one."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_column(value: Any) -> bool:
    """Whether it is a column of a dataset of Hugging Face, which is read when it is indexed.

    >>> is_column(np.zeros(3))
    False
    """
    kind = type(value)
    return kind.__name__ == "Column" and kind.__module__.partition(".")[0] == "datasets"


def read_column(value: Any) -> Any:
    """The array of a column; anything else as it is.

    >>> read_column("text")
    'text'
    """
    return np.asarray(value[:]) if is_column(value) else value
