"""The state of a random number generator as a variable, which layers list among their own."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Parameter


class Counting(Protocol):
    """A generator whose state is its seed and the number of draws."""

    name: str
    initial_seed: int
    counter: int


class SeedState(Parameter):
    """`[seed, draws]` of a generator: reading gives the current values, `assign` sets them.

    >>> from ferrnn._src.weights.random import SeedGenerator
    >>> generator = SeedGenerator(7)
    >>> _ = generator.bits(3)
    >>> generator.state.numpy().tolist()
    [7, 1]
    """

    __slots__ = ("_owner",)

    def __init__(self, owner: Counting) -> None:
        self._owner = owner
        super().__init__(self._now(), f"{owner.name}_state", trainable=False)

    def _now(self) -> Array:
        return np.array([self._owner.initial_seed, self._owner.counter], np.uint64)

    @property
    def _data(self) -> Array:
        return self._now()

    @_data.setter
    def _data(self, value: Array) -> None:
        seed, counter = (int(part) for part in value)
        self._owner.initial_seed, self._owner.counter = seed, counter

    @property
    def _view(self) -> Array:
        return self._now()

    @_view.setter
    def _view(self, value: Array) -> None:
        """An array of the generator's current numbers."""

    def __reduce__(self) -> Any:
        return SeedState, (self._owner,)
