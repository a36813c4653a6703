"""Activations as nodes of ONNX, and as the activations of its recurrent operators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ferrnn._src.activations.activations import Activation
from ferrnn._src.interop.onnx.writing import Builder

# The operator that computes the function, with its settings.
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
    "softmax": ("Softmax", {"axis": -1}),
    "log_softmax": ("LogSoftmax", {"axis": -1}),
}
# Those of LSTM, GRU and RNN: the name there, its alpha and its beta if it has them.
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


_COMPOSED: dict[str, Callable[[Builder, str], str]] = {
    "silu": _silu,
    "hard_silu": _hard_silu,
    "gelu": _gelu,
    "mish": _mish,
    "relu6": _relu6,
    "linear": lambda b, x: x,
}


def applied(b: Builder, function: Any, x: str, of: str) -> str:
    """An activation of a value; `of` names the layer.

    Raises:
        ValueError: It has no form in ONNX.
    """
    name = _name(function)
    if name in _OPERATORS:
        operator, settings = _OPERATORS[name]
        return b.op(operator, x, **settings)
    if name in _COMPOSED:
        return _COMPOSED[name](b, x)
    raise _unknown(function, of, [*_OPERATORS, *_COMPOSED])


def recurrent(functions: list[Any], of: str) -> dict[str, Any]:
    """The attributes that say which activations a recurrent operator has."""
    found = []
    for function in functions:
        name = _name(function)
        if name not in _RECURRENT:
            raise _unknown(function, of, list(_RECURRENT))
        found.append(_RECURRENT[name])
    # Each function takes as many of the numbers as it has, in order.
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
        f"the activation {called} of layer {of!r} has no form in ONNX here: those of it have, "
        f"{', '.join(sorted(known))}"
    )
