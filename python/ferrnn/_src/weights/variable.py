"""`Variable`: a parameter with Keras' constructor."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.config import floatx
from ferrnn._src.configs.names import unique_name
from ferrnn._src.weights.parameter import Parameter


class _Kind(ABCMeta):
    """Makes `isinstance(weight, Variable)` true for every weight, however it was made."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Parameter)


class Variable(Parameter, metaclass=_Kind):
    """An array that a custom layer, metric or training step may change.

    `initializer` is a value, or a function of `(shape, dtype)` with the shape given. Numbers and
    lists are float32 or int32 (`floatx`), arrays keep their dtype. `autocast`, `aggregation` and
    `synchronization` are accepted for compatibility and have no effect.

    >>> steps = Variable(0, name="steps")
    >>> steps.assign_add(2)
    >>> steps.numpy().item(), steps.dtype.name, float(steps * 0.5)
    (2, 'int32', 1.0)
    """

    __slots__ = ()

    def __init__(
        self,
        initializer: Any,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str = "auto",
        name: str | None = None,
    ) -> None:
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                "Argument `name` must be a string and cannot contain character `/`. "
                f"Received: name={name!r}"
            )
        super().__init__(
            _value(initializer, shape, dtype),
            unique_name("variable") if name is None else name,
            trainable=trainable,
        )


def _value(initializer: Any, shape: Sequence[int] | None, dtype: Any) -> Any:
    if callable(initializer) and not isinstance(initializer, Parameter):
        if shape is None:
            raise ValueError(
                "When creating a Variable from an initializer, the `shape` argument should be "
                f"specified. Received: initializer={initializer!r} and shape=None"
            )
        kind = floatx() if dtype is None else dtype
        return np.asarray(initializer(tuple(shape), dtype=kind), kind)
    value = np.asarray(initializer)
    if shape is not None and value.shape != tuple(shape):
        raise ValueError(
            f"`initializer` of a Variable must have the given shape {tuple(shape)}, received a "
            f"value of the shape {value.shape}"
        )
    if dtype is None and not isinstance(initializer, np.ndarray | np.generic | Parameter):
        dtype = {"f": floatx(), "i": "int32"}.get(value.dtype.kind)
    return value if dtype is None else value.astype(dtype)
