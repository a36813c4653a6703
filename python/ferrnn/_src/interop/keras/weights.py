"""Weights of earlier versions of Keras, converted to today's layout.

In a file the weights of a layer are one list: the trainable weights of all layers and cells inside,
in order, then the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Parameter

Found: TypeAlias = list[tuple[Parameter, Array]]

_GATES = {"LSTMCell": 4, "GRUCell": 3, "ConvLSTMCell": 4}
# The index of each of our gates in Keras 1: i, c, f, o for an LSTM, z, r, h for a GRU.
_KERAS1 = {4: (0, 2, 1, 3), 3: (0, 1, 2)}


@dataclass(frozen=True)
class Dialect:
    """The major version of Keras that wrote a file, and whether it ran on Theano."""

    major: int
    theano: bool = False


@dataclass(frozen=True)
class _Group:
    """Weights of one layer or cell, its class, and whether they are trainable."""

    kind: str
    weights: list[Parameter]
    changes: bool


def converted(layer: Any, arrays: Sequence[Array], dialect: Dialect) -> Found:
    """The weights of a layer, with those inside, and their values from a file.

    Raises:
        ValueError: The number or the shapes of the arrays are wrong.
    """
    groups = list(_groups(layer))
    ordered = [group for group in groups if group.changes]
    ordered += [group for group in groups if not group.changes]
    found, left = _taken(layer, ordered, arrays, dialect)
    if left:
        raise _mismatch(layer, arrays)
    return found


def converted_slots(
    layers: Sequence[Any], weights: Sequence[Parameter], arrays: Sequence[Array], dialect: Dialect
) -> list[Array]:
    """The slots of an optimizer for the weights of layers, slot by slot, in the weights' order.

    Raises:
        ValueError: The arrays are not those of these weights, repeated for each slot.
    """
    made: list[Array] = []
    left = list(arrays)
    while left:
        known: dict[Parameter, Array] = {}
        for layer in layers:
            groups = [group for group in _groups(layer) if group.changes]
            found, left = _taken(layer, groups, left, dialect)
            known.update(found)
        if not known or set(known) != set(weights):
            raise ValueError("the optimizer's variables do not match the weights")
        made += [known[weight] for weight in weights]
    return made


def count_trained(layer: Any, arrays: Sequence[Array]) -> int:
    """The number of a layer's arrays, from the first on, that are trainable."""
    taken = 0
    for group in _groups(layer):
        taken += _count(group, arrays[taken:]) if group.changes else 0
    return taken


def _taken(
    layer: Any, groups: Sequence[_Group], arrays: Sequence[Array], dialect: Dialect
) -> tuple[Found, list[Array]]:
    """The values of some weights from the first arrays, and the remaining arrays."""
    found: Found = []
    left = list(arrays)
    for group in groups:
        count = _count(group, left)
        values, left = left[:count], left[count:]
        if len(values) < count:
            raise _mismatch(layer, arrays)
        made = _values(group, values, dialect)
        if len(made) != len(group.weights):
            raise _mismatch(layer, arrays)
        for weight, value in zip(group.weights, made, strict=True):
            if weight.shape != value.shape:
                raise ValueError(
                    f"the weight {weight.path!r} of {layer.name!r} must have the shape "
                    f"{weight.shape}, received {value.shape}"
                )
            found.append((weight, value))
    return found, left


def _mismatch(layer: Any, arrays: Sequence[Array]) -> ValueError:
    return ValueError(
        f"the layer {layer.name!r} expects {len(layer.weights)} weights of the shapes "
        f"{[weight.shape for weight in layer.weights]}, but the file has {len(arrays)} of the "
        f"shapes {[array.shape for array in arrays]}"
    )


def _groups(layer: Any) -> Iterator[_Group]:
    """The weights of each layer or cell inside, divided into trainable ones and others."""
    seen: set[Parameter] = set()
    changing = set(layer.trainable_weights)
    for part in _parts(layer):
        own = [weight for weight in part._own_parameters() if weight not in seen]
        seen.update(own)
        for changes in (True, False):
            alike = [weight for weight in own if (weight in changing) is changes]
            if alike:
                yield _Group(type(part).__name__, alike, changes)


def _parts(layer: Any) -> Iterator[Any]:
    yield layer
    for inner in layer.sublayers():
        yield from _parts(inner)


def _count(group: _Group, arrays: Sequence[Array]) -> int:
    """The number of arrays of a layer or cell, of which Keras 1 had some for each gate."""
    gates, weights = _GATES.get(group.kind), group.weights
    split = gates and arrays and arrays[0].shape[-1:] == (weights[0].shape[-1] // gates,)
    return len(weights) * gates if gates and split else len(weights)


def _values(group: _Group, arrays: Sequence[Array], dialect: Dialect) -> list[Array]:
    gates = _GATES.get(group.kind)
    if gates and len(arrays) == len(group.weights) * gates:
        return _joined(arrays, gates)
    convert = _RULES.get(group.kind)
    return list(arrays) if convert is None else convert(group.weights, arrays, dialect)


def _joined(arrays: Sequence[Array], gates: int) -> list[Array]:
    """Kernel, recurrent kernel and bias in our order, from arrays for each gate."""
    per_gate = len(arrays) // gates
    order = _KERAS1[gates]
    return [
        np.concatenate([arrays[at * per_gate + part] for at in order], axis=-1)
        for part in range(per_gate)
    ]


def _lstm(weights: Sequence[Parameter], arrays: Sequence[Array], dialect: Dialect) -> list[Array]:
    """The weights of an LSTM; cuDNN's has two biases to add, and transposed matrices."""
    made = list(arrays)
    if len(made) == 3 and made[2].shape == (2 * made[1].shape[-1],):
        kernel, recurrent, bias = made
        return [*_from_cudnn(kernel, recurrent, 4), bias.reshape(2, -1).sum(axis=0)]
    return made


def _gru(weights: Sequence[Parameter], arrays: Sequence[Array], dialect: Dialect) -> list[Array]:
    """The weights of a GRU; the bias shows the variant: one row, two, or cuDNN's two in one."""
    made = list(arrays)
    if len(made) == 3 and made[2].shape == (2 * made[1].shape[-1],):
        kernel, recurrent, bias = made
        return [*_from_cudnn(kernel, recurrent, 3), bias.reshape(2, -1)]
    return made


def _from_cudnn(kernel: Array, recurrent: Array, gates: int) -> list[Array]:
    parts = np.split(kernel, gates, axis=1)
    made = [np.reshape(part.T, part.shape, order="F") for part in parts]
    return [
        np.concatenate(made, axis=1),
        np.concatenate([part.T for part in np.split(recurrent, gates, axis=1)], axis=1),
    ]


def _convolution(
    weights: Sequence[Parameter], arrays: Sequence[Array], dialect: Dialect
) -> list[Array]:
    """The kernel of a Conv1D: Keras 1 has a second axis of length 1, and Theano reverses it."""
    kernel, *rest = arrays
    if kernel.ndim == 4:
        length, _, filters = weights[0].shape
        if kernel.shape[:2] != (length, 1) or kernel.shape[3] != filters:
            kernel = kernel.transpose(2, 3, 1, 0)  # Keras 1.0: filters, features, length, 1
        if kernel.shape[1] == 1:
            kernel = kernel[:, 0]
    if dialect.theano:
        kernel = kernel[::-1]
    return [kernel, *rest]


_RULES: dict[str, Callable[[Sequence[Parameter], Sequence[Array], Dialect], list[Array]]] = {
    "LSTMCell": _lstm,
    "GRUCell": _gru,
    "Conv1D": _convolution,
}
