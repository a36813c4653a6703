"""Results of eager calls: arrays and numbers that also have TensorFlow's `numpy()`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array


class Output(np.ndarray):
    """An array with `numpy()`, for code written for another backend of Keras.

    >>> result = as_output(np.array([1.0, 2.0]))
    >>> result, type(result.numpy()).__name__, (2 * result).numpy()
    (array([1., 2.]), 'ndarray', array([2., 4.]))
    """

    __slots__ = ()

    def numpy(self) -> Array:
        """The plain array."""
        return self.view(np.ndarray)

    def __getitem__(self, index: Any) -> Any:
        return as_output(super().__getitem__(index))

    def __hash__(self) -> int:  # type: ignore[override]
        # An array of one number is hashable, as NumPy's scalars are.
        return hash(self.item() if self.ndim == 0 else self.view(np.ndarray))

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))

    def __round__(self, digits: int | None = None) -> Any:
        return round(self.item(), digits)

    def __reduce__(self) -> Any:
        return self.view(np.ndarray).__reduce__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.view(np.ndarray).__reduce_ex__(protocol)


class Number(float):
    """A float with the attributes of an array without axes.

    >>> value = Number(0.5)
    >>> value, f"{value:.2f}", float(value.numpy()), value.shape, value < 1
    (0.5, '0.50', 0.5, (), True)
    """

    __slots__ = ()
    shape: tuple[int, ...] = ()
    ndim, size = 0, 1
    dtype = np.dtype("float64")

    def numpy(self) -> Any:
        """A plain float."""
        return np.float64(self)

    def item(self) -> float:
        """A plain float."""
        return float(self)


def as_output(outputs: Any) -> Any:
    """Arrays, alone or in tuples, lists and dicts, as outputs; any other value unchanged.

    >>> as_output(([np.ones(1)], 2))[0][0].numpy()
    array([1.])
    """
    kind = type(outputs)
    if kind is np.ndarray:
        return outputs.view(Output)
    if kind is tuple or kind is list:
        return kind(map(as_output, outputs))
    if kind is dict:
        return {key: as_output(part) for key, part in outputs.items()}
    if hasattr(kind, "_fields"):
        return kind(*map(as_output, outputs))
    return np.asarray(outputs).view(Output) if isinstance(outputs, np.generic) else outputs


def plain_array(value: Any) -> Any:
    """The plain array of an output; any other value unchanged.

    >>> type(plain_array(as_output(np.ones(1)))).__name__
    'ndarray'
    """
    return value.view(np.ndarray) if type(value) is Output else value
