"""Formulas of activations that are exactly zero over a range, with their derivatives."""

from __future__ import annotations

import numpy as np

from ferrnn._src.tree.types import Array


def sparse_plus(x: Array) -> Array:
    """0 up to -1, `x` from 1 on, `(x + 1)^2 / 4` between."""
    raised = np.maximum(x + 1, 0)
    result: Array = np.where(x >= 1, x, raised * raised / 4)
    return result


def sparse_plus_backward(x: Array, y: Array, d_y: Array) -> Array:
    """The gradient of `sparse_plus`."""
    result: Array = d_y * np.clip((x + 1) / 2, 0, 1)
    return result


def sparsemax(x: Array) -> Array:
    """The nearest probabilities to `x` over the last axis; many are 0.

    >>> sparsemax(np.array([1.0, 0.5, -1.0])).tolist()
    [0.75, 0.25, 0.0]
    """
    falling = np.sort(x, axis=-1)[..., ::-1]
    over = np.cumsum(falling, axis=-1) - 1
    inside = falling * np.arange(1, x.shape[-1] + 1, dtype=x.dtype) > over
    count = np.maximum(inside.sum(axis=-1, keepdims=True), 1)
    bound = np.take_along_axis(over, count - 1, axis=-1) / count.astype(x.dtype)
    result: Array = np.maximum(x - bound, 0)
    return result


def sparsemax_backward(x: Array, y: Array, d_y: Array) -> Array:
    """The gradient of `sparsemax`: that of the positive entries, less its mean over them."""
    kept = y > 0
    counts = np.maximum(kept.sum(axis=-1, keepdims=True), 1).astype(d_y.dtype)
    mean = np.where(kept, d_y, 0).sum(axis=-1, keepdims=True) / counts
    result: Array = np.where(kept, d_y - mean, 0)
    return result


def hard_shrink(x: Array, threshold: float = 0.5) -> Array:
    """`x` beyond `threshold`, zero within it."""
    result: Array = np.where(np.abs(x) <= threshold, 0, x)
    return result


def soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    """`x` moved towards zero by `threshold`; zero within it."""
    result: Array = x - np.clip(x, -threshold, threshold)
    return result
