"""The layers of `layer_cost.py`, each with the arithmetic that it needs at least."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ferrnn import Layer, layers
from ferrnn._core import DenseWeights, Problem, rnn_backward, rnn_forward
from ferrnn._src.native import (
    NormalizationWeights,
    activate,
    attention_backward,
    attention_forward,
    dense_backward,
    dense_forward,
    embedding_backward,
    embedding_forward,
    max_pool,
    max_pool_backward,
    noise,
    normalization_backward,
    normalization_forward,
)
from ferrnn._src.sequence.fused import packed_weights

BATCH, STEPS, FEATURES = 8, 10, 8

Run = Callable[[], object]
X, Y = (np.random.default_rng(n).normal(size=(BATCH, STEPS, FEATURES)).astype("f4") for n in (1, 2))
FLAT = X[:, 0].copy()
IDS = np.random.default_rng(3).integers(0, 50, (BATCH, STEPS))
D = np.ones_like(X)


def nothing() -> None:
    """A layer that only reinterprets its input."""


def cases() -> Iterator[tuple[str, Layer, Any, Run, Run]]:
    """Name, layer, input, and the arithmetic of forward and backward."""
    yield from _recurrent()
    yield from _weighted()
    yield from _normalizing()
    yield from _shaping()
    yield from _merging()
    yield from _attending()


def _recurrent() -> Iterator[tuple[str, Layer, Any, Run, Run]]:
    for kind in (layers.LSTM, layers.GRU, layers.SimpleRNN):
        layer = kind(8, return_sequences=True)
        layer.build(X.shape)
        forward, backward = _engine(layer)
        yield kind.__name__, layer, X, forward, backward
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True))
    both.build(X.shape)
    ahead, ahead_back = _engine(both.forward_layer, d_outputs=D[..., :4])
    behind, behind_back = _engine(both.backward_layer, d_outputs=D[:, ::-1, 4:])
    half = np.ascontiguousarray(X[..., :4])

    def both_forward() -> None:
        ahead(), behind()
        np.concatenate((half, half[:, ::-1]), -1)

    def both_backward() -> None:
        ahead_back(), behind_back()
        np.add(X, X)

    yield "Bidirectional LSTM", both, X, both_forward, both_backward


def _engine(layer: Any, d_outputs: Any = D) -> tuple[Run, Run]:
    """The calls of the engine that a recurrent layer of all outputs needs."""
    weights = packed_weights(layer.cell)

    def forward() -> Any:
        problem = Problem(weights, X, None, None, None, None, layer.go_backwards)
        return problem, rnn_forward(weights, problem, True, False)

    problem, (outputs, _, residuals) = forward()
    return forward, lambda: rnn_backward(weights, residuals, problem, outputs, d_outputs)


def _weighted() -> Iterator[tuple[str, Layer, Any, Run, Run]]:
    dense = layers.Dense(8)
    dense.build(X.shape)
    weights, _ = dense.native_parts()
    rows = X.reshape(-1, FEATURES)
    d_rows = np.ones_like(rows)
    outputs, saved = dense_forward(weights, rows, True)
    yield (
        "Dense",
        dense,
        X,
        lambda: dense_forward(weights, rows, True),
        lambda: dense_backward(weights, rows, outputs, saved, d_rows, True),
    )
    yield (
        "TimeDistributed Dense",
        layers.TimeDistributed(layers.Dense(8)),
        X,
        lambda: dense_forward(weights, rows, True),
        lambda: dense_backward(weights, rows, outputs, saved, d_rows, True),
    )
    # Each window is a row; the two between samples belong to nobody.
    count, width = BATCH * (STEPS + 2) - 2, 3 * FEATURES
    kernel = np.ones((width, 8), np.float32)
    kernel_weights = DenseWeights(kernel, np.ones(8, np.float32), "relu")

    def convolved() -> Any:
        longer = np.zeros((BATCH, STEPS + 2, FEATURES), np.float32)
        longer[:, 2:] = X
        wide = np.ndarray((count, width), np.float32, longer, 0, (4 * FEATURES, 4))
        return wide, dense_forward(kernel_weights, wide, True)

    wide, (linear, kept) = convolved()

    def convolved_back() -> None:
        d_longer = np.zeros((BATCH, STEPS + 2, FEATURES), np.float32)
        d_longer[:, :STEPS] = D
        d_linear = d_longer.reshape(-1, FEATURES)[:count]
        d_wide, _ = dense_backward(kernel_weights, wide, linear, kept, d_linear, True)
        strides = (4 * (STEPS + 2) * width, 4 * width, 4)
        d_windows = np.ndarray((BATCH, STEPS, width), np.float32, d_wide, 0, strides)
        d_longer = np.zeros((BATCH, STEPS + 2, FEATURES), np.float32)
        for at in range(3):
            own = d_longer[:, at : at + STEPS]
            np.add(own, d_windows[..., at * FEATURES : (at + 1) * FEATURES], own)

    convolution = layers.Conv1D(8, 3, padding="causal", activation="relu")
    yield "Conv1D", convolution, X, convolved, convolved_back
    table = np.ones((50, 8), np.float32)
    yield (
        "Embedding",
        layers.Embedding(50, 8, mask_zero=True),
        IDS,
        lambda: embedding_forward(table, IDS),
        lambda: (embedding_backward(IDS, D, 50), np.zeros(IDS.shape, np.float32)),
    )
    yield (
        "LeakyReLU",
        layers.LeakyReLU(),
        X,
        lambda: np.where(X > 0, X, X * np.float32(0.3)),
        lambda: D * np.where(X > 0, np.float32(1), np.float32(0.3)),
    )
    yield "Activation relu", layers.Activation("relu"), X, lambda: activate("relu", X), _twice


def _twice() -> object:
    return np.multiply(np.greater(X, 0), D)


def _normalizing() -> Iterator[tuple[str, Layer, Any, Run, Run]]:
    gamma = np.ones(FEATURES, np.float32)
    weights = NormalizationWeights(FEATURES, 1e-3, gamma, gamma)
    kept = normalization_forward(weights, X, True)[1]
    yield (
        "LayerNormalization",
        layers.LayerNormalization(),
        X,
        lambda: normalization_forward(weights, X, True),
        lambda: normalization_backward(weights, X, kept, D, (True, True, True)),
    )
    rows = X.reshape(-1, FEATURES)

    moving = [gamma.copy(), gamma.copy()]
    count, most, little = (np.array(number, np.float32) for number in (80, 0.99, 0.01))

    def batch_forward() -> None:
        mean = np.add.reduce(rows, 0) / count
        normalized = rows - mean
        variance = np.add.reduce(np.square(normalized), 0) / count
        for array, value in zip(moving, (mean, variance), strict=True):
            np.multiply(array, most, array)
            np.add(array, value * little, array)
        normalized *= np.reciprocal(np.sqrt(variance + little))
        outputs = normalized * gamma
        np.add(outputs, gamma, outputs)

    def batch_backward() -> None:
        shift = np.add.reduce(rows, 0) / count
        change = rows * (np.add.reduce(rows * rows, 0) / count)
        change += shift
        np.subtract(rows, change, change)
        change *= gamma * gamma

    yield "BatchNormalization", layers.BatchNormalization(), X, batch_forward, batch_backward
    mask = np.ones_like(X)

    def dropping() -> None:
        np.multiply(X, noise(1, 2, X.shape, 1 << 30, 1.3))

    yield "Dropout", layers.Dropout(0.25), X, dropping, lambda: np.multiply(D, mask)

    def adding() -> None:
        np.add(X, noise(1, 2, X.shape, None, 0.1))

    yield "GaussianNoise", layers.GaussianNoise(0.1), X, adding, nothing
    yield "Masking", layers.Masking(), X, _masking, lambda: np.where(X[..., :1] > 0, D, 0)


def _masking() -> object:
    return np.where(np.any(X != 0, axis=-1)[..., None], X, 0)


def _shaping() -> Iterator[tuple[str, Layer, Any, Run, Run]]:
    yield "Reshape", layers.Reshape((8, 10)), X, nothing, nothing
    turned = X.reshape(BATCH, FEATURES, STEPS)

    def permute() -> object:
        return np.ascontiguousarray(X.swapaxes(1, 2))

    def permute_back() -> object:
        return np.ascontiguousarray(turned.swapaxes(1, 2))

    yield "Permute", layers.Permute((2, 1)), X, permute, permute_back
    yield (
        "RepeatVector",
        layers.RepeatVector(4),
        FLAT,
        lambda: np.repeat(FLAT[:, None], 4, axis=1),
        lambda: np.add.reduce(X[:, :4], 1),
    )
    padded = np.zeros((BATCH, STEPS + 2, FEATURES), np.float32)

    def pad() -> None:
        np.zeros((BATCH, STEPS + 2, FEATURES), np.float32)[:, 1:-1] = X

    yield "ZeroPadding1D", layers.ZeroPadding1D(1), X, pad, nothing
    yield "Cropping1D", layers.Cropping1D(1), X, nothing, padded.copy
    yield (
        "UpSampling1D",
        layers.UpSampling1D(2),
        X,
        lambda: np.repeat(X, 2, axis=1),
        lambda: np.add.reduce(np.concatenate((X, X), 1).reshape(8, 10, 2, 8), 2),
    )
    d_means = D[:, :5]

    def average() -> None:
        sums = X[:, ::2].copy()
        sums += X[:, 1::2]
        sums / 2

    def average_back() -> None:
        each, d_inputs = d_means / 2, np.zeros(X.shape, np.float32)
        for own in (d_inputs[:, ::2], d_inputs[:, 1::2]):
            np.add(own, each, own)

    yield "AveragePooling1D", layers.AveragePooling1D(2), X, average, average_back

    lines = X.reshape(BATCH, 1, -1)
    windows = (FEATURES, (1, 1, 1, 0, 1), (2, 2, 1, 0, STEPS // 2))
    highest = max_pool(lines, *windows).reshape(BATCH, 1, -1)
    d_highest = np.ones_like(highest)
    yield (
        "MaxPooling1D",
        layers.MaxPooling1D(2),
        X,
        lambda: max_pool(lines, *windows),
        lambda: max_pool_backward(lines, highest, d_highest, *windows),
    )
    yield (
        "GlobalAveragePooling1D",
        layers.GlobalAveragePooling1D(),
        X,
        lambda: np.add.reduce(X, 1) / np.float32(10),
        lambda: np.repeat(FLAT[:, None] / np.float32(10), 10, axis=1),
    )

    def global_max_backward() -> None:
        found = X[:, :1] == X
        shares = np.add.reduce(found, 1, np.float32, keepdims=True)
        np.multiply(found, FLAT[:, None] / shares)

    yield (
        "GlobalMaxPooling1D",
        layers.GlobalMaxPooling1D(),
        X,
        lambda: np.maximum.reduce(X, 1),
        global_max_backward,
    )


def _merging() -> Iterator[tuple[str, Layer, Any, Run, Run]]:
    both = (X, Y)
    half = np.float32(0.5)
    yield "Add", layers.Add(), both, lambda: X + Y, nothing
    yield "Subtract", layers.Subtract(), both, lambda: X - Y, lambda: -D
    yield "Multiply", layers.Multiply(), both, lambda: X * Y, lambda: (D * X, D * Y)
    yield "Average", layers.Average(), both, lambda: (X + Y) * half, lambda: D * half

    def share() -> None:
        part = np.where(X == Y, half, X > Y)
        np.multiply(D, part)
        np.multiply(D, 1 - part)

    yield "Maximum", layers.Maximum(), both, lambda: np.maximum(X, Y), share
    yield "Concatenate", layers.Concatenate(), both, lambda: np.concatenate(both, -1), nothing
    square = np.ones((BATCH, STEPS, STEPS), np.float32)
    turned = Y.swapaxes(1, 2)
    yield (
        "Dot",
        layers.Dot(axes=2),
        both,
        lambda: np.matmul(X, turned),
        lambda: (np.matmul(square, Y), np.matmul(square, X)),
    )


def _attending() -> Iterator[tuple[str, Layer, Any, Run, Run]]:
    def attention(heads: int) -> tuple[Run, Run]:
        """The engine's part, forward and backward."""
        shape = (BATCH, STEPS, heads, FEATURES // heads)
        parts = (*(each.reshape(shape) for each in (X, Y, Y)), 0.5, None, None)
        weights, slopes = attention_forward(parts, None)[1], D.reshape(shape)
        return (
            lambda: attention_forward(parts, None),
            lambda: attention_backward(parts, weights, slopes),
        )

    forward, attention_back = attention(1)

    def backward() -> None:
        attention_back()
        np.add(X, Y)

    yield "Attention", layers.Attention(), (X, Y), forward, backward
    rows = X.reshape(-1, FEATURES)
    dense = layers.Dense(8)
    dense.build(X.shape)
    weights, _ = dense.native_parts()
    outputs, saved = dense_forward(weights, rows, True)
    attend, attend_back = attention(2)

    def heads_forward() -> None:
        for _ in range(4):
            dense_forward(weights, rows, True)
        attend()

    def heads_backward() -> None:
        for _ in range(4):
            dense_backward(weights, rows, outputs, saved, rows, True)
        attend_back()
        np.add(X, Y)

    heads_layer = layers.MultiHeadAttention(2, 4)
    yield "MultiHeadAttention", heads_layer, (X, Y), heads_forward, heads_backward
