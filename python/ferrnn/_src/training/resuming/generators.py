"""Random number generators: finding them, and saving and restoring their states."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.training.resuming.container import Words
from ferrnn._src.weights.random import SeedGenerator, session_generators

States: TypeAlias = dict[str, Any]


def is_generator(value: Any) -> bool:
    """Whether it is a random number generator whose state can be restored.

    >>> is_generator(SeedGenerator(1)), is_generator(np.random.default_rng(1)), is_generator(1)
    (True, True, False)
    """
    if isinstance(value, SeedGenerator | random.Random):
        return True
    # `numpy.random` takes 7 MB; if a generator of it exists, it has been imported.
    return "numpy.random" in sys.modules and isinstance(
        value, np.random.Generator | np.random.RandomState
    )


def state_of(generator: Any) -> Any:
    """The state of a generator as plain values.

    >>> seeds = SeedGenerator(7)
    >>> before = state_of(seeds)
    >>> first = seeds.bits(3).tolist()
    >>> set_state(seeds, before)
    >>> seeds.bits(3).tolist() == first
    True
    """
    if isinstance(generator, SeedGenerator):
        return [generator.initial_seed, generator.counter]
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    version, words, gauss = generator.getstate()
    return [version, Words(words), gauss]


def set_state(generator: Any, state: Any) -> None:
    """Sets a generator to a state that `state_of` returned for one of the same kind."""
    if isinstance(generator, SeedGenerator):
        generator.initial_seed, generator.counter = state
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        version, words, gauss = state
        generator.setstate((version, tuple(map(int, words)), gauss))


def states_of(generators: Mapping[str, Any]) -> States:
    """The kind and the state of each generator."""
    return {place: [type(each).__name__, state_of(each)] for place, each in generators.items()}


def set_states(generators: Mapping[str, Any], states: States) -> list[str]:
    """Sets the generators that have a state; returns the places that only one side has."""
    unknown = sorted(set(generators) ^ set(states))
    for place, (kind, state) in states.items():
        there = generators.get(place)
        if type(there).__name__ == kind:
            set_state(there, state)
        elif there is not None:
            unknown.append(place)
    return unknown


def session() -> dict[str, Any]:
    """The global generators: of seeds, of `random` and of `numpy.random`."""
    return {f"session/{at}": each for at, each in enumerate(session_generators())}
