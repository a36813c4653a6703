"""Initial values of weights, with Keras' names, distributions and configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.config import standardize_dtype
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.initializer import Initializer, RandomInitializer
from ferrnn._src.weights.random_initializers import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "IdentityInitializer",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "OrthogonalInitializer",
    "RandomInitializer",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "deserialize",
    "get",
    "serialize",
]


class Zeros(Initializer):
    """Zeros.

    >>> Zeros()((2,)).tolist()
    [0.0, 0.0]
    """

    def __call__(self, shape: Sequence[int], dtype: object = None) -> Array:
        return np.zeros(tuple(shape), standardize_dtype(dtype))


class Ones(Initializer):
    """Ones.

    >>> Ones()((2,)).tolist()
    [1.0, 1.0]
    """

    def __call__(self, shape: Sequence[int], dtype: object = None) -> Array:
        return np.ones(tuple(shape), standardize_dtype(dtype))


class Constant(Initializer):
    """One value everywhere.

    >>> Constant(2.5)((2,)).tolist()
    [2.5, 2.5]
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: object = None) -> Array:
        return np.full(tuple(shape), self.value, standardize_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class Identity(Initializer):
    """The identity matrix times `gain`.

    >>> Identity()((2, 2)).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: object = None) -> Array:
        rows, columns = _matrix_shape(shape, "Identity")
        return np.multiply(np.eye(rows, columns), self.gain).astype(standardize_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


OrthogonalInitializer = Orthogonal
IdentityInitializer = Identity

_CLASSES: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "zero": Zeros,
    "ones": Ones,
    "one": Ones,
    "constant": Constant,
    "identity": Identity,
    "eye": Identity,
    "random_normal": RandomNormal,
    "normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "random_uniform": RandomUniform,
    "uniform": RandomUniform,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "orthogonal": Orthogonal,
}
_CLASSES |= {kind.__name__: kind for kind in _CLASSES.values()}
_CLASSES |= {"OrthogonalInitializer": Orthogonal, "IdentityInitializer": Identity}


def get(identifier: Any) -> Any:
    """The initializer for a name, class, configuration, callable or initializer.

    >>> get("glorot_uniform")((3, 4)).shape
    (3, 4)
    """
    if identifier is None:
        return None
    if isinstance(identifier, str) and identifier in _CLASSES:
        return _CLASSES[identifier]()
    if isinstance(identifier, dict) and identifier.get("class_name") in _CLASSES:
        kind = _CLASSES[identifier["class_name"]]
        return kind.from_config(dict(identifier.get("config") or {}))
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret initializer identifier: {identifier!r}")


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer for a name or configuration; `custom_objects` names classes of your own.

    >>> deserialize({"class_name": "Constant", "config": {"value": 3.0}})((2,)).tolist()
    [3.0, 3.0]
    """
    name = config.get("class_name") if isinstance(config, dict) else config
    if isinstance(name, str) and name in (custom_objects or {}):
        kind = (custom_objects or {})[name]
        settings = dict(config.get("config") or {}) if isinstance(config, dict) else {}
        return kind.from_config(settings) if hasattr(kind, "from_config") else kind
    return get(config)


def serialize(initializer: Any) -> Any:
    """The configuration of an initializer, as plain data.

    >>> serialize(Zeros())["class_name"]
    'Zeros'
    """
    if not isinstance(initializer, Initializer):
        return initializer
    known = _CLASSES.get(type(initializer).__name__) is type(initializer)
    return {
        "module": "keras.initializers" if known else type(initializer).__module__,
        "class_name": type(initializer).__name__,
        "config": initializer.get_config(),
        "registered_name": None if known else type(initializer).__name__,
    }


def _matrix_shape(shape: Sequence[int], kind: str) -> tuple[int, int]:
    if len(shape) != 2:
        raise ValueError(f"`shape` must have 2 axes for {kind}, received {tuple(shape)}")
    return shape[0], shape[1]
