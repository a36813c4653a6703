"""The interface between parameters, layers and losses and the tracer of `ferrnn.ops`.

While a user's code is traced, parameters can be used in it as arrays, and each call of a layer,
activation or loss is one node. When nothing is traced, all this costs is a look at `current`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol
from typing import cast as cast_type

if TYPE_CHECKING:
    from ferrnn._src.weights.parameter import Gradients, Parameter


class Traced:
    """Marks an array of a running trace; `ferrnn._src.ops.tape` makes them."""

    __slots__ = ()

    shape: tuple[int, ...]
    ndim: int
    dtype: Any
    _value: Any


class Trace(Protocol):
    """One run of a user's code that is to be differentiated."""

    def parameter(self, parameter: Parameter) -> Any:
        """The parameter's value, traced if it is trainable."""

    def record(self, forward: Callable[[Any], tuple[Any, Any]], inputs: Any) -> Any:
        """The outputs of `forward(inputs) -> (outputs, vjp)`, as one node."""

    def leaf(self, value: Any) -> Any:
        """The traced array of a parameter; any other value unchanged."""

    def ufunc(self, ufunc: Any, method: str, inputs: Any, options: Any) -> Any:
        """A NumPy ufunc of which an operand is traced or a parameter."""

    def cast(self, value: Any, dtype: Any) -> Any:
        """`value` in another dtype."""

    def leaving(self, what: str) -> None:
        """Told of code that a trace cannot see; a trace without values refuses it."""

    @property
    def operation(self) -> Callable[[Callable[..., Any], Any, Any], Any] | None:
        """How a trace without values records an operation of `ferrnn.ops`; None in any other."""


class Tracer(Protocol):
    """The functions of the module `ferrnn._src.ops.tracer`."""

    def differentiate(
        self, function: Callable[[Any], Any], inputs: Any
    ) -> tuple[Any, Callable[[Any, Gradients], Any]]:
        """Outputs of a user's function and their vjp."""

    def call_layer(self, layer: Any, inputs: Any, call: Any) -> Any:
        """A layer's outputs while a trace runs."""

    def value_and_gradients(self, function: Callable[[], Any]) -> tuple[Any, Gradients]:
        """The value of a function without arguments, and its gradients for parameters."""

    def activation(self, name: str) -> Callable[..., Any]:
        """The operation that computes an activation, with its options."""


# The trace that runs now; None almost always.
current: ContextVar[Trace | None] = ContextVar("trace", default=None)
# Whether a trace runs, even if suspended: when it ends, traced arrays become plain ones.
running: ContextVar[bool] = ContextVar("running", default=False)


@cache
def _tracer() -> Tracer:
    """The tracer, which is loaded with the operations when users' code is first traced."""
    return cast_type("Tracer", import_module("ferrnn._src.ops.tracer"))


def differentiate(
    function: Callable[[Any], Any], inputs: Any
) -> tuple[Any, Callable[[Any, Gradients], Any]]:
    """`function(inputs)` and its `vjp(d_outputs, grads) -> d_inputs`, by tracing the function.

    Inputs and outputs are arrays in nested tuples, lists and dicts; the function is written in
    `ferrnn.ops`, operators and calls of layers. The pair is the one that `Layer.forward` gives.

    >>> import numpy as np
    >>> from ferrnn._src.weights.parameter import Gradients
    >>> outputs, vjp = differentiate(lambda x: x * x, np.array([3.0]))
    >>> outputs.tolist(), vjp(np.array([1.0]), Gradients()).tolist()
    ([9.0], [6.0])
    """
    return _tracer().differentiate(function, inputs)


def value_and_gradients(function: Callable[[], Any]) -> tuple[Any, Gradients]:
    """`function()` and its gradients for all trainable parameters that it uses.

    The function gives one number, or a tuple whose first entry is that number.

    >>> from ferrnn._src.weights.parameter import Parameter
    >>> weight = Parameter([3.0], "weight")
    >>> value, grads = value_and_gradients(lambda: (weight * weight).sum())
    >>> float(value), grads[weight].tolist()
    (9.0, [6.0])
    """
    return _tracer().value_and_gradients(function)


def record(forward: Callable[[Any], tuple[Any, Any]], inputs: Any) -> Any:
    """The outputs of `forward(inputs) -> (outputs, vjp)`, as one node of the running trace."""
    trace = current.get()
    assert trace is not None
    return trace.record(forward, inputs)


def call_layer(layer: Any, inputs: Any, call: Any) -> Any:
    """A layer's outputs while a trace runs: one node with the layer's own vjp."""
    return _tracer().call_layer(layer, inputs, call)


def activation(name: str) -> Callable[..., Any]:
    """The operation that computes an activation, with its options or on symbolic tensors."""
    return _tracer().activation(name)


def traced_parameter(value: Any) -> Any:
    """The traced array of a parameter in the running trace; any other value unchanged."""
    trace = current.get()
    return value if trace is None else trace.leaf(value)


def cast(value: Traced, dtype: Any) -> Any:
    """A traced value in another dtype; the value itself if it has it."""
    trace = current.get()
    return value if value.dtype == dtype or trace is None else trace.cast(value, dtype)


def leaving(what: str) -> None:
    """Tells the running trace, if there is one, about something that it cannot see."""
    trace = current.get()
    if trace is not None:
        trace.leaving(what)


@contextmanager
def suspended() -> Iterator[None]:
    """A block in which code computes with plain arrays, even while a trace runs."""
    token = current.set(None)
    try:
        yield
    finally:
        current.reset(token)


def plain(value: Any) -> Any:
    """The array of a traced value; any other value unchanged."""
    return value._value if isinstance(value, Traced) else value
