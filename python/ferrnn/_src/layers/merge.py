"""Layers that merge inputs element by element."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layer.masked import of_axes
from ferrnn._src.symbolic.shapes import is_shape
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients


class Merge(Layer):
    """The base of layers that take a list of inputs and give one array.

    Inputs of fewer axes get axes of length 1 after the batch; lengths of 1 are broadcast.
    """

    takes_several = True
    # The shapes checked last, and the shape that they are broadcast to.
    _known: tuple[list[tuple[int, ...]], tuple[int, ...]] | None = None

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)

    def forward(self, inputs: Any, call: Call) -> tuple[Array, Vjp | None]:
        """The merged array of a list or tuple of arrays, and the vjp."""
        arrays, shapes, shape = self._checked(inputs)
        parts = arrays
        if any(each != shape for each in shapes):
            parts = [_ranked(array, len(shape)) for array in arrays]
        masks = self._masks(call.mask, parts, len(shape))
        outputs, backward = self._merged(parts, masks, shape)

        def vjp(d_outputs: Array, grads: Gradients) -> list[Array]:
            pairs = zip(backward(d_outputs), shapes, strict=True)
            return [
                d_part if d_part.shape == each else summed_to(d_part, each)
                for d_part, each in pairs
            ]

        return outputs, vjp

    def _merged(
        self, parts: list[Array], masks: list[Mask | None], shape: tuple[int, ...]
    ) -> tuple[Array, Any]:
        """The outputs, and `backward(d_outputs)`, an array of their shape for each input."""
        raise NotImplementedError

    def _checked(self, inputs: Any) -> tuple[list[Array], list[tuple[int, ...]], tuple[int, ...]]:
        """The arrays, their shapes and that of the outputs, checked when the shapes change."""
        if not isinstance(inputs, list | tuple):
            raise ValueError(  # noqa: TRY004 - Keras' error
                "A merge layer should be called on a list of inputs. "
                f"Received: inputs={type(inputs).__name__} (not a list of tensors, in layer "
                f"{self.name!r})"
            )
        shapes = [array.shape for array in inputs]
        known = self._known
        if known is None or known[0] != shapes:
            known = shapes, self.compute_output_shape(shapes)
            self._known = known
        return list(inputs), *known

    def _masks(self, masks: Any, parts: list[Array], rank: int) -> list[Mask | None]:
        """The mask of each input, broadcastable to it, or None."""
        if masks is None:
            return [None] * len(parts)
        self._check_count(parts, masks)
        known: list[Mask | None] = []
        for part, mask in zip(parts, masks, strict=True):
            if mask is None:
                known.append(None)
            else:
                wide = of_axes(np.asarray(mask, bool), part.ndim - 1)[..., None]
                known.append(np.broadcast_to(_ranked(wide, rank), part.shape))
        return known

    def _check_count(self, inputs: Any, mask: Any) -> None:
        for what, given in (("mask", mask), ("inputs", inputs)):
            if not isinstance(given, list | tuple):
                raise ValueError(  # noqa: TRY004 - Keras' error
                    f"`{what}` should be a list. Received: {what} of the type "
                    f"{type(given).__name__} (in layer {self.name!r})"
                )
        if len(mask) != len(inputs):
            raise ValueError(
                "The lists `inputs` and `mask` should have the same length. Received: "
                f"{len(inputs)} inputs and {len(mask)} masks (in layer {self.name!r})"
            )

    def _shapes(self, input_shape: Any) -> list[tuple[int | None, ...]]:
        if not isinstance(input_shape, list | tuple) or is_shape(input_shape):
            raise ValueError(
                f"A merge layer should be called on a list of inputs. Received: input_shape="
                f"{input_shape} (not a list of shapes, in layer {self.name!r})"
            )
        shapes = [tuple(shape) for shape in input_shape]
        batches = {shape[0] for shape in shapes if shape} - {None}
        if len(batches) > 1:
            raise ValueError(
                "Cannot merge tensors with different batch sizes. "
                f"Received tensors with shapes {shapes} (in layer {self.name!r})"
            )
        return shapes

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = self._shapes(input_shape)
        rank = max(len(shape) for shape in shapes)
        rests = [(1,) * (rank - len(shape)) + shape[1:] for shape in shapes]
        batch = next((shape[0] for shape in shapes if shape and shape[0] is not None), None)
        return (batch, *(_broadcast(lengths, shapes) for lengths in zip(*rests, strict=True)))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True where any input is not masked; None if an input has no mask."""
        if mask is None:
            return None
        self._check_count(inputs, mask)
        if any(each is None for each in mask):
            return None
        axes = min(map(np.ndim, mask))
        return functools.reduce(np.logical_or, [of_axes(each, axes) for each in mask])


