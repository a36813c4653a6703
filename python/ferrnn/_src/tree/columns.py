"""Table columns of other packages that are not arrays but can be read as one."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_column(value: Any) -> bool:
    """Whether it is a column of a Hugging Face dataset, which is read when it is indexed.

    >>> is_column(np.zeros(3))
    False
    """
    kind = type(value)
    return kind.__name__ == "Column" and kind.__module__.partition(".")[0] == "datasets"


def read_column(value: Any) -> Any:
    """The array in a column; any other value unchanged.

    >>> read_column("text")
    'text'
    """
    return np.asarray(value[:]) if is_column(value) else value
