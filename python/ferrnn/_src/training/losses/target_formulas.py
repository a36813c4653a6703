"""Gradients of losses with respect to their targets, for targets that are computed.

Each function gives `vjp(d_values) -> d_y_true`; the values are those of `training.formulas` and of
`regression_formulas`. Losses that are symmetric in both arguments need none.
"""

from __future__ import annotations

import numpy as np

from ferrnn._src.configs import config
from ferrnn._src.training.formulas import ValuesVjp
from ferrnn._src.tree.types import Array


def _times(slope: Array) -> ValuesVjp:
    def vjp(d_values: Array) -> Array:
        d_true: Array = d_values[..., None] * slope
        return d_true

    return vjp


def percentage_error(y_true: Array, y_pred: Array) -> ValuesVjp:
    """Of `100 mean(|y - p| / max(|y|, eps))`."""
    size = np.abs(y_true)
    bound = np.maximum(size, config.epsilon())
    error = y_true - y_pred
    falling = np.where(size > config.epsilon(), np.abs(error) * np.sign(y_true) / bound, 0)
    return _times((np.sign(error) - falling) * (100.0 / max(error.shape[-1], 1)) / bound)


def poisson(y_pred: Array) -> ValuesVjp:
    """Of `mean(p - y log(p + eps))`."""
    return _times(-np.log(y_pred + config.epsilon()) / max(y_pred.shape[-1], 1))


def kl_divergence(y_true: Array, y_pred: Array) -> ValuesVjp:
    """Of `sum(y log(y / p))`, both clipped to [eps, 1]."""
    eps = config.epsilon()
    true, clipped = np.clip(y_true, eps, 1.0), np.clip(y_pred, eps, 1.0)
    return _times(np.where(y_true == true, np.log(true / clipped) + 1.0, 0))


def binary_crossentropy(y_pred: Array, *, from_logits: bool, label_smoothing: float) -> ValuesVjp:
    """Of `-mean(y log p + (1 - y) log(1 - p))`: the logits, where they are given."""
    logits = y_pred
    if not from_logits:
        clipped = np.clip(y_pred, config.epsilon(), 1.0 - config.epsilon())
        logits = np.log(clipped) - np.log(1.0 - clipped)
    return _times(logits * (-(1.0 - label_smoothing) / max(y_pred.shape[-1], 1)))


def categorical_crossentropy(
    y_pred: Array, *, from_logits: bool, label_smoothing: float
) -> ValuesVjp:
    """Of `-sum(y log p)`."""
    eps = config.epsilon()
    if from_logits:
        shifted = y_pred - np.max(y_pred, axis=-1, keepdims=True)
        log_p = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    else:
        log_p = np.log(np.clip(y_pred / np.sum(y_pred, axis=-1, keepdims=True), eps, 1.0 - eps))
    return _times(log_p * (label_smoothing - 1.0))
