"""Activations: functions of arrays, each with its derivative."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.activations import sparse
from ferrnn._src.activations.erf import erf
from ferrnn._src.configs.objects import Kind
from ferrnn._src.native import activate
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.results import as_output
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients

Function: TypeAlias = Callable[[Array], Array]
# (x, y, d_y) -> d_x; y = f(x) is given so that it is not computed again.
Backward: TypeAlias = Callable[[Array, Array, Array], Array]
_ENGINE = (np.dtype(np.float32), np.dtype(np.float64))


class Activation:
    """A function of arrays that can be differentiated.

    `function(x)` gives y of the same shape; `backward(x, y, d_y)` gives the gradient for x.
    `native` says that the engine has the function under the same name, `native_rows` that it has
    it as a function of whole rows along the last axis. `options` are further arguments with their
    defaults: given any of them, or symbolic tensors, the operation of `ferrnn.ops` is called.

    >>> cube = Activation("cube", lambda x: x**3, lambda x, y, d_y: 3 * x**2 * d_y)
    >>> cube(np.array([2.0])).tolist()
    [8.0]
    """

    def __init__(
        self,
        name: str,
        function: Function,
        backward: Backward,
        *,
        native: bool = False,
        native_rows: bool = False,
        **options: Any,
    ) -> None:
        self.__name__ = name
        self.__doc__ = function.__doc__
        self.function = function
        self.backward = backward
        self.native = native
        self.native_rows = native_rows
        by_place = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters = [inspect.Parameter("x", by_place)]
        parameters += [
            inspect.Parameter(each, by_place, default=default) for each, default in options.items()
        ]
        self.__signature__ = inspect.Signature(parameters)

    def of_layer(self, x: Array) -> Array:
        """`function(x)` as layers compute it: in the engine where possible, for equal bits."""
        if (self.native or self.native_rows) and x.size and x.dtype in _ENGINE:
            return x if self.__name__ == "linear" else activate(self.__name__, x)
        return self.function(x)

    def __call__(self, x: Any, *args: Any, **options: Any) -> Any:
        if args or options or isinstance(x, SymbolicTensor):
            self.__signature__.bind(x, *args, **options)
            return tracing.activation(self.__name__)(x, *args, **options)
        if tracing.current.get() is not None:
            return tracing.record(self._forward, x)
        return as_output(self.function(_floating(x)))

    def _forward(self, x: Any) -> tuple[Array, Callable[[Array, Gradients], Array]]:
        array = _floating(x)
        y = self.function(array)
        return y, lambda d_y, grads: self.backward(array, y, d_y)

    def __repr__(self) -> str:
        return f"<activation {self.__name__}>"

    def __reduce__(self) -> Any:
        known = _BY_NAME.get(self.__name__) is self
        return (get, (self.__name__,)) if known else object.__reduce__(self)


def _floating(x: Any) -> Array:
    array = np.asarray(x)
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def _sigmoid(x: Array) -> Array:
    """`1 / (1 + exp(-x))`, without overflow."""
    small = np.exp(-np.abs(x))
    result: Array = np.where(x >= 0, 1, small) / (1 + small)
    return result


def _softplus(x: Array) -> Array:
    """`log(1 + exp(x))`, without overflow."""
    result: Array = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return result


_INVERSE_ROOT_TWO = 0.7071067811865476
_INVERSE_ROOT_TWO_PI = 0.3989422804014327
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def _normal_cdf(x: Array) -> Array:
    result: Array = 0.5 * (1 + erf(x * _INVERSE_ROOT_TWO))
    return result


def _gelu_backward(x: Array, y: Array, d_y: Array) -> Array:
    result: Array = d_y * (_normal_cdf(x) + x * (np.exp(-0.5 * x * x) * _INVERSE_ROOT_TWO_PI))
    return result


def _silu_backward(x: Array, y: Array, d_y: Array) -> Array:
    gate = _sigmoid(x)
    result: Array = d_y * gate * (1 + x * (1 - gate))
    return result


def _exponential_below(x: Array, alpha: float) -> Array:
    result: Array = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
    return result


def _softmax(x: Array) -> Array:
    """`exp(x) / sum(exp(x))` over the last axis."""
    raised = np.exp(x - np.max(x, axis=-1, keepdims=True, initial=-np.inf))
    result: Array = raised / np.sum(raised, axis=-1, keepdims=True)
    return result


def _softmax_backward(x: Array, y: Array, d_y: Array) -> Array:
    result: Array = y * (d_y - np.sum(y * d_y, axis=-1, keepdims=True))
    return result


def _log_softmax(x: Array) -> Array:
    """`x - log(sum(exp(x)))` over the last axis."""
    shifted = x - np.max(x, axis=-1, keepdims=True, initial=-np.inf)
    result: Array = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return result


def _log_softmax_backward(x: Array, y: Array, d_y: Array) -> Array:
    result: Array = d_y - np.exp(y) * np.sum(d_y, axis=-1, keepdims=True)
    return result


def _mish_backward(x: Array, y: Array, d_y: Array) -> Array:
    squashed = np.tanh(_softplus(x))
    result: Array = d_y * (squashed + x * (1 - squashed * squashed) * _sigmoid(x))
    return result


def _within(x: Array, low: float, high: float, slope: float, d_y: Array) -> Array:
    return np.where((x > low) & (x < high), slope * d_y, 0)


linear = Activation("linear", lambda x: x, lambda x, y, d_y: d_y, native=True)
tanh = Activation("tanh", np.tanh, lambda x, y, d_y: d_y * (1 - y * y), native=True)
sigmoid = Activation("sigmoid", _sigmoid, lambda x, y, d_y: d_y * y * (1 - y), native=True)
relu = Activation(
    "relu",
    lambda x: np.maximum(x, 0),
    lambda x, y, d_y: np.where(x > 0, d_y, 0),
    native=True,
    negative_slope=0.0,
    max_value=None,
    threshold=0.0,
)
hard_sigmoid = Activation(
    "hard_sigmoid",
    lambda x: np.clip(x / 6 + 0.5, 0, 1),
    lambda x, y, d_y: _within(x, -3, 3, 1 / 6, d_y),
    native=True,
)
# The function that Keras 1 and 2, and their files, call hard_sigmoid.
hard_sigmoid_keras2 = Activation(
    "hard_sigmoid_keras2",
    lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    lambda x, y, d_y: _within(x, -2.5, 2.5, 0.2, d_y),
)
softsign = Activation(
    "softsign",
    lambda x: x / (1 + np.abs(x)),
    lambda x, y, d_y: d_y / np.square(1 + np.abs(x)),
    native=True,
)
softplus = Activation("softplus", _softplus, lambda x, y, d_y: d_y * _sigmoid(x), native=True)
elu = Activation(
    "elu",
    lambda x: _exponential_below(x, 1.0),
    lambda x, y, d_y: np.where(x > 0, d_y, d_y * (y + 1)),
    native=True,
    alpha=1.0,
)
selu = Activation(
    "selu",
    lambda x: _SELU_SCALE * _exponential_below(x, _SELU_ALPHA),
    lambda x, y, d_y: np.where(x > 0, _SELU_SCALE * d_y, d_y * (y + _SELU_SCALE * _SELU_ALPHA)),
    native=True,
)
silu = Activation("silu", lambda x: x * _sigmoid(x), _silu_backward, native=True)
gelu = Activation(
    "gelu", lambda x: x * _normal_cdf(x), _gelu_backward, native=True, approximate=False
)
exponential = Activation("exponential", np.exp, lambda x, y, d_y: d_y * y, native=True)
softmax = Activation("softmax", _softmax, _softmax_backward, native_rows=True, axis=-1)
log_softmax = Activation("log_softmax", _log_softmax, _log_softmax_backward, axis=-1)
leaky_relu = Activation(
    "leaky_relu",
    lambda x: np.where(x > 0, x, 0.2 * x),
    lambda x, y, d_y: np.where(x > 0, d_y, 0.2 * d_y),
    negative_slope=0.2,
)
relu6 = Activation(
    "relu6", lambda x: np.clip(x, 0, 6), lambda x, y, d_y: _within(x, 0, 6, 1.0, d_y)
)
hard_tanh = Activation(
    "hard_tanh", lambda x: np.clip(x, -1, 1), lambda x, y, d_y: _within(x, -1, 1, 1.0, d_y)
)
hard_silu = Activation(
    "hard_silu",
    lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    lambda x, y, d_y: d_y * np.where(x <= -3, 0, np.where(x >= 3, 1, x / 3 + 0.5)),
)
mish = Activation("mish", lambda x: x * np.tanh(_softplus(x)), _mish_backward)
log_sigmoid = Activation(
    "log_sigmoid", lambda x: -_softplus(-x), lambda x, y, d_y: d_y * _sigmoid(-x)
)
squareplus = Activation(
    "squareplus",
    lambda x: (x + np.sqrt(x * x + 4)) / 2,
    lambda x, y, d_y: d_y * (1 + x / np.sqrt(x * x + 4)) / 2,
    b=4,
)
tanh_shrink = Activation(
    "tanh_shrink",
    lambda x: x - np.tanh(x),
    lambda x, y, d_y: d_y * np.square(x - y),  # x - y is tanh(x)
)
celu = Activation("celu", elu.function, elu.backward, alpha=1.0)
sparse_plus = Activation("sparse_plus", sparse.sparse_plus, sparse.sparse_plus_backward)
sparse_sigmoid = Activation(
    "sparse_sigmoid",
    lambda x: np.clip((x + 1) / 2, 0, 1),
    lambda x, y, d_y: _within(x, -1, 1, 0.5, d_y),
)
sparsemax = Activation("sparsemax", sparse.sparsemax, sparse.sparsemax_backward, axis=-1)
soft_shrink = Activation(
    "soft_shrink",
    sparse.soft_shrink,
    lambda x, y, d_y: np.where(np.abs(x) <= 0.5, 0, d_y),
    threshold=0.5,
)
hard_shrink = Activation(
    "hard_shrink",
    sparse.hard_shrink,
    lambda x, y, d_y: np.where(np.abs(x) <= 0.5, 0, d_y),
    threshold=0.5,
)


def glu(x: Any, axis: int = -1) -> Any:
    """The first half of `x` along an axis times the sigmoid of the second.

    >>> glu([2.0, 0.0]).tolist()
    [1.0]
    """
    return tracing.activation("glu")(x, axis)


def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """`x` above `threshold`, else `default_value`.

    >>> threshold([-1.0, 2.0], 0.0, 5.0).tolist()
    [5.0, 2.0]
    """
    return tracing.activation("threshold")(x, threshold, default_value)


_BY_NAME: dict[str, Activation] = {
    activation.__name__: activation
    for activation in (
        linear,
        tanh,
        sigmoid,
        relu,
        hard_sigmoid,
        hard_sigmoid_keras2,
        softsign,
        softplus,
        elu,
        selu,
        silu,
        gelu,
        exponential,
        softmax,
        log_softmax,
        leaky_relu,
        relu6,
        hard_tanh,
        hard_silu,
        mish,
        log_sigmoid,
        squareplus,
        tanh_shrink,
        celu,
        sparse_plus,
        sparse_sigmoid,
        sparsemax,
        soft_shrink,
        hard_shrink,
    )
}
swish, hard_swish = silu, hard_silu
_ALIASES = {"swish": silu, "hard_swish": hard_silu}
_FUNCTIONS = {"glu": glu, "threshold": threshold}


_KIND = Kind(
    "activation function", "activations", Activation, {**_BY_NAME, **_ALIASES, **_FUNCTIONS}
)


def get(identifier: Any) -> Any:
    """The activation for a name, a callable, a configuration or None (linear).

    >>> get("tanh"), get(None)
    (<activation tanh>, <activation linear>)
    """
    return linear if identifier is None else _KIND.get(identifier)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The activation for a name or configuration; `custom_objects` names custom functions.

    >>> deserialize("relu"), deserialize("mine", custom_objects={"mine": tanh})
    (<activation relu>, <activation tanh>)
    """
    return linear if config is None else _KIND.deserialize(config, custom_objects)


def serialize(activation: Any) -> Any:
    """The name of a built-in activation; the configuration of a custom one.

    >>> serialize(tanh)
    'tanh'
    """
    if isinstance(activation, Activation) and _BY_NAME.get(activation.__name__) is activation:
        return activation.__name__
    return _KIND.serialize(activation)


def differentiable(activation: Any) -> Activation:
    """`activation` with a derivative, which for a plain callable is found by tracing it."""
    if isinstance(activation, Activation):
        return activation
    if not callable(activation):
        raise TypeError(
            f"`activation` must be a callable, received {activation!r}: `ferrnn.activations.get` "
            "finds one by its name"
        )
    name = getattr(activation, "__name__", repr(activation))

    def backward(x: Array, y: Array, d_y: Array) -> Array:
        _, vjp = tracing.differentiate(activation, x)
        grads = Gradients()
        d_x: Array = vjp(d_y, grads)
        if len(grads):
            raise NotImplementedError(
                f"the activation {name!r} has its own weights, which are trained only if it is a "
                "layer of its own: put it after the layer"
            )
        return d_x

    return Activation(name, lambda x: np.asarray(activation(x), x.dtype), backward)
