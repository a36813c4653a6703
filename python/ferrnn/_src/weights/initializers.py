"""Initial values of weights, with Keras' names, distributions and configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs.config import standardize_dtype
from ferrnn._src.configs.objects import Kind, plain
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
from ferrnn._src.weights.spectral import STFT

__all__ = [
    "STFT",
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
    "STFTInitializer",
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
        return {"value": plain(self.value)}


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
STFTInitializer = STFT

_KIND = Kind(
    "initializer",
    "initializers",
    Initializer,
    {
        "zero": Zeros,
        "one": Ones,
        "eye": Identity,
        "normal": RandomNormal,
        "uniform": RandomUniform,
        "stft": STFT,
    },
)


def get(identifier: Any) -> Any:
    """The initializer for a name, class, configuration, callable, array or initializer.

    >>> get("glorot_uniform")((3, 4)).shape
    (3, 4)
    """
    return _given(identifier) if isinstance(identifier, np.ndarray) else _KIND.get(identifier)


def _given(values: Array) -> Any:
    """An initializer that returns the values of an array, for weights of that shape only."""

    def initializer(shape: Sequence[int], dtype: object = None) -> Array:
        if tuple(shape) != values.shape:
            raise ValueError(
                f"Expected `shape` to be {values.shape}, the shape of the array that was given as "
                f"the initializer. Received: shape={tuple(shape)}"
            )
        return np.array(values, standardize_dtype(dtype))

    return initializer


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer for a name or configuration; `custom_objects` names custom classes.

    >>> deserialize({"class_name": "Constant", "config": {"value": 3.0}})((2,)).tolist()
    [3.0, 3.0]
    """
    return _KIND.deserialize(config, custom_objects)


def serialize(initializer: Any) -> Any:
    """The configuration of an initializer, as plain data; a function by its name.

    >>> serialize(Zeros())["class_name"]
    'Zeros'
    """
    return _KIND.serialize(initializer)


def _matrix_shape(shape: Sequence[int], kind: str) -> tuple[int, int]:
    if len(shape) != 2:
        raise ValueError(
            f"{kind} matrix initializer can only be used for 2D matrices. Received: "
            f"shape={tuple(shape)} of rank {len(shape)}."
        )
    return shape[0], shape[1]
