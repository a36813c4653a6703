"""Sequences of equal or different lengths, their batches, and their scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.training.batches import Batches, Source
from ferrnn._src.training.py_dataset import PyDataset
from ferrnn._src.training.samples import Samples
from ferrnn._src.tree.types import Array

# The value at steps after the end of a sequence: scaled data never has it, and it is exact in
# float32.
PADDING = -(2.0**120)
# The mean and the deviation of each feature.
Scale: TypeAlias = "tuple[Array, Array]"
# The number of sequences in one call of a model in inference.
_TOGETHER = 256


class Sequences:
    """Sequences `[steps, features]`: one array, or a list of arrays if their lengths differ.

    >>> sequences = Sequences([np.ones((2, 1)), np.ones((3, 1))])
    >>> sequences.batch(np.array([0, 1])).shape
    (2, 3, 1)
    """

    def __init__(self, parts: Array | list[Array]) -> None:
        if isinstance(parts, list) and len({len(part) for part in parts}) == 1:
            parts = np.stack(parts)
        self._parts = parts
        self.features = int(parts[0].shape[-1])

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def ragged(self) -> bool:
        """Whether lengths differ."""
        return isinstance(self._parts, list)

    @property
    def array(self) -> Array | None:
        """All sequences `[samples, steps, features]`, or None if their lengths differ."""
        return None if isinstance(self._parts, list) else self._parts

    def batch(self, index: Array) -> Array:
        """The sequences at `index`, `[batch, longest, features]`, padded with `PADDING`."""
        if not isinstance(self._parts, list):
            return self._parts.take(index, 0)
        parts = [self._parts[at] for at in index]
        made = np.full((len(parts), max(map(len, parts)), self.features), PADDING, np.float32)
        for row, part in zip(made, parts, strict=True):
            row[: len(part)] = part
        return made

    def part(self, index: Array) -> Sequences:
        """The sequences at `index`."""
        if isinstance(self._parts, list):
            return Sequences([self._parts[at] for at in index])
        return Sequences(self._parts[index])

    def backwards(self) -> Sequences:
        """The sequences reversed."""
        if isinstance(self._parts, list):
            return Sequences([part[::-1] for part in self._parts])
        return Sequences(self._parts[:, ::-1])

    def scaled(self, scale: Scale) -> Sequences:
        """The sequences standardized, in float32."""
        mean, deviation = scale
        if isinstance(self._parts, list):
            return Sequences([as_scaled(part, mean, deviation) for part in self._parts])
        return Sequences(as_scaled(self._parts, mean, deviation))

    def scale(self) -> Scale:
        """The mean and the deviation of each feature over all steps."""
        parts = self._parts
        whole = np.concatenate(parts) if isinstance(parts, list) else parts
        return scale_of(whole.reshape(-1, self.features))

    def chunks(self, masks: bool) -> Iterator[Array]:
        """The indices of the sequences in chunks for a model, grouped by length.

        Without `masks`, the sequences of a chunk have equal lengths.
        """
        if not isinstance(self._parts, list):
            yield from _pieces(np.arange(len(self)))
            return
        lengths = np.array([len(part) for part in self._parts])
        order = np.argsort(lengths, kind="stable")
        ends: Any = [] if masks else np.flatnonzero(np.diff(lengths[order])) + 1
        for alike in np.split(order, ends):
            yield from _pieces(alike)


def _pieces(numbers: Array) -> Iterator[Array]:
    for start in range(0, len(numbers), _TOGETHER):
        yield numbers[start : start + _TOGETHER]


def as_scaled(values: Array, mean: Array, deviation: Array) -> Array:
    """`values` standardized, in float32."""
    scaled: Array = ((values - mean) / deviation).astype(np.float32)
    return scaled


def scale_of(rows: Array, weights: Array | None = None) -> Scale:
    """The mean and the deviation of each column; the deviation of a constant one is 1.

    >>> mean, deviation = scale_of(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> mean.tolist(), deviation.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    """
    mean = np.average(rows, axis=0, weights=weights)
    deviation = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weights))
    # The deviation of a constant column is only rounding error.
    constant = deviation <= 10 * np.finfo(np.float64).eps * np.abs(mean)
    return mean, np.where(constant, 1.0, deviation)


def no_scale(columns: int) -> Scale:
    """The scale that changes nothing."""
    return np.zeros(columns), np.ones(columns)


def batches_of(
    parts: tuple[Sequences, Array | None, Array | None],
    batch_size: int,
    random: np.random.Generator | None,
) -> Source | PyDataset:
    """Batches of sequences, targets and weights, in an order that `random` draws for each epoch.

    Sequences of equal lengths with targets are arrays, of which the engine takes many batches a
    call.
    """
    sequences, targets, weights = parts
    if sequences.array is None or targets is None:
        return Shuffled(*parts, batch_size, random)
    return Ordered(Samples.of(sequences.array, targets, weights), batch_size, random)


class Ordered(Batches):
    """Batches of arrays, in an order that `random` draws for each epoch."""

    def __init__(
        self, samples: Samples, batch_size: int, random: np.random.Generator | None
    ) -> None:
        super().__init__(samples, batch_size=batch_size)
        self.random = random

    def drawn_order(self) -> Array | None:
        """The order of the next epoch."""
        return None if self.random is None else self.random.permutation(self.samples.count)


class Shuffled(PyDataset):
    """Batches of sequences, targets and weights, in an order that `random` draws for each epoch."""

    def __init__(
        self,
        sequences: Sequences,
        targets: Array | None,
        weights: Array | None,
        batch_size: int,
        random: np.random.Generator | None,
    ) -> None:
        super().__init__()
        self.sequences, self.targets, self.weights = sequences, targets, weights
        self.batch_size, self.random = batch_size, random
        self.order = np.arange(len(sequences))

    def __len__(self) -> int:
        return math.ceil(len(self.sequences) / self.batch_size)

    def on_epoch_begin(self) -> None:
        """Draws the order."""
        if self.random is not None:
            self.order = self.random.permutation(len(self.sequences))

    def __getitem__(self, index: int) -> tuple[Array, Array, Array | None]:
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        inputs = self.sequences.batch(chosen)
        weights = None if self.weights is None else self.weights[chosen]
        if self.targets is not None:
            return inputs, self.targets[chosen], weights
        return delayed(inputs), np.where(inputs == PADDING, 0, inputs), weights


def delayed(inputs: Array) -> Array:
    """Sequences delayed by one step, with zeros first; the padding stays in place.

    >>> delayed(np.array([[[1.0], [2.0], [PADDING]]]))[0, :2, 0].tolist()
    [0.0, 1.0]
    """
    moved = np.zeros_like(inputs)
    moved[:, 1:] = inputs[:, :-1]
    return np.where(inputs == PADDING, inputs, moved)
