"""`check_vjp`: verifies gradients, for authors of layers and cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients, Parameter


def check_vjp(
    forward: Callable[[Any], tuple[Any, Any]],
    inputs: Any,
    parameters: Sequence[Parameter] = (),
    *,
    eps: float = 3e-6,
    rtol: float = 1e-6,
    seed: int = 0,
) -> None:
    """Compares a vjp with central differences along random directions, in float64.

    `forward(inputs) -> (outputs, vjp)` takes and gives an array, or arrays in nested tuples, lists
    and dicts; `vjp(d_outputs, grads) -> d_inputs`. Raises AssertionError if a gradient is wrong,
    zero everywhere (which proves nothing), of a wrong shape, or not the same when asked for twice;
    ValueError for anything but float64. An error is judged against what a gradient of that length
    gives along a random direction.

    >>> from ferrnn._src.activations.activations import tanh
    >>> def forward(x):
    ...     y = tanh(x)
    ...     return y, lambda d_y, grads: tanh.backward(x, y, d_y)
    >>> check_vjp(forward, np.array([0.5, -1.0]))
    """
    rng = np.random.default_rng(seed)
    inputs = _map(lambda array: np.array(_float64(array, "inputs")), inputs)
    for parameter in parameters:
        _float64(parameter.value, f"the parameter {parameter.path!r}")
    outputs, vjp = forward(inputs)
    if vjp is None:
        raise ValueError(
            "`forward` must return a vjp, received None: call the layer with "
            "`Call(differentiable=True)`"
        )
    d_outputs = _map(lambda y: rng.normal(size=_float64(y, "outputs").shape), outputs)
    grads, again = Gradients(), Gradients()
    d_inputs = vjp(d_outputs, grads)
    _check_pure(d_inputs, vjp(d_outputs, again), grads, again)

    def loss() -> float:
        changed, _ = forward(inputs)
        pairs = zip(_leaves(d_outputs), _leaves(changed), strict=True)
        return float(sum(np.vdot(d, y) for d, y in pairs))

    pairs = zip(_leaves(inputs), _leaves(d_inputs), strict=True)
    for index, (array, gradient) in enumerate(pairs):
        slope = _Slope(loss, rng, eps, rtol)
        slope.check(f"input {index}", gradient, _Input(array))
    for parameter in parameters:
        if parameter not in grads:
            raise AssertionError(f"the vjp gave no gradient for {parameter.path!r}")
        slope = _Slope(loss, rng, eps, rtol)
        slope.check(parameter.path, grads[parameter], parameter)


class _Input:
    """An input that is written to in place, with the names of `Parameter`."""

    def __init__(self, array: Array) -> None:
        self.value = array
        self.shape = array.shape

    def assign(self, value: Array) -> None:
        self.value[...] = value


class _Slope:
    """The slope of a loss along random directions of one array."""

    def __init__(
        self, loss: Callable[[], float], rng: np.random.Generator, eps: float, rtol: float
    ) -> None:
        self.loss, self.rng, self.eps, self.rtol = loss, rng, eps, rtol

    def check(self, name: str, gradient: Array, target: _Input | Parameter) -> None:
        shape = target.shape
        if gradient is None or np.shape(gradient) != shape:
            raise AssertionError(
                f"the gradient for {name} must have the shape {shape}, received "
                f"{None if gradient is None else np.shape(gradient)}"
            )
        if not np.any(gradient):
            raise AssertionError(
                f"the gradient for {name} is zero everywhere, which proves nothing: choose other "
                "inputs"
            )
        origin = np.array(target.value)
        for _ in range(2):
            direction = self.rng.normal(size=shape)
            direction /= np.linalg.norm(direction)
            expected, allowed = self._difference(target, origin, self.eps * direction)
            received = float(np.vdot(gradient, direction))
            scale = float(np.linalg.norm(gradient)) / np.sqrt(gradient.size)
            allowed += self.rtol * max(scale, abs(expected))
            if not abs(received - expected) <= allowed:
                # A difference over twice the step shows the error of this one.
                wider, _ = self._difference(target, origin, 2 * self.eps * direction)
                allowed += 2 * abs(wider - expected)
            if not abs(received - expected) <= allowed:
                raise AssertionError(
                    f"the gradient for {name} is wrong: expected the slope {expected!r} along a "
                    f"random direction, by central differences, received {received!r}"
                )

    def _difference(
        self, target: _Input | Parameter, origin: Array, step: Array
    ) -> tuple[float, float]:
        """The central difference, and how much the rounding of the two losses may change it."""
        ahead, behind = self._at(target, origin + step), self._at(target, origin - step)
        target.assign(origin)
        length = float(np.linalg.norm(step))
        rounding = 4 * np.finfo(np.float64).eps * (abs(ahead) + abs(behind)) / length
        return (ahead - behind) / (2 * length), rounding

    def _at(self, target: _Input | Parameter, value: Array) -> float:
        target.assign(value)
        return self.loss()


def _check_pure(first: Any, second: Any, grads: Gradients, again: Gradients) -> None:
    """Checks that two calls of the vjp gave the same gradients."""
    pairs = [*zip(_leaves(first), _leaves(second), strict=True)]
    pairs += [(gradient, again[parameter]) for parameter, gradient in grads.items()]
    if len(grads) != len(again) or not all(np.array_equal(one, two) for one, two in pairs):
        raise AssertionError("the vjp must be pure, but gave different gradients when called twice")


def _float64(value: Any, name: str) -> Array:
    array = np.asarray(value)
    if array.dtype != np.float64:
        raise ValueError(f"{name} must be float64 for finite differences, received {array.dtype}")
    return array


def _map(function: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_map(function, part) for part in value)
    if isinstance(value, dict):
        return {key: _map(function, value[key]) for key in sorted(value)}
    return function(value)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from _leaves(value[key])
    else:
        yield value
