"""Layers that take one step per call, in the engine, and keep their states between calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferrnn import _core
from ferrnn._core import DenseWeights, EmbeddingWeights, NormalizationWeights, Weights
from ferrnn._src.cells.stacked import StackedRNNCells
from ferrnn._src.sequence.fused import packed_weights, supports
from ferrnn._src.sequence.states import same_layers, state_bytes, state_of_bytes
from ferrnn._src.tree.types import Array


@dataclass(frozen=True, slots=True)
class StreamPart:
    """A layer, or a part of one, in the form that the engine takes, with the names of its states.

    That form is packed weights, the name of an activation, or a tuple of a name and settings: see
    the binding. `shapes` has the shape of a row of each state, if it is not `[units]`.
    """

    layer: Weights | DenseWeights | EmbeddingWeights | NormalizationWeights | str | tuple[Any, ...]
    states: tuple[str, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()


class Stream(_core.Stream):
    """The layers of a model, or one recurrent layer, one time step per call.

    Made by `model.stream(streams=1)` or `layer.stream(streams=1)`. `stream(inputs)` takes
    `[features]` (if there is one stream) or `[streams, features]`, advances every layer by one step
    and returns `[units]` or `[streams, units]`; with `out=` it writes there and returns `out`. If
    the first layer is an Embedding, it takes one id (of one stream) or `[streams]` ids. Each stream
    is a separate sequence. The outputs have the bits that the model gives for the whole sequence.
    The weights are those at the time the stream was made.

    >>> from ferrnn.layers import GRU
    >>> layer = GRU(4, return_sequences=True)
    >>> sequence = np.random.default_rng(1).normal(size=(1, 5, 3)).astype("float32")
    >>> whole = layer(sequence)
    >>> stream = layer.stream()
    >>> steps = [stream(step) for step in sequence[0]]
    >>> np.array_equal(whole[0], steps)
    True
    """

    __slots__ = ("_dtype", "_names", "_parts", "_shapes", "_warmup")

    _parts: tuple[StreamPart, ...]
    _names: tuple[str, ...]
    _shapes: tuple[tuple[int, ...] | None, ...]
    _warmup: int
    _dtype: np.dtype[Any]

    @classmethod
    def over(
        cls,
        parts: Sequence[StreamPart],
        features: int,
        streams: int = 1,
        dtype: str = "float32",
        warmup: int = 0,
    ) -> Stream:
        """A stream that runs `parts` from zero states; its first `warmup` outputs are NaN."""
        if isinstance(streams, bool) or not isinstance(streams, int | np.integer) or streams < 1:
            raise ValueError(f"`streams` must be a positive integer, received {streams!r}")
        layers = [part.layer for part in parts]
        stream = cls(layers, features, int(streams), dtype == "float64")
        stream._parts = tuple(parts)
        stream._names = tuple(name for part in parts for name in part.states)
        stream._shapes = tuple(shape for part in parts for shape in _state_shapes(part))
        stream._dtype = np.dtype(dtype)
        stream._warmup = warmup
        return stream

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of states and outputs; inputs are cast to it."""
        return self._dtype

    @property
    def warmup(self) -> int:
        """How many steps come before a row's first outputs, which are NaN until then.

        It is zero but for convolutions with `padding="valid"`, whose first window must be full.

        >>> import ferrnn
        >>> layers = [ferrnn.Input((None, 2)), ferrnn.layers.Conv1D(1, 3)]
        >>> stream = ferrnn.Sequential(layers).stream()
        >>> stream.warmup, [bool(np.isnan(stream([1.0, 2.0]))) for step in range(4)]
        (2, [True, True, False, False])
        """
        return self._warmup

    @property
    def state(self) -> dict[str, Array]:
        """The states: a copy, `[streams, units]` each, under "layer/h" and, for LSTM, "layer/c".

        Convolutions have "layer/past" `[streams, steps, features]`, the steps that their windows
        still reach; with `padding="valid"` also "layer/seen", how many of them there have been. A
        ConvLSTM has h and c `[streams, *places, filters]`.

        Any mapping with these names can be assigned, including what `numpy.load` returns:

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
        return dict(zip(self._names, self._states(), strict=True))

    @state.setter
    def state(self, value: Mapping[str, Any]) -> None:
        if not isinstance(value, Mapping):
            raise TypeError(
                f"`state` must be a mapping of the names {list(self._names)} to arrays, received "
                f"{type(value).__name__}"
            )
        if set(value) != set(self._names):
            raise ValueError(
                f"`state` must have the names {list(self._names)}, received {sorted(value)}"
            )
        shapes = [array.shape for array in self._states()]
        arrays = [
            self._checked(name, value[name], shape).reshape(self.streams, -1)
            for name, shape in zip(self._names, shapes, strict=True)
        ]
        self._write_states(arrays)

    def get_state(self) -> dict[str, Array]:
        """`state`, as a method."""
        return self.state

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Assigns `state`."""
        self.state = state

    def state_to_bytes(self) -> bytes:
        """The states as bytes with a version and checksums, for `state_from_bytes`.

        They may be kept in a file or a database, and restored in another process.

        >>> from ferrnn.layers import GRU
        >>> layer = GRU(2, name="memory")
        >>> layer.build((None, None, 1))
        >>> stream, other = layer.stream(), layer.stream()
        >>> _ = stream([1.0])
        >>> other.state_from_bytes(stream.state_to_bytes())
        >>> np.array_equal(stream([2.0]), other([2.0]))
        True
        """
        return state_bytes(self.state)

    def state_from_bytes(self, data: bytes) -> None:
        """Restores what `state_to_bytes` of a stream of the same layers and rows returned.

        Raises:
            ValueError: The bytes are damaged, of another version or of another model; the stream
                is as before.
        """
        state = state_of_bytes(data)
        same_layers(state, {name: each.shape[1:] for name, each in self.state.items()})
        self.state = state

    def add_rows(self, count: int = 1, state: Mapping[str, Any] | None = None) -> None:
        """Adds rows at the end, from zero states or from `state` `[count, units]`; others continue.

        >>> from ferrnn.layers import GRU
        >>> layer = GRU(2, name="memory")
        >>> layer.build((None, None, 1))
        >>> stream = layer.stream(2)
        >>> first = stream([[1.0], [2.0]])
        >>> stream.add_rows(3)
        >>> stream.drop_rows([0])
        >>> stream.streams, np.array_equal(stream.state["memory/h"][0], first[1])
        (4, True)
        """
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
            raise ValueError(f"`count` must be a positive integer, received {count!r}")
        before, added = self.state, {}
        if state is not None:
            same_layers(state, {name: each.shape[1:] for name, each in before.items()})
        for name, array in before.items():
            shape = (int(count), *array.shape[1:])
            new = np.zeros(shape) if state is None else state[name]
            added[name] = self._checked(name, new, shape)
        self._become({name: np.concatenate([before[name], added[name]]) for name in before})

    def drop_rows(self, rows: Any) -> None:
        """Drops rows (indices, a slice or a mask); later rows move up, and one row must remain."""
        dropped = self._numbers(rows)
        kept = np.setdiff1d(np.arange(self.streams), dropped)
        if not len(kept):
            raise ValueError(f"`rows` must leave at least one row, received all {self.streams}")
        self._become({name: array[kept] for name, array in self.state.items()}, len(kept))

    def _become(self, state: dict[str, Array], rows: int | None = None) -> None:
        """Replaces the states by ones with another number of rows."""
        found = next(iter(state.values()), None)
        count = len(found) if found is not None else rows or self.streams
        self._resize([part.layer for part in self._parts], count)
        self.state = state

    def _states(self) -> list[Array]:
        """The states in their public shapes."""
        return [
            array if shape is None else array.reshape(self.streams, *shape)
            for array, shape in zip(self._read_states(), self._shapes, strict=True)
        ]

    def _checked(self, name: str, value: Any, shape: tuple[int, ...]) -> Array:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"`state[{name!r}]` must hold real numbers, received the dtype {array.dtype}"
            )
        if array.shape != shape:
            raise ValueError(
                f"`state[{name!r}]` must have the shape "
                f"{'[streams, units] = ' if len(shape) == 2 else ''}{shape}, received {array.shape}"
            )
        return array.astype(self._dtype, copy=False)

    def reset(self, rows: Any = None) -> None:
        """Sets the states to zero: of all streams, or of `rows` (indices, a slice or a mask).

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
        self._reset(self._numbers(rows).tolist())

    def _numbers(self, rows: Any) -> Array:
        """The indices of rows that are given as indices, a slice or a mask."""
        chosen = list(rows) if isinstance(rows, tuple) else rows
        try:
            return np.ravel(np.arange(self.streams)[chosen])
        except IndexError as error:
            raise IndexError(
                f"`rows` must be indices below {self.streams}, a slice, or a mask of "
                f"{self.streams} booleans, received {rows!r}"
            ) from error

    def copy(self) -> Stream:
        """An independent stream of the same layers, from this one's states."""
        other = self._again(self.streams)
        other._write_states(self._read_states())
        return other

    def rows_of(self, streams: int) -> Stream:
        """A stream of the same layers with another number of rows, from zero states."""
        return self._again(streams)

    def _again(self, streams: int) -> Stream:
        return Stream.over(self._parts, self.features, streams, self._dtype.name, self._warmup)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Stream:
        return self.copy()

    def __reduce__(self) -> Any:
        raise TypeError(
            "a stream cannot be pickled, as its weights are packed for this machine: pickle "
            "`stream.state`, and assign it to a stream of the same model"
        )

    def __repr__(self) -> str:
        taken = f"features={self.features}" if self.ids is None else f"ids={self.ids}"
        return f"<Stream streams={self.streams}, {taken}, units={self.units}, dtype={self._dtype}>"


