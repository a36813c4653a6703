"""ONNX's operators for upsampling: transposed convolutions, and resizing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.files import OnnxError
from ferrnn._src.interop.onnx.products import Product, Run
from ferrnn._src.interop.onnx.shaping import shape_given
from ferrnn._src.tree.types import Array


def transposed_convolution(attributes: Mapping[str, Any], place: str) -> Run:
    """`[batch, channels, ...]`, each place spread over a window of `[channels, filters, ...]`."""
    groups = attributes.get("group", 1)
    products = [Product(attributes) for _ in range(max(1, groups))]

    def run(x: list[Any]) -> list[Array]:
        data, kernel, bias = (*x, None)[:3]
        if (
            data.ndim != kernel.ndim
            or data.ndim < 3
            or groups < 1
            or data.shape[1] != len(kernel)
            or len(kernel) % groups
        ):
            raise OnnxError(
                f"{place}: weights of the shape {kernel.shape} do not fit inputs of the shape "
                f"{data.shape}, in {groups} groups"
            )
        lengths, taps = data.shape[2:], kernel.shape[2:]
        spread = _Spread(lengths, taps, attributes, place)
        filters = kernel.shape[1]
        shape_given([len(data), groups * filters, *spread.whole])
        sums = np.zeros((len(data), *spread.whole, groups * filters), data.dtype)
        rows = np.moveaxis(data, 1, -1)
        pairs = zip(np.split(rows, groups, -1), np.split(kernel, groups), strict=True)
        for group, (part, own) in enumerate(pairs):
            weights = np.moveaxis(own, 1, -1).reshape(len(own), -1)
            made = products[group](part, weights, None, (kernel,))
            windows = made.reshape(len(data), *lengths, -1, filters)
            to = slice(group * filters, (group + 1) * filters)
            for at, tap in enumerate(itertools.product(*map(range, taps))):
                at_tap = (slice(None), *spread.places(tap), to)
                sums[at_tap] += windows[..., at, :]
        kept = (slice(None), *spread.kept)
        found = sums[kept]
        return [np.moveaxis(found if bias is None else found + bias, -1, 1)]

    return run


class _Spread:
    """The geometry of a transposed convolution: its windows and its outputs' places."""

    def __init__(
        self, lengths: Sequence[int], taps: Sequence[int], a: Mapping[str, Any], place: str
    ) -> None:
        axes = len(lengths)
        self.lengths = lengths
        self.strides = a.get("strides") or [1] * axes
        self.dilations = a.get("dilations") or [1] * axes
        more = a.get("output_padding") or [0] * axes
        if not len(self.strides) == len(self.dilations) == len(more) == axes or (
            min((*self.strides, *self.dilations)) < 1 or min(more) < 0
        ):
            raise OnnxError(f"{place}: the settings of windows do not fit {axes} axes")
        reach = [(tap - 1) * step + 1 for tap, step in zip(taps, self.dilations, strict=True)]
        rows = zip(lengths, self.strides, reach, strict=True)
        self.whole = [max(0, length - 1) * stride + need for length, stride, need in rows]
        full = [size + each for size, each in zip(self.whole, more, strict=True)]
        automatic, wanted = a.get("auto_pad", "NOTSET"), a.get("output_shape")
        pads = list(a.get("pads") or [0] * (2 * axes))
        if wanted is None and automatic in {"SAME_UPPER", "SAME_LOWER"}:
            wanted = [size * stride for size, stride in zip(lengths, self.strides, strict=True)]
        if wanted is not None:
            total = [size - each for size, each in zip(full, wanted[-axes:], strict=True)]
            less = [max(0, each) // 2 for each in total]
            rest = [max(0, each) - half for each, half in zip(total, less, strict=True)]
            first, last = (less, rest) if automatic == "SAME_UPPER" else (rest, less)
            pads = [*first, *last]
            if a.get("output_shape") is not None:  # outputs beyond the windows are zero
                full = [max(size, each) for size, each in zip(full, wanted[-axes:], strict=True)]
        if len(pads) != 2 * axes or min(pads) < 0:
            raise OnnxError(f"{place}: pads {pads} do not fit {axes} axes")
        ends = [size - after for size, after in zip(full, pads[axes:], strict=True)]
        self.whole = full
        self.kept = [slice(at, max(at, end)) for at, end in zip(pads[:axes], ends, strict=True)]

    def places(self, tap: Sequence[int]) -> list[slice]:
        """The indices of one tap of all windows."""
        starts = [at * step for at, step in zip(tap, self.dilations, strict=True)]
        rows = zip(starts, self.lengths, self.strides, strict=True)
        return [slice(at, at + length * stride, stride) for at, length, stride in rows]


def resize(x: list[Any], a: Mapping[str, Any], opset: int) -> Any:
    """Resize, axis by axis, and its predecessor Upsample."""
    mode = a.get("mode", "nearest")
    if a.get("antialias", 0) or a.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise OnnxError("a Resize with antialias or keep_aspect_ratio_policy is not supported")
    if mode not in {"nearest", "linear", "cubic"}:
        raise OnnxError(f"a Resize of the mode {mode!r} is not supported")
    lengths, scales = _resized(x, a, opset)
    shape_given(lengths)
    if 0 in lengths:
        return np.zeros(lengths, x[0].dtype)
    result = x[0]
    for axis, (length, scale) in enumerate(zip(lengths, scales, strict=True)):
        before = x[0].shape[axis]
        if length == before and scale == 1:
            continue
        if before == 0:
            raise OnnxError(f"Resize of an empty axis, in the shape {x[0].shape}, is not possible")
        at = _coordinates(length, before, scale, a, opset)
        if mode == "nearest":
            result = result.take(_nearest(at, before, a, opset), axis)
        else:
            taps = (_linear if mode == "linear" else _cubic)(at, before, a)
            shape = [-1 if each == axis else 1 for each in range(x[0].ndim)]
            parts = (
                result.take(place, axis) * share.astype(x[0].dtype).reshape(shape)
                for place, share in taps
            )
            result = sum(parts, np.zeros((), x[0].dtype))
    return result


def _resized(x: list[Any], a: Mapping[str, Any], opset: int) -> tuple[list[int], list[float]]:
    """The lengths of the outputs, and their factors."""
    before = list(x[0].shape)
    if opset < 11:  # Upsample, and Resize of opset 10
        scales, sizes = (x[1] if len(x) > 1 else a.get("scales")), None
    else:
        scales, sizes = (*x[1:], None, None, None)[1:3]
    axes = [int(axis) % len(before) for axis in a.get("axes") or range(len(before))]
    lengths, factors = list(before), [1.0] * len(before)
    if sizes is not None and np.size(sizes):
        for axis, size in zip(axes, np.ravel(sizes), strict=True):
            lengths[axis] = int(size)
            factors[axis] = int(size) / before[axis] if before[axis] else 1.0
    elif scales is not None and np.size(scales):
        for axis, scale in zip(axes, np.ravel(scales), strict=True):
            if not 0 < float(scale) < 1 << 31:
                raise OnnxError(
                    "the scales of a Resize must be positive and below 2**31, received "
                    f"{float(scale)}"
                )
            lengths[axis], factors[axis] = int(before[axis] * float(scale)), float(scale)
    else:
        raise OnnxError("a Resize must have scales or sizes, received neither")
    return lengths, factors


def _coordinates(length: int, before: int, scale: Any, a: Mapping[str, Any], opset: int) -> Any:
    """The positions of the outputs' places in the inputs."""
    default = "asymmetric" if opset < 11 else "half_pixel"
    kind = a.get("coordinate_transformation_mode", default)
    # In float32, as runtimes compute it, as its rounding may decide which place is nearest.
    at: Array = np.arange(length, dtype="f4")
    scale, half = np.float32(scale), np.float32(0.5)
    if kind == "asymmetric":
        return np.divide(at, scale)
    if kind == "align_corners":
        return np.divide(at * np.float32(before - 1), np.float32(max(1, length - 1)))
    if kind == "pytorch_half_pixel" and length == 1:
        return at
    if kind in {"half_pixel", "pytorch_half_pixel"}:
        return np.subtract((at + half) / scale, half)
    if kind == "half_pixel_symmetric":
        spare = np.float32(before / 2) * (1 - np.float32(length) / (scale * np.float32(before)))
        return np.subtract(spare + (at + half) / scale, half)
    raise OnnxError(f"a Resize with coordinate_transformation_mode={kind!r} is not supported")


_ROUNDED: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda at: np.ceil(at - 0.5),
    "round_prefer_ceil": lambda at: np.floor(at + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _nearest(at: Array, before: int, a: Mapping[str, Any], opset: int) -> Array:
    kind = a.get("nearest_mode", "floor" if opset < 11 else "round_prefer_floor")
    if kind not in _ROUNDED:
        raise OnnxError(f"a Resize with nearest_mode={kind!r} is not supported")
    return np.clip(_ROUNDED[kind](at), 0, before - 1).astype(np.intp)


_Taps = list[tuple[Array, Array]]


def _linear(at: Array, before: int, a: Mapping[str, Any]) -> _Taps:
    """The input places of each output, with their weights."""
    at = np.clip(at, 0, before - 1)
    first = np.floor(at).astype(np.intp)
    share = at - first
    return [(first, 1 - share), (np.minimum(first + 1, before - 1), share)]


def _cubic(at: Array, before: int, a: Mapping[str, Any]) -> _Taps:
    """As `_linear`, with cubic interpolation; places outside are replaced by those at the ends."""
    slope, first = a.get("cubic_coeff_a", -0.75), np.floor(at)
    places, shares = [], []
    for step in range(-1, 3):
        far = np.abs(at - first - step)
        near = ((slope + 2) * far - (slope + 3)) * far * far + 1
        tail = ((far - 5) * far + 8) * far * slope - 4 * slope
        share = np.where(far <= 1, near, np.where(far < 2, tail, 0))
        place = (first + step).astype(np.intp)
        if a.get("exclude_outside", 0):
            share = np.where((place >= 0) & (place < before), share, 0)
        places.append(np.clip(place, 0, before - 1))
        shares.append(share)
    total = sum(shares[1:], shares[0]) if a.get("exclude_outside", 0) else np.ones(len(at))
    return [(place, share / total) for place, share in zip(places, shares, strict=True)]
