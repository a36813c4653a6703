"""Formulas of the regression losses: values of a loss and the gradient for the predictions.

As in `training.formulas`: `y_true` and `y_pred` are of one shape `[..., features]`, the values
`[...]`, and `vjp(d_values) -> d_y_pred`.
"""

from __future__ import annotations

import numpy as np

from ferrnn._src.configs import config
from ferrnn._src.training.formulas import ValuesVjp
from ferrnn._src.tree.types import Array


def mean_of(entries: Array, slope: Array) -> tuple[Array, ValuesVjp]:
    """The mean over the last axis of `entries` whose gradient for `y_pred` is `slope`.

    >>> values, vjp = mean_of(np.array([[1.0, 3.0]]), np.array([[2.0, 4.0]]))
    >>> values.tolist(), vjp(np.ones(1)).tolist()
    ([2.0], [[1.0, 2.0]])
    """
    scale = entries.dtype.type(1.0 / max(entries.shape[-1], 1))

    def vjp(d_values: Array) -> Array:
        d_pred: Array = (d_values * scale)[..., None] * slope
        return d_pred

    return np.add.reduce(entries, axis=-1) * scale, vjp


def percentage_error(y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
    """`100 mean(|y - p| / max(|y|, eps))` over the last axis."""
    weight = 100.0 / np.maximum(np.abs(y_true), config.epsilon())
    error = y_pred - y_true
    return mean_of(np.abs(error) * weight, np.sign(error) * weight)


def squared_logarithmic_error(y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
    """`mean((log(max(p, eps) + 1) - log(max(y, eps) + 1))^2)` over the last axis."""
    eps = config.epsilon()
    raised = np.maximum(y_pred, eps) + 1.0
    difference = np.log(raised) - np.log(np.maximum(y_true, eps) + 1.0)
    slope = np.where(y_pred > eps, 2.0 * difference / raised, 0)
    return mean_of(difference * difference, slope)


def huber(y_true: Array, y_pred: Array, delta: float) -> tuple[Array, ValuesVjp]:
    """`mean(e^2 / 2)` where `|e| <= delta`, else `mean(delta |e| - delta^2 / 2)`, `e = p - y`."""
    error = y_pred - y_true
    clipped = np.clip(error, -delta, delta)
    # In both branches: the derivative is the clipped error, the value clipped * (e - clipped / 2).
    return mean_of(clipped * (error - 0.5 * clipped), clipped)


def log_cosh(y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
    """`mean(log(cosh(e)))` over the last axis, as `|e| + log(1 + exp(-2 |e|)) - log 2`."""
    error = y_pred - y_true
    size = np.abs(error)
    entries = size + np.log1p(np.exp(-2.0 * size)) - error.dtype.type(np.log(2.0))
    return mean_of(entries, np.tanh(error))


def cosine_similarity(y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
    """`sum(y p) / (|y| |p|)` over the last axis; a norm below eps counts as eps."""
    eps = config.epsilon()
    norm = np.sqrt(np.add.reduce(y_pred * y_pred, axis=-1, keepdims=True))
    long_enough = norm > eps
    bound = np.maximum(norm, eps)
    unit = y_pred / bound
    size = np.sqrt(np.add.reduce(y_true * y_true, axis=-1, keepdims=True))
    toward = y_true / np.maximum(size, eps)
    values = np.add.reduce(toward * unit, axis=-1)

    def vjp(d_values: Array) -> Array:
        turned = toward - np.where(long_enough, values[..., None], 0) * unit
        d_pred: Array = d_values[..., None] * turned / bound
        return d_pred

    return values, vjp


def poisson(y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
    """`mean(p - y log(p + eps))` over the last axis."""
    raised = y_pred + config.epsilon()
    return mean_of(y_pred - y_true * np.log(raised), 1.0 - y_true / raised)


def kl_divergence(y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
    """`sum(y log(y / p))` over the last axis, both clipped to [eps, 1]."""
    eps = config.epsilon()
    true, clipped = np.clip(y_true, eps, 1.0), np.clip(y_pred, eps, 1.0)
    values = np.add.reduce(true * np.log(true / clipped), axis=-1)

    def vjp(d_values: Array) -> Array:
        slope = np.where(y_pred == clipped, -true / clipped, 0)
        d_pred: Array = d_values[..., None] * slope
        return d_pred

    return values, vjp
