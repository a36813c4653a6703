"""Layers of ferrnn in plans that are programs: what they do, said as the code of a user would be.

Each moves elements, or treats them one by one, so that its bits are those of the layer itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.layers.data_normalization import Normalization
from ferrnn._src.layers.merge import Maximum, Minimum
from ferrnn._src.layers.passing import Rescaling
from ferrnn._src.layers.reshaping import Permute
from ferrnn._src.layers.resizing import Cropping1D, ZeroPadding1D
from ferrnn._src.models.written import WrittenLayer
from ferrnn._src.programs.lowering import Code
from ferrnn._src.programs.recorder import UnsupportedError
from ferrnn._src.programs.sketch import CellTrace

# Attributes that an instance may override.
_REPLACED = ("forward", "call", "compute_mask", "cast_inputs", "supports_masking")
# From a trace, the layer and its inputs, perhaps with the mask of all, it gives the outputs.
_Code: TypeAlias = Callable[..., Any]


def _permuted(trace: CellTrace, layer: Any, x: Any) -> Any:
    return trace.call("transpose", (x, (0, *layer.dims)), {})


def _cropped(trace: CellTrace, layer: Any, x: Any) -> Any:
    before, after = layer.cropping
    return x[:, before : x.shape[1] - after]


def _padded(trace: CellTrace, layer: Any, x: Any) -> Any:
    axis = 1 if layer.data_format == "channels_last" else 2
    parts = [x]
    for at, steps in enumerate(layer.padding):
        shape = [steps if each == axis else x.shape[each] for each in range(3)]
        if steps:
            parts.insert(at * len(parts), np.zeros(shape, str(x.dtype)))
    return trace.call("concatenate", (parts,), {"axis": axis})


def _largest(trace: CellTrace, layer: Any, xs: Any, shown: Any = None) -> Any:
    return _chosen(trace, "maximum", xs, shown)


def _smallest(trace: CellTrace, layer: Any, xs: Any, shown: Any = None) -> Any:
    return _chosen(trace, "minimum", xs, shown)


def _chosen(trace: CellTrace, name: str, xs: Any, shown: Any) -> Any:
    """The extreme of values; the first of them where none is shown."""

    def chosen(x: Any, y: Any) -> Any:
        best = trace.call(name, (x, y), {})
        return best if shown is None else trace.call("where", (shown, best, x), {})

    return reduce(chosen, xs)


def _normalized(trace: CellTrace, layer: Any, x: Any) -> Any:
    mean, spread = layer.mean_and_spread()
    return x * spread + mean if layer.invert else (x - mean) / spread


def _rescaled(trace: CellTrace, layer: Any, x: Any) -> Any:
    scale, offset = (np.asarray(each, str(x.dtype)) for each in (layer.scale, layer.offset))
    if x.ndim > 3:
        raise UnsupportedError("numbers along features that may come first")
    return x * scale + offset


_SAID: dict[type, _Code] = {
    Permute: _permuted,
    Cropping1D: _cropped,
    ZeroPadding1D: _padded,
    Maximum: _largest,
    Minimum: _smallest,
    Normalization: _normalized,
    Rescaling: _rescaled,
}


# Those that are told a mask that all of their inputs have.
_BY_MASK = frozenset((Maximum, Minimum))
# Those whose outputs do not depend on a mask.
_WITHOUT_MASKS = frozenset((Normalization, Rescaling, Permute, Cropping1D, ZeroPadding1D))


def is_said(layer: Any) -> bool:
    """Whether it is said here what a layer does."""
    return type(layer) in _SAID and layer.built and not any(n in vars(layer) for n in _REPLACED)


class SaidLayer(WrittenLayer):
    """The programs of a layer of ferrnn at its place in a graph."""

    __slots__ = ()

    @property
    def _there(self) -> bool:
        return True

    def _settings(self) -> tuple[Any, ...]:
        # Weights that are not trained are constants of the program.
        versions = [weight.version for weight in self._step.layer.weights]
        return *super()._settings(), *versions

    def _masks(self, masked: Sequence[bool]) -> list[int]:
        return [0] if type(self._step.layer) in _BY_MASK and all(masked) else []

    def _refused(self, masked: Sequence[bool]) -> str | None:
        layer = self._step.layer
        if layer.activity_regularizer is not None:
            return "an activity regularizer"
        heeds = any(masked) and type(layer) not in _WITHOUT_MASKS and not self._masks(masked)
        return "a mask of its inputs" if heeds else None

    def _code(self, training: bool, masks: list[int]) -> Code:
        step = self._step
        if type(step.layer) is Normalization:
            step.layer.mean_and_spread()  # which it keeps, as code that is recorded must not

        def code(trace: CellTrace, given: Any, states: Any) -> tuple[Any, tuple[Any, ...]]:
            values: list[Any] = [None] * self._count
            count = len(step.sources)
            for source, value in zip(step.sources, given, strict=False):
                values[source] = value
            shown = [
                trace.sketch(replace(mask.view, is_bool=True))[..., None] for mask in given[count:]
            ]
            return _SAID[type(step.layer)](trace, step.layer, step.gathered(values), *shown), ()

        return code
