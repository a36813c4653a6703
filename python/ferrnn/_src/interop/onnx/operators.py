"""ONNX's operators on NumPy arrays, except recurrent ones, convolutions and pooling.

Each takes the inputs (None for one left out), the attributes and the version of the operators, and
returns one array, or a list of several. For definitions, see https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.activations.erf import erf
from ferrnn._src.interop.onnx.files import DTYPES, OnnxError
from ferrnn._src.interop.onnx.recurrent import sigmoid
from ferrnn._src.interop.onnx.shaping import SHAPING, Attributes, Inputs, Operator, axes_given
from ferrnn._src.tree.types import Array


def _same_dtype(x: Array, y: Any) -> Any:
    """A result of float64 arithmetic with constants, in the dtype of the input."""
    result: Array = np.asarray(y)
    return result.astype(x.dtype, copy=False)


def _unary(function: Callable[[Array], Any]) -> Operator:
    return lambda x, a, v: _same_dtype(x[0], function(x[0]))


def _with(function: Callable[..., Any], **defaults: float) -> Operator:
    """An activation with attributes."""

    def run(x: Inputs, a: Attributes, v: int) -> Any:
        return _same_dtype(x[0], function(x[0], *(a.get(k, d) for k, d in defaults.items())))

    return run


def _binary(function: Callable[[Array, Array], Any]) -> Operator:
    return lambda x, a, v: np.asarray(function(x[0], x[1]))


def _fold(function: Callable[[Array, Array], Any]) -> Operator:
    def run(x: Inputs, a: Attributes, v: int) -> Any:
        total = x[0]
        for each in x[1:]:
            total = function(total, each)
        return np.asarray(total)

    return run


def _divide(x: Array, y: Array) -> Any:
    """Integers are truncated towards zero, as in C."""
    if np.issubdtype(np.result_type(x, y), np.integer):
        quotient: Array = np.trunc(np.divide(x, y)).astype(np.result_type(x, y))
        return quotient
    return np.divide(x, y)


def _power(x: Array, y: Array) -> Any:
    return np.power(x, y).astype(x.dtype, copy=False)


def _modulo(x: Inputs, a: Attributes, v: int) -> Any:
    return np.fmod(x[0], x[1]) if a.get("fmod", 0) else np.mod(x[0], x[1])


def _cast(x: Inputs, a: Attributes, v: int) -> Any:
    dtype = DTYPES.get(a["to"])
    if dtype is None:
        raise OnnxError(f"a cast to the data type {a['to']} is not supported")
    return np.asarray(x[0]).astype(dtype)


def _constant(x: Inputs, a: Attributes, v: int) -> Any:
    for key, dtype in (
        ("value_float", "f4"),
        ("value_floats", "f4"),
        ("value_int", "i8"),
        ("value_ints", "i8"),
    ):
        if key in a:
            return np.asarray(a[key], dtype)
    if "value" not in a:
        raise OnnxError(f"a constant of the kind {list(a)} is not supported")
    return np.asarray(a["value"])


def _clip(x: Inputs, a: Attributes, v: int) -> Any:
    low = x[1] if len(x) > 1 else a.get("min")
    high = x[2] if len(x) > 2 else a.get("max")
    return x[0] if low is None and high is None else _same_dtype(x[0], np.clip(x[0], low, high))


def _reduce(function: Callable[..., Any], *, axes_always: bool = False) -> Operator:
    def run(x: Inputs, a: Attributes, v: int) -> Any:
        axes = axes_given(x, a)
        if axes is None and a.get("noop_with_empty_axes", 0):
            return np.asarray(x[0])
        keep = bool(a.get("keepdims", 1))
        return _same_dtype(x[0], function(x[0], axis=axes, keepdims=keep))

    return run


def _arg(function: Callable[..., Any]) -> Operator:
    def run(x: Inputs, a: Attributes, v: int) -> Any:
        axis = a.get("axis", 0)
        if a.get("select_last_index", 0):
            found = x[0].shape[axis] - 1 - function(np.flip(x[0], axis), axis=axis)
        else:
            found = function(x[0], axis=axis)
        return np.asarray(np.expand_dims(found, axis) if a.get("keepdims", 1) else found)

    return run


def _softmax(x: Inputs, a: Attributes, v: int, *, log: bool = False) -> Any:
    data, axis = x[0], a.get("axis", -1 if v >= 13 else 1)
    shape = data.shape
    if v < 13:  # all axes from this one on are merged
        data = data.reshape(int(np.prod(shape[: axis % max(data.ndim, 1)])), -1)
        axis = -1
    shifted = data - data.max(axis=axis, keepdims=True)
    powers = np.exp(shifted)
    total = powers.sum(axis=axis, keepdims=True)
    return ((shifted - np.log(total)) if log else powers / total).reshape(shape)


def _layer_normalization(x: Inputs, a: Attributes, v: int) -> Any:
    axis = a.get("axis", -1) % x[0].ndim
    axes = tuple(range(axis, x[0].ndim))
    mean = x[0].mean(axis=axes, keepdims=True)
    centered = x[0] - mean
    scale = 1 / np.sqrt((centered**2).mean(axis=axes, keepdims=True) + a.get("epsilon", 1e-5))
    result = centered * scale * x[1]
    shifted = result + x[2] if len(x) > 2 and x[2] is not None else result
    return [_same_dtype(x[0], shifted), _same_dtype(x[0], mean), _same_dtype(x[0], scale)]


def _along_channels(weight: Array, rank: int) -> Any:
    return weight.reshape(-1, *[1] * (rank - 2))


def _batch_normalization(x: Inputs, a: Attributes, v: int) -> Any:
    scale, bias, mean, variance = (_along_channels(each, x[0].ndim) for each in x[1:5])
    root = np.sqrt(variance + np.float32(a.get("epsilon", 1e-5)))
    return _same_dtype(x[0], (x[0] - mean) / root * scale + bias)


def _instance_normalization(x: Inputs, a: Attributes, v: int) -> Any:
    axes = tuple(range(2, x[0].ndim))
    centered = x[0] - x[0].mean(axis=axes, keepdims=True)
    root = np.sqrt((centered**2).mean(axis=axes, keepdims=True) + a.get("epsilon", 1e-5))
    scale, bias = (_along_channels(each, x[0].ndim) for each in x[1:3])
    return _same_dtype(x[0], centered / root * scale + bias)


def _gelu(x: Inputs, a: Attributes, v: int) -> Any:
    if a.get("approximate", "none") == "tanh":
        inner = np.sqrt(2 / np.pi) * (x[0] + 0.044715 * x[0] ** 3)
        return _same_dtype(x[0], 0.5 * x[0] * (1 + np.tanh(inner)))
    return _same_dtype(x[0], 0.5 * x[0] * (1 + erf(x[0] / np.sqrt(2))))


def _mean(x: Inputs, a: Attributes, v: int) -> Any:
    return np.asarray(sum(x[1:], x[0]) / np.asarray(len(x), x[0].dtype))


def _l2(x: Array, **axes: Any) -> Any:
    return np.sqrt(np.sum(x * x, **axes))


def _log_sum_exp(x: Array, axis: Any, keepdims: bool) -> Any:
    """Without overflow."""
    most = np.max(x, axis=axis, keepdims=True)
    most = np.where(np.isfinite(most), most, 0)
    total = np.log(np.sum(np.exp(x - most), axis=axis, keepdims=True)) + most
    return total if keepdims else np.squeeze(total, axis)


OPERATORS: dict[str, Operator] = {
    **SHAPING,
    "Abs": _unary(np.abs),
    "Add": _binary(np.add),
    "And": _binary(np.logical_and),
    "ArgMax": _arg(np.argmax),
    "ArgMin": _arg(np.argmin),
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "CastLike": lambda x, a, v: np.asarray(x[0]).astype(np.asarray(x[1]).dtype),
    "Ceil": _unary(np.ceil),
    "Celu": _with(
        lambda x, alpha: np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha), alpha=1.0
    ),
    "Clip": _clip,
    "Constant": _constant,
    "Cos": _unary(np.cos),
    "Div": _binary(_divide),
    "Dropout": lambda x, a, v: [x[0], np.ones(x[0].shape, bool)],
    "Einsum": lambda x, a, v: np.einsum(a["equation"], *x),
    "Elu": _with(
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), alpha=1.0
    ),
    "Equal": _binary(np.equal),
    "Erf": _unary(erf),
    "Exp": _unary(np.exp),
    "Floor": _unary(np.floor),
    "Gelu": _gelu,
    "GlobalAveragePool": lambda x, a, v: x[0].mean(axis=tuple(range(2, x[0].ndim)), keepdims=True),
    "GlobalMaxPool": lambda x, a, v: x[0].max(axis=tuple(range(2, x[0].ndim)), keepdims=True),
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "HardSigmoid": _with(
        lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1), alpha=0.2, beta=0.5
    ),
    "HardSwish": _unary(lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    "Identity": lambda x, a, v: x[0],
    "InstanceNormalization": _instance_normalization,
    "LayerNormalization": _layer_normalization,
    "LeakyRelu": _with(lambda x, alpha: np.where(x >= 0, x, alpha * x), alpha=0.01),
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Log": _unary(np.log),
    "LogSoftmax": lambda x, a, v: _softmax(x, a, v, log=True),
    "Max": _fold(np.maximum),
    "Mean": _mean,
    "Min": _fold(np.minimum),
    "Mish": _unary(lambda x: x * np.tanh(np.logaddexp(x, 0))),
    "Mod": _modulo,
    "Mul": _binary(np.multiply),
    "Neg": _unary(np.negative),
    "Not": lambda x, a, v: np.logical_not(x[0]),
    "Or": _binary(np.logical_or),
    "PRelu": _binary(lambda x, slope: np.where(x >= 0, x, slope * x)),
    "Pow": _binary(_power),
    "Reciprocal": _unary(np.reciprocal),
    "ReduceL1": _reduce(lambda x, **axes: np.sum(np.abs(x), **axes)),
    "ReduceL2": _reduce(_l2),
    "ReduceLogSum": _reduce(lambda x, **axes: np.log(np.sum(x, **axes))),
    "ReduceLogSumExp": _reduce(_log_sum_exp),
    "ReduceMax": _reduce(np.max),
    "ReduceMean": _reduce(np.mean),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "ReduceSumSquare": _reduce(lambda x, **axes: np.sum(x * x, **axes)),
    "Relu": _unary(lambda x: np.maximum(x, 0)),
    "Round": _unary(np.round),
    "Selu": _with(
        lambda x, alpha, gamma: gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        alpha=1.67326319217681884765625,
        gamma=1.05070102214813232421875,
    ),
    "Shrink": _with(
        lambda x, lambd, bias: np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0)),
        lambd=0.5,
        bias=0.0,
    ),
    "Sigmoid": _unary(sigmoid),
    "Sign": _unary(np.sign),
    "Sin": _unary(np.sin),
    "Size": lambda x, a, v: np.asarray(np.size(x[0]), np.int64),
    "Softmax": _softmax,
    "Softplus": _unary(lambda x: np.logaddexp(x, 0)),
    "Softsign": _unary(lambda x: x / (1 + np.abs(x))),
    "Sqrt": _unary(np.sqrt),
    "Sub": _binary(np.subtract),
    "Sum": _fold(np.add),
    "Tanh": _unary(np.tanh),
    "ThresholdedRelu": _with(lambda x, alpha: np.where(x > alpha, x, 0), alpha=1.0),
    "Xor": _binary(np.logical_xor),
}
