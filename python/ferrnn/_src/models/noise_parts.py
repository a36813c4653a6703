"""Dropout and noise as parts of the engine for plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.dropout import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
)
from ferrnn._src.models.functions import Part
from ferrnn._src.training.plan_parts import Lowering


def _dropout(layer: Any, low: Lowering) -> list[Part] | str:
    if layer.rate and layer.noise_shape is not None:
        return f"it has noise_shape={layer.noise_shape}"
    drop = low.drops(layer.seed_generator, layer.rate)
    if drop is None:
        return []
    if type(layer) is AlphaDropout:
        scale, dropped, shift = layer._affine()
        return [(("dropout", *drop[:2], scale, "alpha", dropped, shift), [])]
    kind = "features" if type(layer) is SpatialDropout1D else "entries"
    return [(("dropout", *drop, kind, 0.0, 0.0), [])]


def _noise(layer: Any, low: Lowering) -> list[Part] | str:
    added = type(layer) is GaussianNoise
    stddev, kind = (layer.stddev, "added") if added else (layer._stddev, "multiplied")
    drop = low.drops(layer.seed_generator, stddev)
    return [] if drop is None else [(("dropout", drop[0], 0, stddev, kind, 0.0, 0.0), [])]


NOISE: Final[dict[type[Layer], Callable[[Any, Lowering], list[Part] | str]]] = {
    AlphaDropout: _dropout,
    Dropout: _dropout,
    GaussianDropout: _noise,
    GaussianNoise: _noise,
    SpatialDropout1D: _dropout,
}
