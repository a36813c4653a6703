"""Windows of a long series, as batches: views of the series, not copies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ferrnn._src.data.dataset import Dataset
from ferrnn._src.tree.results import Output
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.random import SeedGenerator


class Windows(Dataset):
    """Batches of windows `[batch, sequence_length, ...]`, or pairs with targets `[batch, ...]`.

    The windows are strided views of the series, which share its memory and are not to be written
    to; shuffled ones are copies. `batch_size` None gives one window after the other.

    >>> windows = Windows(np.arange(6.0), None, sequence_length=3, batch_size=2)
    >>> [batch.tolist() for batch in windows]
    [[[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[2.0, 3.0, 4.0], [3.0, 4.0, 5.0]]]
    """

    def __init__(
        self,
        data: Array,
        targets: Array | None,
        *,
        sequence_length: int,
        sequence_stride: int = 1,
        sampling_rate: int = 1,
        batch_size: int | None = 128,
        shuffle: bool = False,
        seed: int | None = None,
    ) -> None:
        span = (sequence_length - 1) * sampling_rate + 1
        count = max(len(data) - span + 1, 0)
        if targets is not None:
            count = min(count, len(targets))
        self.batch_size = batch_size
        self.sequence_stride = sequence_stride
        self.count = math.ceil(count / sequence_stride)
        self._windows = _windows(data, span)[:count:sequence_stride, ::sampling_rate]
        self._targets = None if targets is None else targets[:count:sequence_stride]
        self._seeds = SeedGenerator(seed) if shuffle else None

    def __len__(self) -> int:
        return math.ceil(self.count / (self.batch_size or 1))

    def __iter__(self) -> Iterator[Any]:
        order = None
        if self._seeds is not None:
            order = self._seeds.generator().permutation(self.count)
        size = self.batch_size or 1
        for start in range(0, self.count, size):
            index = slice(start, start + size) if order is None else order[start : start + size]
            batch = self._windows[index].view(Output)
            if self._targets is None:
                yield batch if self.batch_size else batch[0]
            else:
                of_batch = self._targets[index].view(Output)
                yield (batch, of_batch) if self.batch_size else (batch[0], of_batch[0])


def _windows(data: Array, span: int) -> Array:
    """All windows of `span` steps, `[windows, span, ...]`, as a view."""
    if len(data) < span:
        return np.empty((0, span, *data.shape[1:]), data.dtype)
    return np.moveaxis(sliding_window_view(data, span, axis=0), -1, 1)


def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: str = "tf",  # noqa: A002 - Keras' name
) -> Windows:
    """Windows of a series `data` `[time, ...]` as batches that `fit` takes.

    Window `i` has the steps `i, i + sampling_rate, ...` of `data[start_index:end_index]`, and its
    target is `targets[start_index + i]`; with `targets` None there are only windows. Windows start
    `sequence_stride` steps apart. `format` is "tf" or "grain", for Keras' sake.

    To predict the step after the window, shift: `targets = data[sequence_length:]`.

    >>> series = np.arange(10.0)[:, None]
    >>> dataset = timeseries_dataset_from_array(series, series[3:], 3, batch_size=4)
    >>> for inputs, targets in dataset.take(1):
    ...     inputs.shape, inputs[0, :, 0].tolist(), targets[0].tolist()
    ((4, 3, 1), [0.0, 1.0, 2.0], [3.0])
    """
    series, goals = np.asarray(data), None if targets is None else np.asarray(targets)
    for name, value in (("data", series), ("targets", goals)):
        if value is not None and (value.ndim == 0 or value.dtype.kind not in "fiub"):
            raise ValueError(
                f"`{name}` must be an array of numbers with a first axis of time, received the "
                f"shape {value.shape} and the dtype {value.dtype}"
            )
    _check_range(len(series), start_index, end_index)
    for name, step in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        if step <= 0:
            raise ValueError(f"`{name}` must be higher than 0. Received: {name}={step}")
        if step >= len(series):
            raise ValueError(
                f"`{name}` must be lower than the length of the data. Received: {name}={step}, "
                f"for data of length {len(series)}"
            )
    for name, size in (("sequence_length", sequence_length), ("batch_size", batch_size)):
        if size is not None and size < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={size}")
    if format not in ("tf", "grain"):
        raise ValueError(f'`format` should be either "tf" or "grain". Received: format={format}')
    start = start_index or 0
    end = len(series) if end_index is None else end_index
    return Windows(
        series[start:end],
        None if goals is None else goals[start:],
        sequence_length=sequence_length,
        sequence_stride=sequence_stride,
        sampling_rate=sampling_rate,
        batch_size=batch_size,
        shuffle=shuffle,
        seed=seed,
    )


def _check_range(length: int, start: int | None, end: int | None) -> None:
    if start is not None and start < 0:
        raise ValueError(f"`start_index` must be 0 or greater. Received: start_index={start}")
    if start is not None and start >= length:
        raise ValueError(
            "`start_index` must be lower than the length of the data. Received: "
            f"start_index={start}, for data of length {length}"
        )
    if end is None:
        return
    if end <= 0:
        raise ValueError(f"`end_index` must be higher than 0. Received: end_index={end}")
    if start and end <= start:
        raise ValueError(
            f"`end_index` must be higher than `start_index`. Received: start_index={start}, and "
            f"end_index={end} "
        )
    if end > length:
        raise ValueError(
            "`end_index` must be at most the length of the data. Received: "
            f"end_index={end}, for data of length {length}"
        )


class TimeseriesGenerator:
    """Batches of windows and of the targets right after them, by number (of Keras 2).

    A sample is `data[row - length : row : sampling_rate]` with the target `targets[row]`, for the
    rows from `start_index + length` to `end_index` in steps of `stride`. `shuffle` draws rows at
    random instead; `reverse` reverses time.

    >>> series = np.arange(6.0)
    >>> generator = TimeseriesGenerator(series, series, length=2, batch_size=3)
    >>> len(generator), generator[0][0].tolist(), generator[0][1].tolist()
    (2, [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]], [2.0, 3.0, 4.0])
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        length: int,
        sampling_rate: int = 1,
        stride: int = 1,
        start_index: int = 0,
        end_index: int | None = None,
        shuffle: bool = False,
        reverse: bool = False,
        batch_size: int = 128,
    ) -> None:
        if len(data) != len(targets):
            raise ValueError(
                "Data and targets have to be of same length. "
                f"Data length is {len(data)} while target length is {len(targets)}"
            )
        self.data = data
        self.targets = targets
        self.length = length
        self.sampling_rate = sampling_rate
        self.stride = stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle = shuffle
        self.reverse = reverse
        self.batch_size = batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"`start_index+length={self.start_index} > end_index={self.end_index}` is "
                "disallowed, as no part of the sequence would be left to be used as current step."
            )
        self._windows = _windows(np.asarray(data), length)[:, ::sampling_rate]
        self._rows = np.asarray(targets)
        self._seeds = SeedGenerator() if shuffle else None

    def __len__(self) -> int:
        step = self.batch_size * self.stride
        return (self.end_index - self.start_index + step) // step

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no batch {index}: the generator has {len(self)} batches")
        if self._seeds is not None:
            random = self._seeds.generator()
            rows = random.integers(self.start_index, self.end_index + 1, self.batch_size)
        else:
            step = self.batch_size * self.stride
            first = self.start_index + step * (index % len(self))
            rows = np.arange(first, min(first + step, self.end_index + 1), self.stride)
        samples = self._windows[rows - self.length]
        return samples[:, ::-1] if self.reverse else samples, self._rows[rows]

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        return (self[index] for index in range(len(self)))

    def get_config(self) -> dict[str, Any]:
        """The arguments, data included, as plain values."""
        return {
            "data": np.asarray(self.data).tolist(),
            "targets": np.asarray(self.targets).tolist(),
            "length": self.length,
            "sampling_rate": self.sampling_rate,
            "stride": self.stride,
            "start_index": self.start_index - self.length,
            "end_index": self.end_index,
            "shuffle": self.shuffle,
            "reverse": self.reverse,
            "batch_size": self.batch_size,
        }
