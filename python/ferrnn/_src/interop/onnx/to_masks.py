"""Masks of steps as ONNX values: `[batch, time]`, True at real steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.dropout import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
)
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.layers.global_pooling import GlobalAveragePooling1D
from ferrnn._src.layers.layer_normalization import LayerNormalization
from ferrnn._src.layers.masking import Masking
from ferrnn._src.layers.normalization import BatchNormalization
from ferrnn._src.layers.passing import ActivityRegularization, Identity, Rescaling
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.layers.scaling import UnitNormalization
from ferrnn._src.layers.time_distributed import TimeDistributed

_BOOL, _FLOAT, _INT64 = 9, 1, 7  # ONNX's numbers for types
# Layers that treat masked steps like others, and pass the mask on.
_PASSING = frozenset({
    Activation, ActivityRegularization, AlphaDropout, BatchNormalization, Dense, Dropout, ELU,
    GaussianDropout, GaussianNoise, Identity, LayerNormalization, LeakyReLU, PReLU, ReLU,
    Rescaling, SpatialDropout1D, TimeDistributed, UnitNormalization,
})  # fmt: skip


def mask_after(b: Builder, layer: Any, x: str, mask: str | None, rank: int) -> str | None:
    """The mask of a layer's first outputs, from that of its inputs `x`, or None.

    Raises:
        ValueError: The layer's use of masks cannot be written to ONNX.
    """
    kind = type(layer)
    if kind is Embedding and layer.mask_zero:
        ids = b.op("Cast", x, to=_INT64)
        return b.op("Not", b.op("Equal", ids, b.constant(0, "padding", "int64")))
    if kind is Masking:
        counts = b.op("Not", b.op("Equal", x, b.constant(layer.mask_value)))
        seen = b.op("ReduceMax", b.op("Cast", counts, to=_FLOAT), axes=[-1], keepdims=0)
        return b.op("Cast", seen, to=_BOOL)
    if mask is None or not layer.supports_masking or kind is GlobalAveragePooling1D:
        return None
    if isinstance(layer, RNN | Bidirectional):
        return mask if layer.return_sequences else None
    if kind not in _PASSING or rank < 3:
        raise ValueError(
            f"layer {layer.name!r} gets a mask, which cannot be written to ONNX for a "
            f"{kind.__name__}"
        )
    return mask


def masked_steps(b: Builder, layer: Any, x: str, mask: str) -> str:
    """The outputs of `Masking`: zeros at masked steps."""
    return b.op("Where", b.op("Unsqueeze", mask, b.integers(2)), x, b.constant(0.0))


def masked_mean(b: Builder, layer: Any, x: str, mask: str) -> str:
    """The outputs of `GlobalAveragePooling1D`: means over real steps."""
    first = layer.data_format == "channels_first"
    axis = 2 if first else 1
    wide = b.op("Unsqueeze", mask, b.integers(3 - axis))
    counts = b.op("CastLike", wide, x)
    shown = b.op("Where", wide, x, b.constant(0.0))
    sums = b.op("ReduceSum", shown, b.integers(axis), keepdims=int(layer.keepdims))
    number = b.op("ReduceSum", counts, b.integers(axis), keepdims=int(layer.keepdims))
    return b.op("Div", sums, b.op("Max", number, b.constant(np.float32(1))))
