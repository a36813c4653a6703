"""The base classes of initializers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ferrnn._src.configs.objects import Configured, plain, revived
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.random import SeedGenerator, draw_seed

_undrawn: ContextVar[bool] = ContextVar("undrawn", default=False)


@contextmanager
def undrawn() -> Iterator[None]:
    """A block in which random initial weights are zeros, for readers that then set all weights.

    Drawing takes time, and the import of `numpy.random` 7 MB.
    """
    token = _undrawn.set(True)
    try:
        yield
    finally:
        _undrawn.reset(token)


def is_undrawn(initializer: Any) -> bool:
    """Whether this initializer returns zeros instead of drawing; a shared generator still draws."""
    return (
        _undrawn.get()
        and isinstance(initializer, RandomInitializer)
        and not isinstance(initializer.seed, SeedGenerator)
    )


class Initializer(Configured):
    """Gives the initial value of a weight: `initializer(shape, dtype=None) -> array`.

    A custom initializer is a subclass, or any function of `(shape, dtype=None)`.

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

    def clone(self) -> Any:
        """A new initializer of the same arguments."""
        return type(self).from_config(self.get_config())


class RandomInitializer(Initializer):
    """An initializer with a seed, drawn once if not given: every call gives the same values.

    With a `SeedGenerator` as its seed, every call draws new values instead.
    """

    def __init__(self, seed: int | SeedGenerator | None = None) -> None:
        if isinstance(seed, Mapping):
            seed = revived(seed)
        whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
        if not (seed is None or whole or isinstance(seed, SeedGenerator)):
            raise ValueError(
                "`seed` argument should be an instance of `keras.random.SeedGenerator()` or an "
                f"integer. Received: seed={seed!r}"
            )
        self._given_seed = seed
        chosen = draw_seed() if seed is None else seed
        self.seed = chosen if isinstance(chosen, SeedGenerator) else int(chosen)

    def _generator(self) -> np.random.Generator:
        seeds = self.seed if isinstance(self.seed, SeedGenerator) else SeedGenerator(self.seed)
        return seeds.generator()

    def get_config(self) -> dict[str, Any]:
        return {"seed": plain(self._given_seed)}
