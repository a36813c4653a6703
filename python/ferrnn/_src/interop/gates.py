"""The order of gates in other frameworks' weights, and in ours (Keras'): LSTM `ifco`, GRU `zrh`."""

from __future__ import annotations

import numpy as np

from ferrnn._src.tree.types import Array

# The index of each of our gates among PyTorch's: LSTM i, f, g, o; GRU r, z, n.
TORCH = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2), "RNN": (0,)}
# The same among ONNX's: LSTM i, o, f, c; GRU z, r, h.
ONNX = {"LSTM": (0, 2, 3, 1), "GRU": (0, 1, 2), "RNN": (0,)}


def ordered(weight: Array, order: tuple[int, ...]) -> Array:
    """The gates along the first axis in our order.

    >>> ordered(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), TORCH["GRU"]).tolist()
    [3.0, 4.0, 1.0, 2.0, 5.0, 6.0]
    """
    gates = np.split(weight, len(order), axis=0)
    return np.concatenate([gates[at] for at in order], axis=0)


def from_ours(weight: Array, order: tuple[int, ...]) -> Array:
    """The gates along the first axis, from our order to the other one: the inverse of `ordered`.

    >>> from_ours(ordered(np.arange(6.0), TORCH["GRU"]), TORCH["GRU"]).tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """
    return ordered(weight, tuple(order.index(gate) for gate in range(len(order))))
