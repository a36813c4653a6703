"""What every initializer is, and what every random one has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.objects import Configured
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.random import SeedGenerator, draw_seed


class Initializer(Configured):
    """Gives the initial value of a weight: `initializer(shape, dtype=None) -> array`.

    An initializer of your own is a subclass, or any function of `(shape, dtype=None)`.

    >>> class Ramp(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    >>> Ramp()((2, 2)).tolist()
    [[0, 1], [2, 3]]
    """

    def __call__(self, shape: Sequence[int], dtype: object = None) -> Array:
        """An array of the given shape."""
        raise NotImplementedError(f"{type(self).__name__} does not define `__call__`")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}


class RandomInitializer(Initializer):
    """An initializer with a seed: drawn once if not given, so that every call gives the same."""

    def __init__(self, seed: int | None = None) -> None:
        if isinstance(seed, SeedGenerator):
            seed = seed.initial_seed
        self._given_seed = seed
        self.seed = draw_seed() if seed is None else int(seed)

    def _generator(self) -> np.random.Generator:
        return SeedGenerator(self.seed).generator()

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._given_seed}
