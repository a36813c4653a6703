"""The formulas of losses: each gives the values of a loss and the gradient for the predictions.

A formula takes `y_true` and `y_pred` of one shape `[..., classes or features]` and returns values
`[...]` with `vjp(d_values) -> d_y_pred`. Nothing here knows weights, masks or means over a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ferrnn._src.configs import config
from ferrnn._src.tree.types import Array, Mask

ValuesVjp: TypeAlias = Callable[[Array], Array]


def squared_error(y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
    """`mean((y_pred - y_true)^2)` over the last axis."""
    error = y_pred - y_true
    scale = 1.0 / max(error.shape[-1], 1)
    values = np.add.reduce(error * error, axis=-1) * scale

    def vjp(d_values: Array) -> Array:
        d_pred: Array = (d_values * (2.0 * scale))[..., None] * error
        return d_pred

    return values, vjp


def absolute_error(y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
    """`mean(|y_pred - y_true|)` over the last axis; the slope is 0 where they are equal."""
    error = y_pred - y_true
    scale = 1.0 / max(error.shape[-1], 1)
    values = np.add.reduce(np.abs(error), axis=-1) * scale

    def vjp(d_values: Array) -> Array:
        d_pred: Array = (d_values * scale)[..., None] * np.sign(error)
        return d_pred

    return values, vjp


def binary_crossentropy(
    y_true: Array, y_pred: Array, *, from_logits: bool, label_smoothing: float
) -> tuple[Array, ValuesVjp]:
    """`-mean(y log p + (1 - y) log(1 - p))` over the last axis, `p` clipped to [eps, 1 - eps].

    With `from_logits`, `max(x, 0) - x y + log(1 + exp(-|x|))`, which no `x` makes infinite.
    """
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    scale = 1.0 / max(y_pred.shape[-1], 1)
    if from_logits:
        return _binary_from_logits(y_true, y_pred, scale)
    eps = config.epsilon()
    clipped = np.clip(y_pred, eps, 1.0 - eps)
    entries = y_true * np.log(clipped) + (1.0 - y_true) * np.log(1.0 - clipped)
    values = np.add.reduce(entries, axis=-1) * -scale

    def vjp(d_values: Array) -> Array:
        slope = (clipped - y_true) / (clipped * (1.0 - clipped))
        slope *= y_pred == clipped  # a clipped prediction has no gradient
        d_pred: Array = (d_values * scale)[..., None] * slope
        return d_pred

    return values, vjp


def _binary_from_logits(y_true: Array, logits: Array, scale: float) -> tuple[Array, ValuesVjp]:
    decay = np.exp(-np.abs(logits))
    entries = np.maximum(logits, 0) - logits * y_true + np.log1p(decay)

    def vjp(d_values: Array) -> Array:
        sigmoid = np.where(logits >= 0, 1.0, decay) / (1.0 + decay)
        return (d_values * scale)[..., None] * (sigmoid - y_true)

    return np.add.reduce(entries, axis=-1) * scale, vjp


def categorical_crossentropy(
    y_true: Array, y_pred: Array, *, from_logits: bool, label_smoothing: float
) -> tuple[Array, ValuesVjp]:
    """`-sum(y log p)` over the last axis, `p` the predictions scaled to sum 1, then clipped."""
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]
    log_p, back = _log_softmax(y_pred) if from_logits else _log_probabilities(y_pred)
    values = -np.add.reduce(y_true * log_p, axis=-1)

    def vjp(d_values: Array) -> Array:
        return back(-d_values[..., None] * y_true)

    return values, vjp


def sparse_categorical_crossentropy(
    labels: Array, valid: Mask | None, y_pred: Array, *, from_logits: bool
) -> tuple[Array, ValuesVjp]:
    """`-log p[label]`, for labels `[...]` and predictions `[..., classes]`; 0 where not `valid`."""
    # Only the label's own probability is needed, which saves the logarithms of the others.
    rows = y_pred.reshape(-1, y_pred.shape[-1])
    own = (np.arange(len(rows)), labels.ravel())
    flat, back = (_own_logit if from_logits else _own_probability)(rows, own)
    values = flat.reshape(labels.shape)
    if valid is not None:
        values = np.where(valid, values, 0)

    def vjp(d_values: Array) -> Array:
        if valid is not None:
            d_values = np.where(valid, d_values, 0)
        d_pred = back(d_values.reshape(-1)).reshape(y_pred.shape)
        # An ignored row may hold anything, and 0 times infinity is not 0.
        return d_pred if valid is None else np.where(valid[..., None], d_pred, 0)

    return values, vjp


def _own_logit(rows: Array, own: tuple[Array, Array]) -> tuple[Array, ValuesVjp]:
    """`-log softmax` of each row at one index."""
    shifted = rows - np.maximum.reduce(rows, axis=-1, keepdims=True)
    raised = np.exp(shifted)
    total = np.add.reduce(raised, axis=-1)

    def back(d_values: Array) -> Array:
        d_rows: Array = raised * (d_values / total)[:, None]
        d_rows[own] -= d_values
        return d_rows

    return np.log(total) - shifted[own], back


def _own_probability(rows: Array, own: tuple[Array, Array]) -> tuple[Array, ValuesVjp]:
    """`-log` of each row at one index, with the row scaled to sum 1 and the entry clipped."""
    eps = config.epsilon()
    total = np.add.reduce(rows, axis=-1)
    p = rows[own] / total
    clipped = np.minimum(np.maximum(p, eps), 1.0 - eps)

    def back(d_values: Array) -> Array:
        d_p = np.where(p == clipped, -d_values / clipped, 0) / total
        d_rows = np.empty_like(rows)
        d_rows[...] = (-d_p * p)[:, None]
        d_rows[own] += d_p
        return d_rows

    return -np.log(clipped), back


def _log_softmax(logits: Array) -> tuple[Array, ValuesVjp]:
    shifted = logits - np.max(logits, axis=-1, keepdims=True)
    log_p = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))

    def back(d_log_p: Array) -> Array:
        d_pred: Array = d_log_p - np.exp(log_p) * np.sum(d_log_p, axis=-1, keepdims=True)
        return d_pred

    return log_p, back


def _log_probabilities(y_pred: Array) -> tuple[Array, ValuesVjp]:
    eps = config.epsilon()
    total = np.sum(y_pred, axis=-1, keepdims=True)
    p = y_pred / total
    clipped = np.clip(p, eps, 1.0 - eps)

    def back(d_log_p: Array) -> Array:
        d_p = np.where(p == clipped, d_log_p / clipped, 0)
        d_pred: Array = (d_p - np.sum(d_p * p, axis=-1, keepdims=True)) / total
        return d_pred

    return np.log(clipped), back
