"""The base of all metrics, and the variables of custom ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs import config
from ferrnn._src.configs.names import name_scope, snake_case, unique_name
from ferrnn._src.configs.objects import Configured
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.results import Number, as_output
from ferrnn._src.tree.tree import map_structure
from ferrnn._src.tree.types import Array
from ferrnn._src.weights import initializers
from ferrnn._src.weights.gathering import Gathering
from ferrnn._src.weights.parameter import Parameter, note_change
from ferrnn._src.weights.weighted import shape_first


class Accumulator(Parameter):
    """A variable of a metric, which acts as a number too.

    >>> count = Accumulator(0.0, "count")
    >>> count.assign_add(3.0)
    >>> float(count + 1), float(count)
    (4.0, 3.0)
    """

    __slots__ = ()

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __format__(self, format_spec: str) -> str:
        return format(float(self) if format_spec else str(self.value), format_spec)


def _with_numpy(result: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Wraps `result` so that numbers and arrays have the method `numpy()`."""

    @functools.wraps(result)
    def converted(self: Any) -> Any:
        value = result(self)
        return Number(value) if isinstance(value, float) else as_output(value)

    return converted


class Metric(Gathering, Configured):
    """Something gathered from batches: `update_state`, `result`, `reset_state`.

    What it gathers lives in variables from `add_variable`, which start at zero and which
    `reset_state` sets to zero.

    >>> class Largest(Metric):
    ...     def __init__(self, name="largest", **kwargs):
    ...         super().__init__(name=name, **kwargs)
    ...         self.largest = self.add_variable((), "zeros", name="largest")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest.assign(np.maximum(self.largest, abs(y_true - y_pred).max()))
    ...     def result(self):
    ...         return float(self.largest)
    >>> metric = Largest()
    >>> metric(np.zeros(3), np.array([0.5, -2.0, 1.0]))
    2.0
    >>> metric.reset_state()
    >>> metric.result()
    0.0
    """

    # The better direction, for callbacks that compare: "up", "down", or None if unknown.
    _direction: str | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "result" in cls.__dict__:
            cls.result = _with_numpy(cls.__dict__["result"])  # type: ignore[assignment, method-assign]
        if "update_state" in cls.__dict__:
            cls.update_state = _outside_of_traces(cls.__dict__["update_state"])  # type: ignore[method-assign]

    def __init__(self, dtype: object = None, name: str | None = None) -> None:
        self.name = name or unique_name(snake_case(type(self).__name__))
        self._dtype = config.floatx() if dtype is None else str(getattr(dtype, "name", dtype))
        self._variables: list[Parameter] = []
        note_change()  # a model caches the metrics of its layers for each structure

    @property
    def dtype(self) -> str:
        """The dtype of results, by name."""
        return self._dtype

    @shape_first
    def add_variable(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "zeros",
        dtype: object = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Any:
        """An array that the metric keeps; `reset_state` sets it to zero."""
        if not hasattr(self, "_variables"):
            raise RuntimeError(
                "You forgot to call `super().__init__()` in the `__init__()` method. Go add it!"
            )
        kind = np.dtype(config.floatx() if dtype is None else str(dtype))
        # In its own dtype, as floats cannot hold all counts.
        if isinstance(initializer, np.ndarray):
            start = np.array(np.broadcast_to(initializer, tuple(shape)), kind)
        else:
            start = np.asarray(initializers.get(initializer or "zeros")(tuple(shape)), kind)
        with name_scope(self.name, self):
            made = Accumulator(start, name or "variable", trainable=False)
        self._variables.append(made)
        return made

    @shape_first
    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: object = None,
        name: str | None = None,
    ) -> Any:
        """An older name of `add_variable`."""
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Parameter]:
        """The metric's variables, also in lists and dicts, and those of metrics it holds."""
        held = [each for metric in self._held() for each in metric.variables]
        return list(dict.fromkeys([*self._own_variables(), *held]))

    def _own_variables(self) -> list[Parameter]:
        kept = (part for part in self._gathered() if isinstance(part, Parameter))
        return list(dict.fromkeys([*self._variables, *kept]))

    def _held(self) -> list[Metric]:
        return [part for part in self._gathered() if isinstance(part, Metric)]

    def _gathered(self) -> list[Any]:
        """The variables and metrics among the attributes, also in lists and dicts, each once."""
        found: list[Any] = []
        for value in vars(self).values():
            if isinstance(value, _KEPT):
                found.append(value)
            elif isinstance(value, _CONTAINERS) and value:
                found += (each for each in _parts(value) if isinstance(each, _KEPT))
        return list(dict.fromkeys(found))

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a batch, usually `(y_true, y_pred, sample_weight=None)`."""
        raise NotImplementedError(f"{type(self).__name__} must define `update_state`")

    def result(self) -> Any:
        """The value since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} must define `result`")

    def reset_state(self) -> None:
        """Sets every variable to zero."""
        kept = self._gathered()
        variables = (part for part in kept if isinstance(part, Parameter))
        for variable in dict.fromkeys((*self._variables, *variables)):
            variable.assign(np.zeros(variable.shape))
        for held in kept:
            if isinstance(held, Metric):
                held.reset_state()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a batch and returns the value so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


# The types of a metric's parts. (A tuple, as a union would be made anew at each call.)
_KEPT = (Parameter, Metric)
_CONTAINERS = (dict, list, tuple)


def _parts(value: Any) -> Iterator[Any]:
    """The entries of nested lists, tuples and dicts."""
    if isinstance(value, _CONTAINERS):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _parts(part)
    else:
        yield value


def _outside_of_traces(update: Callable[..., Any]) -> Callable[..., Any]:
    """`update_state` on plain arrays, as metrics take no part in gradients."""

    @functools.wraps(update)
    def untraced(self: Metric, *args: Any, **kwargs: Any) -> Any:
        if tracing.current.get() is None:
            return update(self, *args, **kwargs)
        args, kwargs = map_structure(tracing.plain, (args, kwargs))
        with tracing.suspended():
            return update(self, *args, **kwargs)

    return untraced


def plain(value: Any) -> Any:
    """A result as `fit` logs it: a float, or an array where it is one.

    >>> plain(np.float32(0.5)), plain(np.array([1.0, 2.0])).tolist()
    (0.5, [1.0, 2.0])
    """
    if isinstance(value, float):
        return float(value)
    array = np.asarray(value)
    return array.item() if array.ndim == 0 else array


def number_or_array(values: Array) -> Any:
    """A float for an array with one entry, else the array.

    >>> number_or_array(np.array([0.5]))
    0.5
    """
    return float(values[0]) if len(values) == 1 else values


def divided(over: ArrayLike, under: ArrayLike) -> Array:
    """`over / under`, and 0 where `under` is 0.

    >>> divided([1.0, 1.0], [2.0, 0.0]).tolist()
    [0.5, 0.0]
    """
    under = np.asarray(under)
    return np.asarray(np.asarray(over) / np.where(under == 0, 1, under) * (under != 0))
