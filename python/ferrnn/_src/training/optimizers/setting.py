"""Numbers of an optimizer that can be stored and assigned."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.weights.parameter import Parameter


class Setting(Parameter):
    """One number of an optimizer: a `Parameter`, so that it can be stored, that acts as a number.

    >>> rate = Setting(0.5, "learning_rate", path="adam/learning_rate")
    >>> rate.assign(0.25)
    >>> float(rate), float(rate * 2), f"{rate:.3f}"
    (0.25, 0.5, '0.250')
    """

    __slots__ = ()

    def __init__(self, value: float, name: str, *, path: str, dtype: Any = np.float64) -> None:
        super().__init__(value, name, path=path, dtype=dtype, trainable=False)

    def item(self) -> Any:
        """The number."""
        return self._data.item()

    def put(self, value: float) -> None:
        """Sets the number, a fast path."""
        self._data[...] = value
        self._changed()

    def __float__(self) -> float:
        return float(self._data.item())

    def __int__(self) -> int:
        return int(self._data.item())

    __index__ = __int__

    def __hash__(self) -> int:
        return id(self)

    def __format__(self, format_spec: str) -> str:
        return format(self._data.item(), format_spec)
