"""Models for files, built by the same code with Keras and with ferrnn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def stack(keras: Any) -> Any:
    """A Sequential model, compiled with an optimizer that remembers."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 4), name="series"),
            layers.LSTM(3, return_sequences=True, name="enc"),
            layers.Dropout(0.25),
            layers.Bidirectional(layers.GRU(2, return_sequences=True), name="both"),
            layers.SimpleRNN(3, activation="relu", name="simple"),
            layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.01), name="dense"),
            layers.Dense(1, activation="sigmoid", name="last"),
        ],
        name="stack",
    )
    model.compile(keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    return model


def translation(keras: Any) -> Any:
    """An encoder and a decoder, a shared layer, a nested model, operators, two outputs."""
    layers = keras.layers
    source, target = keras.Input((4, 3), name="source"), keras.Input((5, 2), name="target")
    _, h, c = layers.LSTM(3, return_state=True, name="encoder")(source)
    decoded = layers.LSTM(3, return_sequences=True, name="decoder")(target, initial_state=[h, c])
    shared = layers.Dense(3, activation="tanh", name="shared")
    inner = keras.Sequential(
        [keras.Input((5, 3)), layers.Dense(4, name="wide"), layers.Dense(1, name="thin")],
        name="inner",
    )
    outputs = inner(shared(decoded) + shared(h)[:, None, :] * 2.0)
    model = keras.Model([source, target], [outputs, h - c / 3.0], name="translation")
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        loss=["mse", "mae"],
        loss_weights=[1.0, 0.5],
        metrics=[["mae"], None],
    )
    return model


def cells(keras: Any) -> Any:
    """A stack of cells, ids and their mask."""
    layers = keras.layers
    ids = keras.Input((7,), dtype="int32", name="ids")
    vectors = layers.Embedding(11, 3, mask_zero=True, name="vectors")(ids)
    stacked = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], name="stacked")(vectors)
    model = keras.Model(ids, layers.Dense(1, name="out")(stacked), name="cells")
    model.compile("rmsprop", loss="mse")
    return model


def functions(keras: Any) -> Any:
    """Functions of `ops` and operators between the layers."""
    keras.utils.clear_session()  # names of operations count from one
    ops, layers = keras.ops, keras.layers
    series = keras.Input((6, 4), name="series")
    outputs = layers.GRU(4, return_sequences=True, name="reader")(series)
    pooled = ops.concatenate([ops.mean(outputs, axis=1), ops.max(outputs, axis=1)], axis=-1)
    folded = ops.transpose(ops.reshape(pooled, (-1, 4, 2)), (0, 2, 1))
    scores = ops.softmax(ops.einsum("bij,bkj->bik", folded, folded))
    first, second = ops.split(ops.tanh(pooled), 2, axis=-1)
    sums = ops.expand_dims(ops.sum(scores, axis=(1, 2)), -1)
    taken = ops.take(first * second + ops.clip(sums, 0.5, 1.5), [0, 2], axis=1)
    kept = ops.cast(ops.where(taken > 0.9, taken, 0.1 * taken), "float32")
    model = keras.Model(series, layers.Dense(1, name="out")(kept), name="functions")
    model.compile(keras.optimizers.Adam(0.01), loss="mse")
    return model


MODELS = {"stack": stack, "translation": translation, "cells": cells, "functions": functions}


def data(name: str) -> tuple[Any, Any]:
    """Inputs and targets for a model."""
    rng = np.random.default_rng(5)

    def normal(*shape: int) -> NDArray[np.float32]:
        return np.round(rng.normal(size=shape) * 256).astype("float32") / 256

    if name == "stack":
        return normal(3, 6, 4), np.array([[0.0], [1.0], [1.0]], "float32")
    if name == "functions":
        return normal(3, 6, 4), normal(3, 1)
    if name == "translation":
        return [normal(3, 4, 3), normal(3, 5, 2)], [normal(3, 5, 1), normal(3, 3)]
    return rng.integers(0, 11, (3, 7)).astype("int32"), normal(3, 1)


def weights(shapes: list[tuple[int, ...]]) -> list[NDArray[np.float32]]:
    """Weights for a model that do not come from an initializer."""
    rng = np.random.default_rng(6)
    return [np.round(rng.normal(size=shape) * 128).astype("float32") / 256 for shape in shapes]
