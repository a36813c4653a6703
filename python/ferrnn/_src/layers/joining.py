"""Layers that concatenate inputs, or multiply them along an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.config import epsilon as fuzz
from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layers.merge import Add, Average, Maximum, Merge, Minimum, Multiply, Subtract
from ferrnn._src.native import products
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients


class Concatenate(Merge):
    """Puts a list of inputs side by side along `axis`; their other lengths must be equal.

    >>> Concatenate()([np.zeros((2, 5, 3)), np.zeros((2, 5, 4))]).shape
    (2, 5, 7)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def forward(self, inputs: Any, call: Call) -> tuple[Array, Vjp | None]:
        """The joined array of a list or tuple of arrays, and the vjp."""
        arrays, shapes, shape = self._checked(inputs)
        outputs = np.concatenate(arrays, axis=self.axis)

        def vjp(d_outputs: Array, grads: Gradients) -> list[Array]:
            axis, start, d_arrays = self.axis % len(shape), 0, []
            before = (slice(None),) * axis
            for each in shapes:
                end = start + each[axis]
                at = (*before, slice(start, end))
                d_arrays.append(d_outputs[at])
                start = end
            return d_arrays

        return outputs, vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not isinstance(input_shape, list | tuple) or not input_shape:
            raise ValueError(
                "A `Concatenate` layer should be called on a list of at least 1 input. "
                f"Received: input_shape={input_shape} (in layer {self.name!r})"
            )
        # Batch sizes may differ if they are concatenated.
        shapes = self._shapes(input_shape) if self.axis else [tuple(each) for each in input_shape]
        rank = len(shapes[0])
        if any(len(shape) != rank for shape in shapes) or not -rank <= self.axis < rank:
            raise self._unequal(shapes)
        axis = self.axis % rank
        joined: list[int | None] = []
        for at, lengths in enumerate(zip(*shapes, strict=True)):
            if at == axis:
                joined.append(None if None in lengths else sum(lengths))
                continue
            known = set(lengths) - {None}
            if len(known) > 1:
                raise self._unequal(shapes)
            joined.append(lengths[0])
        return tuple(joined)

    def _unequal(self, shapes: Sequence[Any]) -> ValueError:
        return ValueError(
            "A `Concatenate` layer requires inputs with matching shapes except for the "
            f"concatenation axis. Received: input_shape={list(shapes)}, axis={self.axis} "
            f"(in layer {self.name!r})"
        )

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The masks concatenated if steps are; else True where any input is not masked."""
        if mask is None:
            return None
        self._check_count(inputs, mask)
        if all(each is None for each in mask):
            return None
        wide = []
        for array, each in zip(inputs, mask, strict=True):
            shape = np.shape(array)
            known = np.ones(shape, bool) if each is None else np.asarray(each, bool)
            wide.append(
                np.broadcast_to(known[..., None], shape) if known.ndim < len(shape) else known
            )
        return np.concatenate(wide, axis=self.axis).any(axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class _Rows:
    """Turns arrays of one shape into `[batch, rows, length of an axis]`, and back.

    >>> turned = _Rows(1, (2, 3, 4, 5))
    >>> turned.rows(np.ones((2, 3, 4, 5))).shape, turned.back(np.ones((2, 20, 3))).shape
    ((2, 20, 3), (2, 3, 4, 5))
    """

    __slots__ = ("_flat", "_moved", "_order", "_undone")

    def __init__(self, axis: int, shape: Any) -> None:
        axis %= len(shape)
        self._order = (*range(axis), *range(axis + 1, len(shape)), axis)
        self._undone = (*range(axis), len(shape) - 1, *range(axis, len(shape) - 1))
        self._moved = tuple(shape[each] for each in self._order)
        self._flat = (shape[0], math.prod(self._moved[1:-1]), shape[axis])

    def rows(self, array: Array) -> Array:
        """The array with the axis last and the other axes merged."""
        rows: Array = array.transpose(self._order).reshape(self._flat)
        return rows

    def back(self, rows: Array) -> Array:
        """The inverse of `rows`."""
        array: Array = rows.reshape(self._moved).transpose(self._undone)
        return array


class Dot(Merge):
    """The products of two inputs, summed along `axes`: one axis of each, the batch kept.

    `[batch, n, features]` and `[batch, m, features]` give `[batch, n, m]` with `axes=2`. With
    `normalize` the entries along the axes are divided by their norm first: cosines.

    >>> Dot(axes=-1)([np.ones((2, 5, 3)), np.ones((2, 4, 3))]).shape
    (2, 5, 4)
    """

    # The shapes checked last, and how each array becomes rows.
    _rows: tuple[Any, tuple[_Rows, ...]] | None = None

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int):
            if not isinstance(axes, list | tuple):
                raise TypeError(
                    "Invalid type for argument `axes`: it should be a list or an int. "
                    f"Received: axes={axes!r}"
                )
            if len(axes) != 2:
                raise ValueError(
                    "Invalid format for argument `axes`: it should contain two elements. "
                    f"Received: axes={axes}"
                )
            if not all(isinstance(axis, int) for axis in axes):
                raise ValueError(
                    "Invalid format for argument `axes`: list elements should be integers. "
                    f"Received: axes={axes}"
                )
        self.axes = axes
        self.normalize = bool(normalize)

    def forward(self, inputs: Any, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, rest of the first, rest of the second]` and their vjp."""
        arrays, shapes, shape = self._checked(inputs)
        if self._rows is None or self._rows[0] is not shapes:
            self._rows = shapes, tuple(map(_Rows, self._places(shapes), shapes))
        first, second = self._rows[1]
        one, two = first.rows(arrays[0]), second.rows(arrays[1])
        units = None
        if self.normalize:
            units = _unit(one), _unit(two)
            (one, _), (two, _) = units
        made = products(one, two, (False, True))

        def vjp(d_outputs: Array, grads: Gradients) -> list[Array]:
            d_made = d_outputs.reshape(made.shape)
            d_one, d_two = products(d_made, two), products(d_made, one, (True, False))
            if units is not None:
                d_one, d_two = _unit_backward(*units[0], d_one), _unit_backward(*units[1], d_two)
            return [first.back(d_one), second.back(d_two)]

        return made.reshape(shape), vjp

    def _places(self, shapes: Sequence[Sequence[int | None]]) -> tuple[int, int]:
        """The axis of each input that is summed along."""
        if len(shapes) != 2:
            raise ValueError(
                "A `Dot` layer should be called on exactly 2 inputs. "
                f"Received: input_shape={list(shapes)} (in layer {self.name!r})"
            )
        axes = [self.axes] * 2 if isinstance(self.axes, int) else list(self.axes)
        for axis, shape in zip(axes, shapes, strict=True):
            if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ValueError(
                    f"`axes` of layer {self.name!r} must name an axis of each input other than "
                    f"the batch, received axes={self.axes} for the shapes {list(shapes)}"
                )
        one, two = (axis % len(shape) for axis, shape in zip(axes, shapes, strict=True))
        lengths = shapes[0][one], shapes[1][two]
        if None not in lengths and lengths[0] != lengths[1]:
            raise ValueError(
                f"Incompatible input shapes: axis values {lengths[0]} (at axis {one}) != "
                f"{lengths[1]} (at axis {two}). Full input shapes: {shapes[0]}, {shapes[1]}"
            )
        return one, two

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self._shapes(input_shape)
        one, two = self._places(shapes)
        first, second = list(shapes[0]), list(shapes[1])
        del first[one], second[two]
        joined = (*first, *second[1:])
        return (*joined, 1) if len(joined) == 1 else joined

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """None, as products have no steps."""
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _unit(array: Array) -> tuple[Array, Array]:
    """The rows normalized to length 1, and their factors."""
    squares = np.add.reduce(np.square(array), axis=-1, keepdims=True)
    scale = np.reciprocal(np.sqrt(np.maximum(squares, fuzz() ** 2)))
    return array * scale, scale


def _unit_backward(unit: Array, scale: Array, d_unit: Array) -> Array:
    along = np.add.reduce(unit * d_unit, axis=-1, keepdims=True)
    # The factor of a row shorter than the fuzz factor is a constant.
    d_array: Array = scale * (d_unit - unit * along * (scale < 1 / fuzz()))
    return d_array


def add(inputs: Any, **kwargs: Any) -> Any:
    """The sum of the inputs: `Add(**kwargs)(inputs)`.

    >>> add([np.ones((1, 2)), np.ones((1, 2))]).tolist()
    [[2.0, 2.0]]
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """The first of two inputs minus the second: `Subtract(**kwargs)(inputs)`."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """The product of the inputs: `Multiply(**kwargs)(inputs)`."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """The mean of the inputs: `Average(**kwargs)(inputs)`."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """The largest of the inputs: `Maximum(**kwargs)(inputs)`."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """The smallest of the inputs: `Minimum(**kwargs)(inputs)`."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """The inputs side by side: `Concatenate(axis, **kwargs)(inputs)`."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """Products summed along axes: `Dot(axes, **kwargs)(inputs)`."""
    return Dot(axes=axes, **kwargs)(inputs)
