"""Convolutions as products of windows with kernels, in the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.convolution.frames import as_lines, axes_of
from ferrnn._src.convolution.geometry import Geometry
from ferrnn._src.convolution.windows import Windows
from ferrnn._src.native import DenseWeights, convolution_forward, dense_backward, dense_forward
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Parameter


class Packed:
    """The kernel and bias of a convolution, packed for the engine, and packed anew after a change.

    The kernel is split into blocks of filters, each with its own inputs.
    """

    def __init__(self) -> None:
        self._kept: tuple[Any, list[DenseWeights]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_kept": None}

    def of(
        self, kernel: Parameter, bias: Parameter | None, activation: str = "linear", blocks: int = 1
    ) -> list[DenseWeights]:
        """The weights of each block, for a kernel `[*size, features, filters]`."""
        kept = self._kept
        if kept is not None and kept[0] == _key(kernel, bias, activation, blocks):
            return kept[1]
        with one_version():
            key = _key(kernel, bias, activation, blocks)
            matrix = kernel_matrix(kernel.value)
            vector = None if bias is None else bias.value
            weights = [
                DenseWeights(
                    np.ascontiguousarray(matrix[:, own]),
                    None if vector is None else vector[own],
                    activation,
                )
                for own in blocks_of(matrix.shape[1], blocks)
            ]
        self._kept = (key, weights)  # one assignment, so that another thread sees both or neither
        return weights


def _key(kernel: Parameter, bias: Parameter | None, activation: str, blocks: int) -> Any:
    return kernel.version, bias.version if bias is not None else 0, activation, blocks


def blocks_of(width: int, blocks: int) -> list[slice]:
    """The slices that split `width` columns into equal parts.

    >>> blocks_of(6, 2)
    [slice(0, 3, None), slice(3, 6, None)]
    """
    each = width // blocks
    return [slice(at * each, (at + 1) * each) for at in range(blocks)]


def kernel_matrix(kernel: Array) -> Array:
    """`[window, filters]` of a kernel `[*size, features, filters]`, in the order of `Windows`."""
    rank = kernel.ndim - 2
    ordered = kernel if rank == 1 else np.moveaxis(kernel, rank - 1, 0)
    matrix: Array = ordered.reshape(-1, kernel.shape[-1])
    return matrix


def kernel_gradient(d_matrix: Array, shape: Sequence[int]) -> Array:
    """The inverse of `kernel_matrix`."""
    rank = len(shape) - 2
    if rank == 1:
        return d_matrix.reshape(shape)
    ordered = d_matrix.reshape(shape[rank - 1], *shape[: rank - 1], *shape[rank:])
    return np.ascontiguousarray(np.moveaxis(ordered, 0, rank - 1))


class Convolution:
    """One convolution of inputs `[batch, *places, features]`: `[batch, *windows, filters]`."""

    def __init__(
        self, weights: DenseWeights, inputs: Array, geometry: Geometry, differentiable: bool
    ) -> None:
        self.weights, self.inputs, self.geometry = weights, inputs, geometry
        self.saved: Any = None
        self.windows: Windows | None = None
        if inputs.ndim == 4 and not (differentiable and weights.keeps_input):
            axes = axes_of(inputs.shape[1:-1], geometry)
            if axes is not None:
                self.outputs = convolution_forward(weights, as_lines(inputs), *axes)
                return
        self.windows = windows = Windows(inputs, geometry)
        self.linear, self.saved = dense_forward(weights, windows.rows, differentiable)
        self.outputs = windows.outputs(self.linear)

    def backward(
        self, d_outputs: Array, inputs_wanted: bool = True
    ) -> tuple[list[Any], Array, Array | None]:
        """Gradients for the inputs (a list of one), for `kernel_matrix` and for any bias."""
        windows = self.windows
        if windows is None:
            windows = Windows(self.inputs, self.geometry)
            linear = windows.as_rows(self.outputs)
        else:
            linear = self.linear
        d_rows, d_weights = dense_backward(
            self.weights,
            windows.rows,
            linear,
            self.saved,
            windows.as_rows(d_outputs),
            inputs_wanted,
        )
        d_inputs = None if d_rows is None else windows.spread(d_rows)
        return [d_inputs], d_weights[0], d_weights[1] if len(d_weights) > 1 else None


class _Blocks:
    """Convolutions of blocks of inputs, each with its own weights; outputs are concatenated."""

    def __init__(
        self,
        weights: Sequence[DenseWeights],
        inputs: Sequence[Array],
        geometry: Geometry,
        differentiable: bool,
    ) -> None:
        pairs = zip(weights, inputs, strict=True)
        self.blocks = [Convolution(own, block, geometry, differentiable) for own, block in pairs]
        self.outputs = joined([block.outputs for block in self.blocks])

    def backward(
        self, d_outputs: Array, inputs_wanted: bool = True
    ) -> tuple[list[Any], Array, Array | None]:
        """Gradients for each block's inputs, then those that `Convolution.backward` gives."""
        owns = blocks_of(d_outputs.shape[-1], len(self.blocks))
        made = [
            block.backward(d_outputs[..., own], inputs_wanted)
            for block, own in zip(self.blocks, owns, strict=True)
        ]
        d_inputs, d_matrices, d_biases = zip(*made, strict=True)
        d_bias = None if d_biases[0] is None else joined(d_biases)
        return [each for (each,) in d_inputs], joined(d_matrices), d_bias


def convolution(
    weights: Sequence[DenseWeights],
    inputs: Sequence[Array],
    geometry: Geometry,
    differentiable: bool,
) -> Convolution | _Blocks:
    """The convolution of blocks of inputs `[batch, *places, features]`, each with its own weights.

    `outputs` are `[batch, *windows, filters]`, concatenated over the blocks.
    """
    if len(weights) == 1:
        return Convolution(weights[0], inputs[0], geometry, differentiable)
    return _Blocks(weights, inputs, geometry, differentiable)


def joined(parts: Sequence[Array]) -> Array:
    """Arrays concatenated along the last axis; a single one unchanged."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
