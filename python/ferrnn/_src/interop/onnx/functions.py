"""Activations as ONNX nodes, and as activations of ONNX's recurrent operators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ferrnn._src.activations.activations import Activation
from ferrnn._src.interop.onnx.writing import Builder

# The operator that computes the activation, with its settings.
_OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "elu": ("Elu", {}),
    "selu": ("Selu", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
    "exponential": ("Exp", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.2}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_sigmoid_keras2": ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    "sparse_sigmoid": ("HardSigmoid", {"alpha": 0.5, "beta": 0.5}),
    "celu": ("Celu", {"alpha": 1.0}),
    "hard_shrink": ("Shrink", {"lambd": 0.5, "bias": 0.0}),
    "soft_shrink": ("Shrink", {"lambd": 0.5, "bias": 0.5}),
    "softmax": ("Softmax", {"axis": -1}),
    "log_softmax": ("LogSoftmax", {"axis": -1}),
}
# Activations of LSTM, GRU and RNN: the name there, with alpha and beta if it has them.
_RECURRENT: dict[str, tuple[str, list[float], list[float]]] = {
    "tanh": ("Tanh", [], []),
    "sigmoid": ("Sigmoid", [], []),
    "relu": ("Relu", [], []),
    "linear": ("Affine", [1.0], [0.0]),
    "softsign": ("Softsign", [], []),
    "softplus": ("Softplus", [], []),
    "elu": ("Elu", [1.0], []),
    "leaky_relu": ("LeakyRelu", [0.2], []),
    "hard_sigmoid": ("HardSigmoid", [1 / 6], [0.5]),
    "hard_sigmoid_keras2": ("HardSigmoid", [0.2], [0.5]),
}


def _silu(b: Builder, x: str) -> str:
    return b.op("Mul", x, b.op("Sigmoid", x))


def _hard_silu(b: Builder, x: str) -> str:
    return b.op("Mul", x, b.op("HardSigmoid", x, alpha=1 / 6, beta=0.5))


def _gelu(b: Builder, x: str) -> str:
    scaled = b.op("Div", x, b.constant(math.sqrt(2)))
    half = b.op("Mul", x, b.constant(0.5))
    return b.op("Mul", half, b.op("Add", b.op("Erf", scaled), b.constant(1.0)))


def _mish(b: Builder, x: str) -> str:
    return b.op("Mul", x, b.op("Tanh", b.op("Softplus", x)))


def _relu6(b: Builder, x: str) -> str:
    return b.op("Clip", x, b.constant(0.0), b.constant(6.0))


def _hard_tanh(b: Builder, x: str) -> str:
    return b.op("Clip", x, b.constant(-1.0), b.constant(1.0))


def _tanh_shrink(b: Builder, x: str) -> str:
    return b.op("Sub", x, b.op("Tanh", x))


def _log_sigmoid(b: Builder, x: str) -> str:
    return b.op("Neg", b.op("Softplus", b.op("Neg", x)))


def _squareplus(b: Builder, x: str) -> str:
    root = b.op("Sqrt", b.op("Add", b.op("Mul", x, x), b.constant(4.0)))
    return b.op("Mul", b.op("Add", x, root), b.constant(0.5))


def _sparse_plus(b: Builder, x: str) -> str:
    one = b.constant(1.0)
    raised = b.op("Relu", b.op("Add", x, one))
    curve = b.op("Mul", b.op("Mul", raised, raised), b.constant(0.25))
    return b.op("Where", b.op("GreaterOrEqual", x, one), x, curve)


def _sparsemax(b: Builder, x: str) -> str:
    """As `activations.sparsemax`, with the threshold from the sorted entries."""
    length = b.op("Slice", b.op("Shape", x), b.integers(-1), b.integers(2**62))
    falling = b.node("TopK", x, length, count=2, axis=-1)[0]
    one, first = b.constant(1.0), b.constant(1, "one", "int64")
    last = b.op("Add", b.op("Squeeze", length, b.integers(0)), first)
    numbers = b.op("CastLike", b.op("Range", first, last, first), x)
    sums = b.op("CumSum", falling, b.constant(-1, "axis", "int64"))
    over = b.op("Sub", sums, one)
    inside = b.op("CastLike", b.op("Greater", b.op("Mul", falling, numbers), over), x)
    count = b.op("Max", b.op("ReduceSum", inside, b.integers(-1), keepdims=1), one)
    place = b.op("Cast", b.op("Sub", count, one), to=7)
    bound = b.op("Div", b.op("GatherElements", over, place, axis=-1), count)
    return b.op("Relu", b.op("Sub", x, bound))


_COMPOSED: dict[str, Callable[[Builder, str], str]] = {
    "silu": _silu,
    "hard_silu": _hard_silu,
    "gelu": _gelu,
    "mish": _mish,
    "relu6": _relu6,
    "hard_tanh": _hard_tanh,
    "tanh_shrink": _tanh_shrink,
    "log_sigmoid": _log_sigmoid,
    "squareplus": _squareplus,
    "sparse_plus": _sparse_plus,
    "sparsemax": _sparsemax,
    "linear": lambda b, x: x,
}

# All activations that can be written to ONNX.
NAMES = (*_OPERATORS, *_COMPOSED)


def applied(b: Builder, function: Any, x: str, of: str) -> str:
    """An activation of a value; `of` names the layer.

    Raises:
        ValueError: It cannot be written to ONNX.
    """
    name = _name(function)
    if name not in NAMES:
        raise _unknown(function, of, list(NAMES))
    return named(b, name, x)


def named(b: Builder, name: str, x: str) -> str:
    """One of the activations in `NAMES` of a value."""
    if name in _OPERATORS:
        operator, settings = _OPERATORS[name]
        return b.op(operator, x, **settings)
    return _COMPOSED[name](b, x)


def recurrent(functions: list[Any]) -> dict[str, Any] | None:
    """The attributes for the activations of a recurrent operator, or None if it lacks one."""
    names = [_name(function) for function in functions]
    if not all(name in _RECURRENT for name in names):
        return None
    found = [_RECURRENT[name] for name in names]
    # Each function takes its numbers from the lists, in order.
    numbers = {
        "activation_alpha": [each for _, alpha, _ in found for each in alpha],
        "activation_beta": [each for *_, beta in found for each in beta],
    }
    given = {key: values for key, values in numbers.items() if values}
    return {"activations": [name for name, *_ in found], **given}


def _name(function: Any) -> str:
    return function.__name__ if type(function) is Activation else ""


def _unknown(function: Any, of: str, known: list[str]) -> ValueError:
    called = getattr(function, "__name__", repr(function))
    return ValueError(
        f"the activation {called} of layer {of!r} cannot be written to ONNX; supported are "
        f"{', '.join(sorted(known))}"
    )
