"""The shortest time that a layer can take on this machine, from the machine's measured limits.

The floor is the larger of

- arithmetic: 2 flops for each product and its sum, units rounded up to eight lanes, three times
  that in training, and 40 for each activation, over the peak of all cores in use;
- reading: the recurrent weights once a step (twice in training) and the kernel once, over the
  bandwidth of the caches that hold them.

What a call costs besides, from Python or to write its results, is not part of it: short calls
cannot reach it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ferrnn._src.native import limits, machine

# The number of gates of a cell, and of activations for each unit and step.
GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}
_ACTIVATIONS = {"lstm": 5, "gru": 3, "simple_rnn": 1}
_ACTIVATION_FLOPS = 40
_LANES = 8
_MOST_MEMORY = 1 << 28


@dataclass(frozen=True)
class Case:
    """A case to be timed: a cell, sizes, one step or sequences, forward or training."""

    name: str
    cell: str
    batch: int
    time: int
    features: int
    units: int
    training: bool = False

    @property
    def sizes(self) -> str:
        """Batch, time, features and units, as text."""
        return f"{self.batch},{self.time},{self.features},{self.units}"


@dataclass(frozen=True)
class Limits:
    """The limits of several threads together: flops per second, and bytes per second by size.

    Args:
        threads: how many.
        flops: float32, a multiply-add counts as two.
        levels: for each level of cache, smallest first, the bytes that fit into those of all
            threads and the bytes per second; main memory last.
    """

    threads: int
    flops: float
    levels: tuple[tuple[float, float], ...]

    def bandwidth(self, size: int) -> float:
        """Bytes per second when reading `size` bytes repeatedly."""
        for limit, rate in self.levels:
            if size <= limit:
                return rate
        return self.levels[-1][1]


def measure(threads: int) -> Limits:
    """Measures the limits of `threads` threads of this machine, in about half a second."""
    level1, level2, level3 = machine()["caches"]
    memory = min(4 * level3, _MOST_MEMORY)
    sizes = [level1 // 2, level2 // 2, level3 // 4 // threads, memory // threads]
    multiply_adds, reads = limits(threads, sizes)
    fits = [level1 * threads, level2 * threads, level3, float("inf")]
    return Limits(threads, 2 * multiply_adds * threads, tuple(zip(fits, reads, strict=True)))


def floor(case: Case, limits: Limits) -> float:
    """The shortest time in seconds that a call of `case` can take."""
    units = -(-case.units // _LANES) * _LANES
    steps, columns = case.batch * case.time, GATES[case.cell] * units
    flops = 2.0 * steps * (case.features + case.units) * columns * (3 if case.training else 1)
    flops += _ACTIVATION_FLOPS * steps * units * _ACTIVATIONS[case.cell]
    kernel, recurrent = 4 * case.features * columns, 4 * case.units * columns
    held = recurrent + (kernel if case.time == 1 else 0)
    moved = recurrent * case.time * (2 if case.training else 1) + kernel
    return max(flops / limits.flops, moved / limits.bandwidth(held))
