"""The outputs of each layer of a model for some inputs, and the differences of two models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ferrnn._src.configs.plain import data_alone
from ferrnn._src.layer.serialization import layer_from, parts_inside
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.models.model import Model
from ferrnn._src.tree.tree import flatten
from ferrnn._src.tree.types import Array

# By layer: its outputs, in order.
Outputs = dict[str, list[Array]]


@dataclass(frozen=True)
class Difference:
    """The difference of a layer's outputs from the expected ones.

    `largest` is the largest difference, `scale` the largest expected output, and `ulp` is `largest`
    in units in the last place of `scale`, in the layer's dtype.
    """

    layer: str
    largest: float
    scale: float
    ulp: float


def layer_outputs(model: Any, inputs: Any) -> Outputs:
    """The outputs of each layer of a graph in inference, or of the whole model if it is code.

    A layer that is called several times is included once for each call. Stateful layers start from
    zeros; their states are restored afterwards.

    >>> from ferrnn.layers import GRU, Dense, Input
    >>> from ferrnn.models import Sequential
    >>> model = Sequential([Input((None, 2)), GRU(3, name="memory"), Dense(1, name="head")])
    >>> {name: each[0].shape for name, each in layer_outputs(model, np.ones((4, 5, 2))).items()}
    {'memory': (4, 3), 'head': (4, 1)}
    """
    with _from_zeros(model):
        graph = getattr(model, "_graph", None)
        if graph is None:
            return {model.name: _plain(model(inputs, training=False))}
        names, tensors = list[str](), list[Any]()
        for step in graph.steps:
            for tensor in flatten(step.node.outputs):
                names.append(
                    step.layer.name + (f" call {step.node.index}" if step.node.index else "")
                )
                tensors.append(tensor)
        found = _plain(Model(model.input, tensors)(inputs, training=False))
    made: Outputs = {}
    for name, array in zip(names, found, strict=True):
        made.setdefault(name, []).append(array)
    return made


def _plain(outputs: Any) -> list[Array]:
    return [np.asarray(each) for each in flatten(outputs)]


@contextmanager
def _from_zeros(model: Any) -> Iterator[None]:
    """A block in which stateful layers start from zeros."""
    kept = [each for each in parts_inside(model) if getattr(each, "stateful", False)]
    kept = [each for each in kept if hasattr(each, "_states")]
    before = [each._states for each in kept]
    try:
        for each in kept:
            each._states = None
        yield
    finally:
        for each, states in zip(kept, before, strict=True):
            each._states = states


def differences(found: Mapping[str, Sequence[Array]], expected: Outputs) -> list[Difference]:
    """The differences of layers' outputs from the expected ones, for layers that are in both."""
    return [
        _difference(layer, found[layer], arrays)
        for layer, arrays in expected.items()
        if layer in found
    ]


def _difference(layer: str, found: Sequence[Array], expected: Sequence[Array]) -> Difference:
    largest, scale, ulp = 0.0, 0.0, 0.0
    if len(found) != len(expected):
        return Difference(layer, np.inf, 0.0, np.inf)
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape:
            return Difference(layer, np.inf, 0.0, np.inf)
        alike = (one == other) | (np.isnan(one) & np.isnan(other))
        with np.errstate(invalid="ignore"):
            distance = np.where(alike, 0.0, np.abs(np.subtract(one, other, dtype=np.float64)))
        far = np.max(np.where(np.isnan(distance), np.inf, distance), initial=0.0)
        finite = np.abs(other)[np.isfinite(other)]
        own = float(np.max(finite, initial=0.0))
        dtype = one.dtype if one.dtype.kind == "f" else np.dtype(np.float64)
        unit = float(np.spacing(np.asarray(own, dtype))) or float(np.finfo(dtype).tiny)
        largest, scale = max(largest, float(far)), max(scale, own)
        ulp = max(ulp, float(far) / unit)
    return Difference(layer, largest, scale, ulp)


def reference(model: Any, fill: Callable[[Any], None]) -> Any:
    """The same model in float64, with recurrent cells step by step in NumPy; `fill` sets weights.

    The engine and this path have no arithmetic in common except NumPy's.
    """
    made: Any = layer_from(_doubled(data_alone(model.as_data())))
    shape = (model.as_data().get("build_config") or {}).get("input_shape")
    if not made.built and shape:
        made.build_from_config({"input_shape": shape})
    fill(made)
    for part in list(parts_inside(made)):
        cell = getattr(part, "cell", None)
        if isinstance(part, RNN):
            for each in getattr(cell, "cells", [cell]):
                kind = type(each)
                # The engine runs only built-in classes.
                each.__class__ = type(kind.__name__, (kind,), {})
    return made


def _doubled(value: Any) -> Any:
    """A configuration with every floating-point dtype replaced by float64."""
    if isinstance(value, Mapping):
        return {
            key: "float64" if _is_float(key, part) else _doubled(part)
            for key, part in value.items()
        }
    return [_doubled(part) for part in value] if isinstance(value, list) else value


def _is_float(key: str, part: Any) -> bool:
    if isinstance(part, Mapping) and part.get("class_name") == "DTypePolicy":
        part = part["config"]["name"]
    return key == "dtype" and isinstance(part, str) and "float" in part
