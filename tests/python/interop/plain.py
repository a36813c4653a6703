"""Forward passes in float64 and plain NumPy, in Keras' layout, without the package's code."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def sigmoid(x: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def hard_sigmoid_of_keras_2(x: Array) -> Array:
    return np.clip(0.2 * x + 0.5, 0, 1)


def elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def dense(x: Array, kernel: Any, bias: Any = 0.0) -> Array:
    return np.asarray(x @ np.asarray(kernel, "f8") + np.asarray(bias, "f8"))


def lstm(
    x: Any, weights: Any, gate: Callable[[Array], Array] = sigmoid, start: Any = (0.0, 0.0)
) -> Array:
    """The outputs of all steps of `x` [batch, time, features]; gates in the order i, f, c, o."""
    kernel, recurrent, bias = (np.asarray(each, "f8") for each in weights)
    x = np.asarray(x, "f8")
    h, c = (np.broadcast_to(state, (len(x), len(recurrent))) for state in start)
    outputs = []
    for step in range(x.shape[1]):
        z_i, z_f, z_c, z_o = np.split(x[:, step] @ kernel + h @ recurrent + bias, 4, axis=-1)
        c = gate(z_f) * c + gate(z_i) * np.tanh(z_c)
        h = gate(z_o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def of_torch(state: dict[str, Array], prefix: str) -> list[Array]:
    """The weights of an LSTM of PyTorch: its gates have the same order, its matrices are
    transposed."""
    names = [key for key in state if key.startswith(f"{prefix}.")]
    w_ih, w_hh = (
        next(state[key] for key in names if f"weight_{part}" in key) for part in ("ih", "hh")
    )
    bias = sum(np.asarray(state[key], "f8") for key in names if "bias" in key)
    return [w_ih.T, w_hh.T, np.asarray(bias)]


def convolution(x: Array, weight: Any, bias: Any = 0.0, stride: int = 1, width: int = 0) -> Array:
    """`[batch, channels, time]` with a kernel of PyTorch's `[filters, channels, taps]`."""
    weight = np.asarray(weight, "f8")
    padded = np.pad(x, ((0, 0), (0, 0), (width, width)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2], axis=2)
    found = np.einsum("bctk,fck->bft", windows[:, :, ::stride], weight)
    return np.asarray(found + np.reshape(np.asarray(bias, "f8"), (-1, 1)))