class Add(Merge):
    """The sum of the inputs, a list of arrays `[batch, ...]`.

    >>> Add()([np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 1))]).tolist()
    [[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]]
    """

    def _merged(
        self, parts: list[Array], masks: list[Mask | None], shape: tuple[int, ...]
    ) -> tuple[Array, Any]:
        return _total(parts), lambda d_outputs: [d_outputs] * len(parts)


class Subtract(Merge):
    """The first of two inputs minus the second.

    >>> Subtract()([np.ones((1, 2)), np.full((1, 2), 3.0)]).tolist()
    [[-2.0, -2.0]]
    """

    def _shapes(self, input_shape: Any) -> list[tuple[int | None, ...]]:
        shapes = super()._shapes(input_shape)
        if len(shapes) != 2:
            raise ValueError(
                f"A `Subtract` layer should be called on exactly 2 inputs. Received: {len(shapes)} "
                f"inputs of the shapes {shapes} (in layer {self.name!r})"
            )
        return shapes

    def _merged(
        self, parts: list[Array], masks: list[Mask | None], shape: tuple[int, ...]
    ) -> tuple[Array, Any]:
        return parts[0] - parts[1], lambda d_outputs: [d_outputs, -d_outputs]


class Multiply(Merge):
    """The product of the inputs; what a mask hides counts as 1, or as 0 where all hide it.

    >>> Multiply()([np.full((1, 2), 2.0), np.full((1, 2), 3.0)]).tolist()
    [[6.0, 6.0]]
    """

    def _merged(
        self, parts: list[Array], masks: list[Mask | None], shape: tuple[int, ...]
    ) -> tuple[Array, Any]:
        factors = [
            part if mask is None else np.where(mask, part, 1)
            for part, mask in zip(parts, masks, strict=True)
        ]
        shown: Any = None
        known = [mask for mask in masks if mask is not None]
        if len(known) == len(masks):
            shown = np.logical_or.reduce(np.broadcast_arrays(*known))
        product = _product(factors) if len(factors) > 1 else np.array(factors[0])

        def backward(d_outputs: Array) -> list[Array]:
            d_product = d_outputs if shown is None else np.where(shown, d_outputs, 0)
            d_parts = []
            for index, mask in enumerate(masks):
                others = [*factors[:index], *factors[index + 1 :]]
                d_part = d_product * _product(others) if others else d_product
                d_parts.append(d_part if mask is None else np.where(mask, d_part, 0))
            return d_parts

        return product if shown is None else np.where(shown, product, 0), backward


class Average(Merge):
    """The mean of the inputs.

    >>> Average()([np.full((1, 2), 2.0), np.full((1, 2), 3.0)]).tolist()
    [[2.5, 2.5]]
    """

    def _merged(
        self, parts: list[Array], masks: list[Mask | None], shape: tuple[int, ...]
    ) -> tuple[Array, Any]:
        count = len(parts)
        outputs = _total(parts)
        outputs /= count
        return outputs, lambda d_outputs: [d_outputs / count] * count


