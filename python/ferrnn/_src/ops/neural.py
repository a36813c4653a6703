"""Activations, cross-entropies and attention, as functions of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.configs import config
from ferrnn._src.ops.arithmetic import add, divide, multiply, subtract
from ferrnn._src.ops.elementwise import absolute, clip, erf, exp, log, log1p, negative, sqrt, tanh
from ferrnn._src.ops.products import einsum
from ferrnn._src.ops.reductions import sum as total
from ferrnn._src.ops.rules import Primitive, own
from ferrnn._src.ops.selection import take_along_axis, where
from ferrnn._src.ops.shaping import split, squeeze
from ferrnn._src.ops.values import axes_of, floating, one_axis, operation, tensor
from ferrnn._src.symbolic import tracing


def _activation(known: activations.Activation) -> Callable[[Any], Any]:
    """An activation of layers as an operation."""
    primitive = Primitive(
        known.function, own(lambda y, x: lambda g: known.backward(x, np.asarray(y), g))
    )

    def apply(x: Any) -> Any:
        return primitive(floating(x))

    apply.__name__ = apply.__qualname__ = known.__name__
    apply.__doc__ = f"The activation `{known.__name__}`of `ferrnn.activations`."
    return operation(apply)


sigmoid = _activation(activations.sigmoid)
_relu = _activation(activations.relu)
relu6 = _activation(activations.relu6)
silu = swish = _activation(activations.silu)
softplus = _activation(activations.softplus)
softsign = _activation(activations.softsign)
selu = _activation(activations.selu)
log_sigmoid = _activation(activations.log_sigmoid)
hard_sigmoid = _activation(activations.hard_sigmoid)
hard_silu = hard_swish = _activation(activations.hard_silu)
hard_tanh = _activation(activations.hard_tanh)
tanh_shrink = _activation(activations.tanh_shrink)


@operation
def relu(x: Any) -> Any:
    """`max(x, 0)`; integers stay integers."""
    x = tensor(x)
    return _relu(x) if x.dtype.kind == "f" else np.maximum(x, 0)


_elu = Primitive(
    lambda x, *, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    own(lambda y, x, alpha: lambda g: np.where(x > 0, g, g * (y + alpha))),
)
_leaky = Primitive(
    lambda x, *, slope: np.where(x > 0, x, slope * x),
    own(lambda y, x, slope: lambda g: np.where(x > 0, g, slope * g)),
)


def _softmax_of(x: Any, *, axis: Any) -> Any:
    raised = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return raised / np.sum(raised, axis=axis, keepdims=True)


def _log_softmax_of(x: Any, *, axis: Any) -> Any:
    shifted = x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


_softmax = Primitive(
    _softmax_of,
    own(lambda y, x, axis: lambda g: y * (g - np.sum(y * g, axis=axis, keepdims=True))),
)
_log_softmax = Primitive(
    _log_softmax_of,
    own(lambda y, x, axis: lambda g: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True)),
)


@operation
def softmax(x: Any, axis: Any = -1) -> Any:
    """`exp(x) / sum(exp(x))` over an axis, several, or all (None).

    >>> softmax([0.0, 0.0]).tolist()
    [0.5, 0.5]
    """
    x = floating(x)
    return _softmax(x, axis=axes_of(axis, x.ndim))


@operation
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """`log(softmax(x))` over an axis, several, or all (None)."""
    x = floating(x)
    return _log_softmax(x, axis=axes_of(axis, x.ndim))


@operation
def elu(x: Any, alpha: float = 1.0) -> Any:
    """`x` above zero, `alpha * (exp(x) - 1)` below."""
    return _elu(floating(x), alpha=alpha)


@operation
def celu(x: Any, alpha: float = 1.0) -> Any:
    """`x` above zero, `alpha * (exp(x / alpha) - 1)` below."""
    return multiply(_elu(divide(floating(x), alpha), alpha=1.0), alpha)


@operation
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """`x` above zero, `negative_slope * x` below."""
    return _leaky(floating(x), slope=negative_slope)


@operation
def gelu(x: Any, approximate: bool = True) -> Any:
    """`x` times the normal distribution at x, or an approximation by tanh (Keras' default here)."""
    x = floating(x)
    if approximate:
        inner = multiply(math.sqrt(2 / math.pi), add(x, multiply(0.044715, x * x * x)))
        return multiply(multiply(0.5, x), add(1.0, tanh(inner)))
    return multiply(multiply(0.5, x), add(1.0, erf(multiply(x, math.sqrt(0.5)))))


@operation
def glu(x: Any, axis: int = -1) -> Any:
    """The first half along an axis times the sigmoid of the second."""
    first, second = split(floating(x), 2, axis)
    return multiply(first, sigmoid(second))


@operation
def squareplus(x: Any, b: float = 4) -> Any:
    """`(x + sqrt(x**2 + b)) / 2`."""
    x = floating(x)
    return multiply(0.5, add(x, sqrt(add(multiply(x, x), b))))


@operation
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` moved towards zero by `threshold`; zero within it."""
    x = floating(x)
    return subtract(x, clip(x, -threshold, threshold))


@operation
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """`x` beyond `threshold`, zero within it."""
    x = floating(x)
    return where(np.abs(tracing.plain(x)) > threshold, x, 0.0)


@operation
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """`x` above `threshold`, else `default_value`."""
    x = floating(x)
    return where(tracing.plain(x) > threshold, x, default_value)


def _same_shape(target: Any, output: Any) -> None:
    if target.shape != output.shape:
        raise ValueError(
            "`target` and `output` must have the same shape, received "
            f"target.shape={target.shape} and output.shape={output.shape}"
        )


@operation
def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """`-sum(target * log(output))` over the classes; probabilities are scaled to sum 1."""
    target, output = floating(target), floating(output)
    _same_shape(target, output)
    if from_logits:
        logs = log_softmax(output, axis)
    else:
        logs = log(_bounded(divide(output, total(output, axis, keepdims=True))))
    return negative(total(multiply(target, logs), axis))


@operation
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """`-log(output)` at the class that `target` numbers; probabilities are scaled to sum 1."""
    labels = np.asarray(tracing.plain(tensor(target))).astype(np.int64)
    output = floating(output)
    if labels.ndim == output.ndim and labels.shape[-1] == 1:
        labels = labels[..., 0]
    at = one_axis(axis, output.ndim)
    if from_logits:
        logs = log_softmax(output, at)
    else:
        logs = log(_bounded(divide(output, total(output, at, keepdims=True))))
    return negative(squeeze(take_along_axis(logs, np.expand_dims(labels, at), at), at))


@operation
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """`-target * log(output) - (1 - target) * log(1 - output)`, entry by entry."""
    target, output = floating(target), floating(output)
    _same_shape(target, output)
    if from_logits:
        parts = subtract(relu(output), multiply(output, target))
        return add(parts, log1p(exp(negative(absolute(output)))))
    output = _bounded(output)
    ones = multiply(target, log(output))
    zeros = multiply(subtract(1.0, target), log(subtract(1.0, output)))
    return negative(add(ones, zeros))


def _bounded(probabilities: Any) -> Any:
    epsilon = config.epsilon()
    return clip(probabilities, epsilon, 1.0 - epsilon)


@operation
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """`softmax(scale * query . key + bias) . value`, all `[batch, time, heads, features]`."""
    query, key, value = floating(query), floating(key), floating(value)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = multiply(einsum("bqhd,bkhd->bhqk", query, key), scale)
    if attn_logits_soft_cap is not None:
        scores = multiply(tanh(divide(scores, attn_logits_soft_cap)), attn_logits_soft_cap)
    if bias is not None:
        scores = add(scores, bias)
    seen = None if mask is None else np.asarray(tracing.plain(tensor(mask))).astype(bool)
    if is_causal:
        past = np.tri(scores.shape[-2], scores.shape[-1], dtype=bool)
        seen = past if seen is None else seen & past
    if seen is not None:
        scores = where(seen, scores, float(np.finfo(np.float32).min) * 0.7)
    return einsum("bhqk,bkhd->bqhd", softmax(scores), value)
