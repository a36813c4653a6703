"""Seeds, and a counter-based generator of random numbers: the same bits on every machine."""

from __future__ import annotations

import random as python_random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.native import noise
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.seed_state import SeedState

_seeds = python_random.Random()


def set_random_seed(seed: int) -> None:
    """Seeds everything that draws random numbers: layers, initializers, `random`, `numpy.random`.

    >>> set_random_seed(7)
    >>> first = draw_seed()
    >>> set_random_seed(7)
    >>> draw_seed() == first
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"`seed` must be an integer, received {seed!r}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"`seed` must lie in [0, 2**32), received {seed}")
    _seeds.seed(int(seed))
    python_random.seed(int(seed))
    np.random.seed(int(seed))  # noqa: NPY002 - Keras seeds it too, and scripts draw from it


def draw_seed() -> int:
    """Draws a seed, for objects made without one.

    >>> 1 <= draw_seed() <= 10**9
    True
    """
    return _seeds.randint(1, 10**9)


class Session:
    """The state of the global random generators, for parts of a program that take turns.

    The first `with` statement begins as after `set_random_seed(seed)`; each later one continues
    where the one before it ended. The generator of `draw_seed` is always saved and restored; with
    `whole`, those of `random` and `numpy.random` are too, which takes a hundred times as long.

    >>> own = Session(7)
    >>> set_random_seed(7)
    >>> first, second = draw_seed(), draw_seed()
    >>> with own:
    ...     draw_seed() == first
    True
    >>> _ = draw_seed()
    >>> with own:
    ...     draw_seed() == second
    True
    """

    def __init__(self, seed: int, *, whole: bool = False) -> None:
        self._seed: int | None = seed
        self.whole = whole
        self._seeds, self._outside = python_random.Random(), _seeds
        self._places: tuple[Any, Any] | None = None

    def __enter__(self) -> None:
        global _seeds
        self._outside, _seeds = _seeds, self._seeds
        if self._seed is not None:
            set_random_seed(self._seed)
            self._seed = None
        elif self._places is not None:
            set_places(self._places)

    def __exit__(self, *raised: object) -> None:
        global _seeds  # noqa: PLW0603 - there is one for the process
        _seeds = self._outside
        self._places = places() if self.whole else None


def places() -> tuple[Any, Any]:
    """The states of `random` and `numpy.random`, for `set_places`."""
    return python_random.getstate(), np.random.get_state()  # noqa: NPY002


def set_places(known: tuple[Any, Any]) -> None:
    """Restores the states that `places` returned."""
    python_random.setstate(known[0])
    np.random.set_state(known[1])  # noqa: NPY002


def all_places() -> tuple[Any, ...]:
    """The states of the generator of seeds, of `random` and of `numpy.random`, to be compared.

    >>> before = all_places()
    >>> _ = draw_seed()
    >>> all_places() == before
    False
    """
    given: Any = np.random.get_state()  # noqa: NPY002
    kind, words, *rest = given
    return _seeds.getstate(), python_random.getstate(), (kind, words.tobytes(), *rest)


def set_all_places(known: tuple[Any, ...]) -> None:
    """Restores the states that `all_places` returned."""
    kind, words, *rest = known[2]
    _seeds.setstate(known[0])
    set_places((known[1], (kind, np.frombuffer(words, np.uint32), *rest)))


# The generators that have drawn in a `taken_back` block, each with its counter before.
_drawn: ContextVar[list[tuple[SeedGenerator, int]] | None] = ContextVar("drawn", default=None)


@contextmanager
def taken_back() -> Iterator[None]:
    """A block of which no generator of random numbers, global or not, knows afterwards.

    >>> generator = SeedGenerator(1)
    >>> with taken_back():
    ...     _ = generator.bits(3)
    >>> generator.counter
    0
    """
    drawn: list[tuple[SeedGenerator, int]] = []
    before, token = all_places(), _drawn.set(drawn)
    try:
        yield
    finally:
        _drawn.reset(token)
        for generator, counter in reversed(drawn):
            generator.counter = counter
        if all_places() != before:
            set_all_places(before)


def session_generators() -> tuple[Any, ...]:
    """The global generators: of seeds, of the module `random` and of `numpy.random`.

    >>> len(session_generators())
    3
    """
    numpy_state = np.random.get_state
    return _seeds, python_random.getstate.__self__, numpy_state.__self__  # type: ignore[attr-defined]


class SeedGenerator:
    """A stream of random arrays, determined by its seed and by the number of draws before.

    >>> SeedGenerator(1).keep_mask((2, 3), 0.5).shape
    (2, 3)
    """

    def __init__(self, seed: int | None = None, name: str = "seed_generator") -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer)):
            raise TypeError(f"`seed` must be an integer or None, received {seed!r}")
        if seed is not None and not 0 <= seed < 2**64:
            raise ValueError(f"`seed` must lie in [0, 2**64), received {seed}")
        self.name = name
        self.initial_seed = draw_seed() if seed is None else int(seed)
        self.counter = 0
        self._rewound: tuple[np.random.Generator, dict[str, Any]] | None = None
        self._state: SeedState | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_rewound": None, "_state": None}

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments: the seed, but not the number of draws."""
        return {"seed": self.initial_seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """A new generator, with nothing drawn."""
        return cls(**config)

    @property
    def state(self) -> SeedState:
        """`[seed, counter]` as a variable: the whole state of the generator."""
        if self._state is None:
            self._state = SeedState(self)
        return self._state

    @state.setter
    def state(self, value: ArrayLike) -> None:
        self.state.assign(np.asarray(value))

    def _advance(self) -> None:
        tracing.leaving("random numbers")
        drawn = _drawn.get()
        if drawn is not None:
            drawn.append((self, self.counter))
        self.counter += 1

    def bits(self, count: int) -> Array:
        """The next `count` random 32-bit numbers; advances the counter by one."""
        philox = np.random.Philox(key=self.initial_seed, counter=[0, 0, 0, self.counter])
        self._advance()
        return philox.random_raw((count + 1) // 2).astype("<u8", copy=False).view("<u4")[:count]

    def generator(self) -> np.random.Generator:
        """A NumPy generator for the next draw; advances the counter by one."""
        philox = np.random.Philox(key=self.initial_seed, counter=[0, 0, 0, self.counter])
        self._advance()
        return np.random.Generator(philox)

    def rewound_generator(self) -> np.random.Generator:
        """As `generator`, but always the same object, valid until the next call of this method.

        Setting its state takes a tenth of the time that making a generator does.
        """
        if self._rewound is None:
            philox = np.random.Philox(key=self.initial_seed)
            self._rewound = np.random.Generator(philox), dict(philox.state)
        generator, state = self._rewound
        words = state["state"]
        words["key"][0], words["counter"][3] = self.initial_seed, self.counter
        generator.bit_generator.state = state
        self._advance()
        return generator

    def keep_mask(self, shape: tuple[int, ...], rate: float) -> Mask:
        """True with probability `1 - rate`, in an array of the given shape."""
        size = int(np.prod(shape, dtype=np.int64))
        # In 64 bits: a rate of 1 needs the threshold 2**32, which no 32-bit number reaches.
        threshold = np.uint64(round(rate * 2**32))
        keep: Mask = self.bits(size).reshape(shape) >= threshold
        return keep

    def dropout_mask(self, shape: tuple[int, ...], rate: float, dtype: str) -> Array:
        """Zeros with probability `rate`, else `1 / (1 - rate)`: multiplying by it keeps the mean.

        >>> mask = SeedGenerator(1).dropout_mask((4, 4), 0.5, "float32")
        >>> sorted({float(entry) for entry in mask.ravel()})
        [0.0, 2.0]
        """
        call = self.counter
        self._advance()
        if rate >= 1:
            return np.zeros(shape, dtype)
        # The numbers are those of `keep_mask`.
        scale, double = 1.0 / (1.0 - rate), dtype == "float64"
        return noise(self.initial_seed, call, shape, round(rate * 2**32), scale, double)

    def normal(self, shape: tuple[int, ...], stddev: float, dtype: str) -> Array:
        """Normally distributed numbers of mean 0; advances the counter by one.

        >>> SeedGenerator(1).normal((2, 3), 0.5, "float32").shape
        (2, 3)
        """
        call = self.counter
        self._advance()
        return noise(self.initial_seed, call, shape, None, stddev, dtype == "float64")