class Maximum(Merge):
    """The largest of the inputs; what a mask hides does not take part.

    Equal entries share the gradient.

    >>> Maximum()([np.array([[1.0, 5.0]]), np.array([[3.0, 2.0]])]).tolist()
    [[3.0, 5.0]]
    """

    larger = True

    def _merged(
        self, parts: list[Array], masks: list[Mask | None], shape: tuple[int, ...]
    ) -> tuple[Array, Any]:
        parts = [part if part.shape == shape else np.broadcast_to(part, shape) for part in parts]
        chosen, shown = parts[0], masks[0]
        steps = []
        for part, mask in zip(parts[1:], masks[1:], strict=True):
            other = part if mask is None else np.where(mask, part, chosen)
            best = chosen if shown is None else np.where(shown, chosen, other)
            steps.append((best, other, shown, mask))
            chosen = np.maximum(best, other) if self.larger else np.minimum(best, other)
            shown = None if shown is None or mask is None else np.logical_or(shown, mask)
        outputs = chosen if steps else np.array(chosen)

        def backward(d_outputs: Array) -> list[Array]:
            d_parts: list[Array] = []
            d_chosen = d_outputs
            for best, other, shown, mask in reversed(steps):
                share = _share(best, other, self.larger)
                d_best, d_other = d_chosen * share, d_chosen * (1 - share)
                d_chosen = d_best
                if shown is not None:
                    d_chosen = np.where(shown, d_best, 0)
                    d_other = d_other + (d_best - d_chosen)
                if mask is not None:
                    d_part = np.where(mask, d_other, 0)
                    d_chosen = d_chosen + (d_other - d_part)
                    d_other = d_part
                d_parts.append(d_other)
            return [d_chosen, *reversed(d_parts)]

        return outputs, backward


class Minimum(Maximum):
    """The smallest of the inputs; what a mask hides does not take part.

    Equal entries share the gradient.

    >>> Minimum()([np.array([[1.0, 5.0]]), np.array([[3.0, 2.0]])]).tolist()
    [[1.0, 2.0]]
    """

    larger = False


def _total(parts: Sequence[Array]) -> Array:
    """The sum, in a new array."""
    total = parts[0] + parts[1] if len(parts) > 1 else np.array(parts[0])
    for part in parts[2:]:
        total = total + part
    return total


def _product(factors: Sequence[Array]) -> Array:
    product = factors[0]
    for factor in factors[1:]:
        product = product * factor
    return product


def _share(best: Array, other: Array, larger: bool) -> Array:
    """1 where `best` was chosen, 0 where `other` was, 0.5 where they are equal."""
    chosen = best > other if larger else best < other
    return np.where(best == other, best.dtype.type(0.5), chosen)


def _ranked(array: Array, rank: int) -> Array:
    """The array with axes of length 1 after the batch, so that it has `rank` axes."""
    missing = rank - array.ndim
    return array.reshape(array.shape[:1] + (1,) * missing + array.shape[1:]) if missing else array


def _broadcast(lengths: tuple[int | None, ...], shapes: list[tuple[int | None, ...]]) -> int | None:
    if None in lengths:
        return None
    long = set(lengths) - {1}
    if len(long) > 1:
        raise ValueError(f"Inputs have incompatible shapes. Received shapes {shapes}")
    return long.pop() if long else 1


def summed_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient for an array of that shape that was given axes of length 1 and broadcast.

    >>> summed_to(np.ones((2, 3, 4)), (2, 1, 4)).shape, summed_to(np.ones((2, 3, 4)), (2, 4)).shape
    ((2, 1, 4), (2, 4))
    """
    if gradient.shape == shape:
        return gradient
    wide = shape[:1] + (1,) * (gradient.ndim - len(shape)) + shape[1:]
    pairs = enumerate(zip(wide, gradient.shape, strict=True))
    axes = tuple(axis for axis, (have, want) in pairs if have == 1 and want != 1)
    summed: Array = gradient.sum(axis=axes, keepdims=True).reshape(shape)
    return summed