def _state_shapes(part: StreamPart) -> Sequence[tuple[int, ...] | None]:
    return part.shapes or (None,) * len(part.states)


class FrameStream(Stream):
    """The layers of a model of frames, one time step a call: inputs or outputs have several axes.

    `stream(inputs)` takes `[*shape]` (if there is one stream) or `[streams, *shape]`, with the
    shape of a step in the model, and gives the outputs of the step. See `Stream` for all the rest.

    >>> import ferrnn
    >>> layers = [ferrnn.Input((None, 6, 5, 1)), ferrnn.layers.ConvLSTM2D(2, 3)]
    >>> stream = ferrnn.Sequential(layers).stream()
    >>> stream(np.zeros((6, 5, 1))).shape
    (4, 3, 2)
    """

    __slots__ = ("_given", "_taken")

    _taken: tuple[int, ...]
    _given: tuple[int, ...]

    @classmethod
    def of_frames(
        cls,
        parts: Sequence[StreamPart],
        ends: tuple[tuple[int, ...], tuple[int, ...]],
        streams: int,
        dtype: str,
        warmup: int,
    ) -> FrameStream:
        """A stream that runs `parts`, for the given shapes of a step of its inputs and outputs."""
        taken, given = ends
        features = int(np.prod(taken, dtype=np.int64))
        stream = cls.over(parts, features, streams, dtype, warmup)
        assert isinstance(stream, FrameStream)
        stream._taken, stream._given = taken, given
        return stream

    def __call__(self, inputs: Any, out: Array | None = None) -> Array:
        """One step of every layer."""
        array = np.asarray(inputs)
        if self.ids is not None:
            rows, single = array, array.ndim == 0
        else:
            single = self.streams == 1 and array.shape == self._taken
            if not single and array.shape != (self.streams, *self._taken):
                raise ValueError(
                    f"`inputs`: expected the shape {(self.streams, *self._taken)}, received "
                    f"{array.shape}"
                )
            rows = array.reshape(-1) if single else array.reshape(self.streams, -1)
        shape = self._given if single else (self.streams, *self._given)
        if out is None:
            return super().__call__(rows).reshape(shape)
        if not isinstance(out, np.ndarray):
            raise TypeError(f"`out`: expected a NumPy array, received {type(out).__name__}")
        if out.shape != shape or not out.flags.c_contiguous:
            raise ValueError(
                f"`out`: expected a C-contiguous array of the shape {shape}, received the shape "
                f"{out.shape}"
            )
        super().__call__(rows, out.reshape(-1) if single else out.reshape(self.streams, -1))
        return out

    def _again(self, streams: int) -> Stream:
        ends = (self._taken, self._given)
        return FrameStream.of_frames(self._parts, ends, streams, self._dtype.name, self._warmup)

    def __repr__(self) -> str:
        return (
            f"<Stream streams={self.streams}, inputs={self._taken}, outputs={self._given}, "
            f"dtype={self._dtype}>"
        )


def cell_parts(name: str, cell: Any) -> list[StreamPart]:
    """The parts of a cell, or of a stack of cells; the names of their states begin with `name`."""
    if type(cell) is StackedRNNCells:
        numbered = enumerate(cell.cells)
        return [part for n, inner in numbered for part in cell_parts(f"{name}/{n}", inner)]
    if not supports(cell):
        raise TypeError(
            f"layer {name!r} cannot run in a stream: the engine does not have its cell "
            f"{type(cell).__name__}{_activations(cell)}, only built-in cells with native "
            "activations; call the layer on whole sequences instead"
        )
    count = len(cell.state_size) if isinstance(cell.state_size, list | tuple) else 1
    return [
        StreamPart(packed_weights(cell, exact=False), tuple(f"{name}/{s}" for s in "hc"[:count]))
    ]


def _activations(cell: Any) -> str:
    """The activations of a built-in cell, for the message."""
    found = [getattr(cell, which, None) for which in ("activation", "recurrent_activation")]
    names = [getattr(function, "__name__", repr(function)) for function in found if function]
    return f" with {' and '.join(names)}" if names else ""
