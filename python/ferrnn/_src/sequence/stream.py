"""Layers that take one step a call, in the engine, and keep their states from call to call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferrnn import _core
from ferrnn._core import DenseWeights, EmbeddingWeights, NormalizationWeights, Weights
from ferrnn._src.cells.stacked import StackedRNNCells
from ferrnn._src.sequence.fused import packed_weights, supports
from ferrnn._src.tree.types import Array


@dataclass(frozen=True, slots=True)
class StreamPart:
    """A layer as the engine takes it: packed weights, or the name of an activation."""

    layer: Weights | DenseWeights | EmbeddingWeights | NormalizationWeights | str
    states: tuple[str, ...] = ()


class Stream(_core.Stream):
    """The layers of a model, or one recurrent layer, one time step a call.

    Made by `model.stream(streams=1)` or `layer.stream(streams=1)`. `stream(inputs)` takes
    `[features]` (if there is one stream) or `[streams, features]`, moves every layer on by one step
    and gives `[units]` or `[streams, units]`; with `out=` it writes there and gives `out`. If the
    first layer is an Embedding, it takes one id (of one stream) or `[streams]` ids. Each stream is
    a sequence of its own. The outputs have the bits that the model gives for the whole
    sequence. The weights are those at the time the stream was made.

    >>> from ferrnn.layers import GRU
    >>> layer = GRU(4, return_sequences=True)
    >>> sequence = np.random.default_rng(1).normal(size=(1, 5, 3)).astype("float32")
    >>> whole = layer(sequence)
    >>> stream = layer.stream()
    >>> steps = [stream(step) for step in sequence[0]]
    >>> np.array_equal(whole[0], steps)
    True
    """

    __slots__ = ("_dtype", "_names", "_parts")

    _parts: tuple[StreamPart, ...]
    _names: tuple[str, ...]
    _dtype: np.dtype[Any]

    @classmethod
    def over(
        cls, parts: Sequence[StreamPart], features: int, streams: int = 1, dtype: str = "float32"
    ) -> Stream:
        """A stream that runs `parts`, from zero states."""
        if isinstance(streams, bool) or not isinstance(streams, int | np.integer) or streams < 1:
            raise ValueError(f"`streams` must be a positive integer, received {streams!r}")
        layers = [part.layer for part in parts]
        stream = cls(layers, features, int(streams), dtype == "float64")
        stream._parts = tuple(parts)
        stream._names = tuple(name for part in parts for name in part.states)
        stream._dtype = np.dtype(dtype)
        return stream

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of states and outputs; inputs are cast to it."""
        return self._dtype

    @property
    def state(self) -> dict[str, Array]:
        """The states: a copy, `[streams, units]` each, under "layer/h" and, for LSTM, "layer/c".

        Whatever is a mapping of these names can be assigned, what `numpy.load` gives included:

        >>> from ferrnn.layers import LSTM
        >>> layer = LSTM(2, name="memory")
        >>> layer.build((None, None, 1))
        >>> stream = layer.stream()
        >>> before = stream.state
        >>> sorted(before)
        ['memory/c', 'memory/h']
        >>> first = stream([1.0])
        >>> stream.state = before
        >>> np.array_equal(first, stream([1.0]))
        True
        """
        return dict(zip(self._names, self._read_states(), strict=True))

    @state.setter
    def state(self, value: Mapping[str, Any]) -> None:
        if not isinstance(value, Mapping):
            raise TypeError(
                f"`state` must be a mapping of the names {list(self._names)} to arrays, received "
                f"{type(value).__name__}"
            )
        if set(value) != set(self._names):
            raise ValueError(
                f"`state` must hold the names {list(self._names)}, received {sorted(value)}"
            )
        shapes = [array.shape for array in self._read_states()]
        arrays = [
            self._checked(name, value[name], shape)
            for name, shape in zip(self._names, shapes, strict=True)
        ]
        self._write_states(arrays)

    def _checked(self, name: str, value: Any, shape: tuple[int, ...]) -> Array:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"`state[{name!r}]` must hold real numbers, received the dtype {array.dtype}"
            )
        if array.shape != shape:
            raise ValueError(
                f"`state[{name!r}]` must have the shape [streams, units] = {shape}, received "
                f"{array.shape}"
            )
        return array.astype(self._dtype, copy=False)

    def reset(self, rows: Any = None) -> None:
        """Sets the states to zero: of all streams, or of `rows` (numbers, a slice or a mask).

        >>> from ferrnn.layers import SimpleRNN
        >>> layer = SimpleRNN(1, use_bias=False, name="sum")
        >>> layer.build((None, None, 1))
        >>> stream = layer.stream(streams=3)
        >>> _ = stream([[1.0], [1.0], [1.0]])
        >>> stream.reset([0, 2])
        >>> (stream.state["sum/h"] != 0).tolist()
        [[False], [True], [False]]
        """
        if rows is None:
            self._reset()
            return
        chosen = list(rows) if isinstance(rows, tuple) else rows
        try:
            numbers = np.arange(self.streams)[chosen]
        except IndexError as error:
            raise IndexError(
                f"`rows` must be numbers below {self.streams}, a slice, or a mask of "
                f"{self.streams} booleans, received {rows!r}"
            ) from error
        self._reset(np.ravel(numbers).tolist())

    def copy(self) -> Stream:
        """A stream of the same layers, from this one's states, that goes its own way."""
        other = Stream.over(self._parts, self.features, self.streams, self._dtype.name)
        other._write_states(self._read_states())
        return other

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Stream:
        return self.copy()

    def __reduce__(self) -> Any:
        raise TypeError(
            "a stream cannot be pickled, its weights are packed for this machine: pickle "
            "`stream.state`, and assign it to a stream of the same model"
        )

    def __repr__(self) -> str:
        taken = f"features={self.features}" if self.ids is None else f"ids={self.ids}"
        return f"<Stream streams={self.streams}, {taken}, units={self.units}, dtype={self._dtype}>"


def cell_parts(name: str, cell: Any) -> list[StreamPart]:
    """The parts of a cell, or of a stack of them; their states are called after `name`."""
    if type(cell) is StackedRNNCells:
        numbered = enumerate(cell.cells)
        return [part for n, inner in numbered for part in cell_parts(f"{name}/{n}", inner)]
    if not supports(cell):
        raise TypeError(
            f"layer {name!r} cannot run in a stream: the engine does not know its cell "
            f"{type(cell).__name__}{_activations(cell)}; built-in cells with native activations "
            "can, others run whole sequences"
        )
    count = len(cell.state_size) if isinstance(cell.state_size, list | tuple) else 1
    return [
        StreamPart(packed_weights(cell, exact=False), tuple(f"{name}/{s}" for s in "hc"[:count]))
    ]


def _activations(cell: Any) -> str:
    """The activations of a built-in cell, in words."""
    found = [getattr(cell, which, None) for which in ("activation", "recurrent_activation")]
    names = [getattr(function, "__name__", repr(function)) for function in found if function]
    return f" with {' and '.join(names)}" if names else ""
