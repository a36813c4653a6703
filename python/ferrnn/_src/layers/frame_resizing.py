"""Zero padding, cropping and upsampling of frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferrnn._src.convolution.geometry import (
    channels_last,
    given_order,
    inside,
    padded,
    places_of,
    shape_of,
)
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.checks import checked_data_format, checked_rank, tuple_of
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients

Pairs = tuple[tuple[int, ...], ...]


class _OfFrames(Layer):
    """A layer that changes the height and width of frames."""

    supports_masking = False

    def __init__(self, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)
        self.built = True

    def _ordered(self, inputs: Array) -> Array:
        checked_rank(self.name, inputs.shape, 4)
        return channels_last(inputs, self.data_format)

    def _lengths(self, lengths: Sequence[int], shape: Any) -> tuple[int, ...]:
        """Height and width of the outputs."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, 4)
        lengths = places_of(input_shape, self.data_format)
        found = self._lengths([1 << 30 if each is None else each for each in lengths], input_shape)
        pairs = zip(lengths, found, strict=True)
        known = tuple(None if length is None else each for length, each in pairs)
        features = input_shape[-1 if self.data_format == "channels_last" else 1]
        return shape_of(input_shape[0], known, features, self.data_format)


class ZeroPadding2D(_OfFrames):
    """Adds places of zeros around frames `[batch, height, width, features]`.

    `padding` is one number for all sides, one for each axis, or two for each axis.

    >>> ZeroPadding2D(((1, 0), (2, 3)))(np.ones((1, 4, 5, 2))).shape
    (1, 5, 10, 2)
    """

    def __init__(
        self,
        padding: int | Sequence[Any] = (1, 1),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.padding = _pairs(padding, "padding")

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs with more places and their vjp."""
        ordered = self._ordered(inputs)
        ends: Any = self.padding
        kept = inside(ends, ordered.shape)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            return given_order(self._ordered(d_outputs)[kept], self.data_format)

        return given_order(padded(ordered, ends), self.data_format), vjp

    def _lengths(self, lengths: Sequence[int], shape: Any) -> tuple[int, ...]:
        pairs = zip(lengths, self.padding, strict=True)
        return tuple(length + sum(ends) for length, ends in pairs)

    def get_config(self) -> dict[str, Any]:
        config = {"padding": self.padding, "data_format": self.data_format}
        return {**super().get_config(), **config}


class Cropping2D(_OfFrames):
    """Removes places around frames `[batch, height, width, features]`.

    `cropping` is one number for all sides, one for each axis, or two for each axis.

    >>> Cropping2D(((1, 0), (2, 1)))(np.ones((1, 4, 5, 2))).shape
    (1, 3, 2, 2)
    """

    def __init__(
        self,
        cropping: int | Sequence[Any] = ((0, 0), (0, 0)),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.cropping = _pairs(cropping, "cropping")

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs with fewer places and their vjp."""
        ordered = self._ordered(inputs)
        found = self._lengths(ordered.shape[1:-1], inputs.shape)
        ends: Any = self.cropping
        kept = inside(ends, (0, *found, 0))

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_ordered = np.zeros(ordered.shape, d_outputs.dtype)
            d_ordered[kept] = self._ordered(d_outputs)
            return given_order(d_ordered, self.data_format)

        return given_order(ordered[kept], self.data_format), vjp

    def _lengths(self, lengths: Sequence[int], shape: Any) -> tuple[int, ...]:
        pairs = zip(lengths, self.cropping, strict=True)
        found = tuple(length - sum(ends) for length, ends in pairs)
        if min(found) <= 0:
            raise ValueError(
                "Values in `cropping` argument should be smaller than the corresponding spatial "
                f"dimension of the input. Received: input_shape={tuple(shape)}, cropping="
                f"{self.cropping} (in layer {self.name!r})"
            )
        return found

    def get_config(self) -> dict[str, Any]:
        config = {"cropping": self.cropping, "data_format": self.data_format}
        return {**super().get_config(), **config}


class UpSampling2D(_OfFrames):
    """Enlarges frames `[batch, height, width, features]` `size` times along each axis.

    `interpolation` is "nearest" (places are repeated), "bilinear", "bicubic", "lanczos3" or
    "lanczos5".

    >>> UpSampling2D((1, 2))(np.array([[[[1.0], [2.0]]]])).ravel().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format, **kwargs)
        self.size = tuple_of(size, 2, "size")
        self.interpolation = str(interpolation).lower()
        if self.interpolation != "nearest" and self.interpolation not in _CURVES:
            raise ValueError(
                f"`interpolation` must be one of {('nearest', *_CURVES)}. Received: "
                f"interpolation={interpolation!r}"
            )

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs with more places and their vjp."""
        ordered = self._ordered(inputs)
        if self.interpolation == "nearest":
            return self._repeated(ordered)
        height, width = ordered.shape[1:3]
        of_rows = mixture(height, self.size[0], self.interpolation).astype(ordered.dtype)
        of_columns = mixture(width, self.size[1], self.interpolation).astype(ordered.dtype)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_ordered = _mixed(self._ordered(d_outputs), of_rows.T, of_columns.T)
            return given_order(d_ordered, self.data_format)

        return given_order(_mixed(ordered, of_rows, of_columns), self.data_format), vjp

    def _repeated(self, ordered: Array) -> tuple[Array, Vjp]:
        rows, columns = self.size
        batch, height, width, features = ordered.shape
        repeated = np.repeat(np.repeat(ordered, rows, axis=1), columns, axis=2)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            shape = (batch, height, rows, width, columns, features)
            d_ordered: Array = self._ordered(d_outputs).reshape(shape).sum(axis=(2, 4))
            return given_order(d_ordered, self.data_format)

        return given_order(repeated, self.data_format), vjp

    def _lengths(self, lengths: Sequence[int], shape: Any) -> tuple[int, ...]:
        return tuple(length * size for length, size in zip(lengths, self.size, strict=True))

    def get_config(self) -> dict[str, Any]:
        config = {
            "size": self.size,
            "data_format": self.data_format,
            "interpolation": self.interpolation,
        }
        return {**super().get_config(), **config}


def _pairs(value: Any, argument: str) -> Pairs:
    """Two numbers for each of two axes."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"`{argument}` cannot be negative. Received: {argument}={value}.")
        return ((int(value),) * 2,) * 2
    if not isinstance(value, list | tuple):
        raise ValueError(  # noqa: TRY004 - Keras' error
            f"`{argument}` should be either an int, a tuple of 2 ints, or a tuple of 2 tuples of 2 "
            f"ints ((top, bottom), (left, right)). Received: {argument}={value!r}."
        )
    if len(value) != 2:
        raise ValueError(f"`{argument}` should have two elements. Received: {argument}={value!r}.")
    names = ("1st", "2nd")
    pairs = zip(value, names, strict=True)
    return tuple(tuple_of(each, 2, f"{name} entry of {argument}", least=0) for each, name in pairs)


def _cubic(x: Array) -> Array:
    """Keys' cubic curve with a = -0.5."""
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def _lanczos(radius: int) -> Callable[[Array], Array]:
    def curve(x: Array) -> Array:
        return np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0)

    return curve


_CURVES: dict[str, Callable[[Array], Array]] = {
    "bilinear": lambda x: np.maximum(0, 1 - x),
    "bicubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}


def mixture(length: int, size: int, interpolation: str) -> Array:
    """`[length * size, length]`: the weight of each place in each place of the outputs."""
    at = (np.arange(length * size) + 0.5) / size - 0.5
    shares = _CURVES[interpolation](np.abs(at[:, None] - np.arange(length)))
    sums = shares.sum(axis=1, keepdims=True)
    mixture: Array = shares / np.where(np.abs(sums) > 1000 * math.ulp(1.0), sums, 1)
    return mixture


def _mixed(frames: Array, of_rows: Array, of_columns: Array) -> Array:
    tall = np.tensordot(of_rows, frames, (1, 1))  # [rows, batch, width, features]
    wide = np.tensordot(of_columns, tall, (1, 2))  # [columns, rows, batch, features]
    return np.ascontiguousarray(wide.transpose(2, 1, 0, 3))
