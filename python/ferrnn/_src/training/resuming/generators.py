"""Generators of random numbers: where they are, how they stand, and how to set them back."""

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
    """Whether it is a generator of random numbers that can be set back.

    >>> is_generator(SeedGenerator(1)), is_generator(np.random.default_rng(1)), is_generator(1)
    (True, True, False)
    """
    if isinstance(value, SeedGenerator | random.Random):
        return True
    # NumPy's take 7 MB, and are imported by whoever has one.
    return "numpy.random" in sys.modules and isinstance(
        value, np.random.Generator | np.random.RandomState
    )


def state_of(generator: Any) -> Any:
    """How a generator stands, in plain values.

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
    """Sets a generator to what `state_of` gave of one of its kind."""
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
    """How each generator stands, with its kind."""
    return {place: [type(each).__name__, state_of(each)] for place, each in generators.items()}


def set_states(generators: Mapping[str, Any], states: States) -> list[str]:
    """Sets those that both sides know; gives the places that only one of them knows."""
    unknown = sorted(set(generators) ^ set(states))
    for place, (kind, state) in states.items():
        there = generators.get(place)
        if type(there).__name__ == kind:
            set_state(there, state)
        elif there is not None:
            unknown.append(place)
    return unknown


def session() -> dict[str, Any]:
    """The generators that belong to nobody: of seeds, of `random` and of `numpy.random`."""
    return {f"session/{at}": each for at, each in enumerate(session_generators())}
