"""Models that real Keras and ferrnn build by the same lines: `build(keras)` or `build(ferrnn)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
    """A model, what it is given (`ids` below this number, else numbers), and its loss."""

    build: Callable[[Any], Any]
    shape: tuple[int, ...]
    loss: str
    classes: int = 0  # of each target; 0: one number
    ids: int = 0
    padded: bool = False
    per_step: bool = False


def _words(k: Any) -> Any:
    layers = [k.Input((7,)), k.layers.Embedding(11, 5, mask_zero=True), k.layers.LSTM(6)]
    return k.Sequential([*layers, k.layers.Dense(1, "sigmoid")])


def _tags(k: Any) -> Any:
    return k.Sequential(
        [
            k.Input((7,)),
            k.layers.Embedding(11, 5, mask_zero=True),
            k.layers.GRU(6, return_sequences=True),
            k.layers.LayerNormalization(),
            k.layers.LSTM(5, return_sequences=True, go_backwards=True),
            k.layers.Dense(4, "softmax"),
        ]
    )


def _windows(k: Any) -> Any:
    return k.Sequential(
        [
            k.Input((12, 3)),
            k.layers.Conv1D(6, 3, padding="causal", activation="relu"),
            k.layers.BatchNormalization(momentum=0.9),
            k.layers.MaxPooling1D(2),
            k.layers.Conv1D(5, 3, padding="same", dilation_rate=2),
            k.layers.LeakyReLU(),
            k.layers.GRU(5),
            k.layers.Dense(1),
        ]
    )


def _gaps(k: Any) -> Any:
    return k.Sequential(
        [
            k.Input((7, 3)),
            k.layers.Masking(),
            k.layers.SimpleRNN(6, return_sequences=True),
            k.layers.BatchNormalization(),
            k.layers.GlobalAveragePooling1D(),
            k.layers.PReLU(),
            k.layers.Dense(1),
        ]
    )


def _repeated(k: Any) -> Any:
    return k.Sequential(
        [
            k.Input((6, 3)),
            k.layers.ZeroPadding1D(1),
            k.layers.Cropping1D((0, 2)),
            k.layers.Permute((2, 1)),
            k.layers.Reshape((6, -1)),
            k.layers.LSTM(5),
            k.layers.RepeatVector(3),
            k.layers.UpSampling1D(2),
            k.layers.LSTM(5, return_sequences=True),
            k.layers.AveragePooling1D(2),
            k.layers.Flatten(),
            k.layers.Dense(1),
        ]
    )


def _attending(k: Any) -> Any:
    inputs = k.Input((7,))
    embedded = k.layers.Embedding(11, 6, mask_zero=True)(inputs)
    encoded = k.layers.GRU(6, return_sequences=True)(embedded)
    normalized = k.layers.LayerNormalization()(encoded)
    context = k.layers.Attention(use_scale=True)([normalized, encoded])
    added = k.layers.AdditiveAttention()([normalized, encoded])
    product = k.layers.Multiply()([normalized, encoded])
    merged = k.layers.Concatenate()([context, added, k.layers.Add()([product, encoded])])
    # Keras drops the masks of the inputs of multi-head attention, so it comes last.
    attended = k.layers.MultiHeadAttention(2, 4, use_gate=True)(
        merged, merged, use_causal_mask=True
    )
    pooled = k.layers.GlobalAveragePooling1D()(attended)
    both = k.layers.Dot(axes=1, normalize=True)([pooled, k.layers.Dense(18)(pooled)])
    outputs = k.layers.Dense(1, "sigmoid")(k.layers.Concatenate()([pooled, both]))
    return k.Model(inputs, outputs)


RUNS: dict[str, Run] = {
    "words": Run(_words, (7,), "binary_crossentropy", ids=11, padded=True),
    "tags": Run(
        _tags, (7,), "sparse_categorical_crossentropy", classes=4, ids=11, padded=True,
        per_step=True,
    ),
    "windows": Run(_windows, (12, 3), "mse"),
    "gaps": Run(_gaps, (7, 3), "mse", padded=True),
    "repeated": Run(_repeated, (6, 3), "mse"),
    "attending": Run(_attending, (7,), "binary_crossentropy", ids=11, padded=True),
}  # fmt: skip
