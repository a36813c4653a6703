"""ONNX's products, convolutions and pooling, with constant weights packed once for the engine."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.files import OnnxError
from ferrnn._src.interop.onnx.shaping import shape_given
from ferrnn._src.native import DenseWeights, dense_forward
from ferrnn._src.tree.types import Array

_FLOATS = (np.dtype("f4"), np.dtype("f8"))


# An attribute that marks nodes to run in NumPy; no ONNX name has a space.
IN_NUMPY = "in NumPy"


class Product:
    """`x @ weights + bias`; the weights are packed again only when the arrays change."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.engine = IN_NUMPY not in attributes
        self.kept: tuple[tuple[Array | None, ...], DenseWeights | None] = ((), None)

    def __call__(
        self, x: Array, weights: Array, bias: Array | None, key: tuple[Array | None, ...]
    ) -> Array:
        """`key` are the arrays that `weights` and `bias` were made from."""
        other = not self.engine or x.dtype not in _FLOATS or weights.dtype != x.dtype
        if other or 0 in (*x.shape, *weights.shape):
            product: Array = np.matmul(x, weights)
            return product if bias is None else product + bias
        made_of, packed = self.kept
        same = len(key) == len(made_of) and all(map(operator.is_, key, made_of))
        if packed is None or not same:
            kernel = np.ascontiguousarray(weights)
            own = None if bias is None else np.ascontiguousarray(bias, dtype=x.dtype)
            packed = DenseWeights(kernel, own)
            self.kept = key, packed  # one assignment, so that another thread sees both or neither
        rows = np.ascontiguousarray(x.reshape(-1, x.shape[-1]))
        outputs, _ = dense_forward(packed, rows)
        return outputs.reshape(*x.shape[:-1], weights.shape[1])


Run = Callable[[list[Any]], "list[Array]"]


def matmul(attributes: Mapping[str, Any], place: str) -> Run:
    """`A @ B`."""
    product = Product(attributes)

    def run(x: list[Any]) -> list[Array]:
        a, b = x
        if b.ndim != 2 or a.ndim < 1:
            return [np.matmul(a, b)]
        return [product(a, b, None, (b,))]

    return run


def gemm(attributes: Mapping[str, Any], place: str) -> Run:
    """`alpha A B + beta C`, each of A and B transposed or not."""
    product = Product(attributes)
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)

    def run(x: list[Any]) -> list[Array]:
        a, b, c = (*x, None)[:3]
        left = a.T if attributes.get("transA", 0) else a
        right = b.T if attributes.get("transB", 0) else b
        right = right if alpha == 1 else right * np.asarray(alpha, b.dtype)
        term = None if c is None else c if beta == 1 else c * np.asarray(beta, c.dtype)
        if term is None or term.shape == right.shape[1:]:
            return [product(left, right, term, (b, c))]
        return [product(left, right, None, (b, None)) + term]

    return run


def convolution(attributes: Mapping[str, Any], place: str) -> Run:
    """`[batch, channels, ...]` with windows of a kernel `[filters, channels / groups, ...]`."""
    groups = attributes.get("group", 1)
    products = [Product(attributes) for _ in range(groups)]

    def run(x: list[Any]) -> list[Array]:
        data, kernel, bias = (*x, None)[:3]
        if data.ndim != kernel.ndim or data.shape[1] != kernel.shape[1] * groups:
            raise OnnxError(
                f"{place}: weights of the shape {kernel.shape} do not fit inputs of the shape "
                f"{data.shape}, in {groups} groups"
            )
        windows = _windows(data, kernel.shape[2:], attributes, 0.0, place)
        axes = data.ndim - 2
        parts = []
        inputs = np.split(windows, groups, axis=1)
        for group, (part, own) in enumerate(zip(inputs, np.split(kernel, groups), strict=True)):
            # [batch, places..., channels, taps...] in rows
            moved = np.moveaxis(part, 1, 1 + axes)
            rows = moved.reshape(*moved.shape[: 1 + axes], -1)
            count = len(own)
            term = None if bias is None else bias[group * count : (group + 1) * count]
            weights = own.reshape(count, -1).T
            parts.append(products[group](rows, weights, term, (kernel, bias)))
        return [np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)]

    return run


def along_time(attributes: Mapping[str, Any], x: list[Any]) -> Run | None:
    """A convolution with one axis, one group and a constant kernel, for inputs of this shape."""
    data, kernel, bias = (*x, None)[:3]
    if data.ndim != 3 or kernel.shape[1:2] != data.shape[1:2] or data.dtype not in _FLOATS:
        return None
    if kernel.dtype != data.dtype or 0 in (*data.shape, *kernel.shape):
        return None
    (stride,) = attributes.get("strides") or [1]
    (dilation,) = attributes.get("dilations") or [1]
    batch, channels, time = data.shape
    filters, _, taps = kernel.shape
    reach = (taps - 1) * dilation + 1
    before, after = _pads((time,), [reach], [stride], attributes)
    places = (time + before + after - reach) // stride + 1
    if min(before, after) < 0 or min(stride, dilation, places) < 1:
        return None
    weights = DenseWeights(np.ascontiguousarray(kernel.reshape(filters, -1).T), bias)
    whole = (batch, channels, before + time + after)
    item, inner = data.dtype.itemsize, slice(before, before + time)
    # [batch, places, channels, taps] of the padded data, which is contiguous.
    windows = (batch, places, channels, taps)
    strides = [item * step for step in (channels * whole[2], stride, whole[2], dilation)]
    rows = batch * places, channels * taps

    def run(x: list[Any]) -> list[Array]:
        if before or after:
            padded = np.zeros(whole, x[0].dtype)
            padded[:, :, inner] = x[0]
        else:
            padded = np.ascontiguousarray(x[0])
        view = np.ndarray(windows, padded.dtype, padded, 0, strides)
        outputs, _ = dense_forward(weights, view.reshape(rows))
        return [outputs.reshape(batch, places, filters).transpose(0, 2, 1)]

    return run


def max_pool(attributes: Mapping[str, Any], place: str) -> Run:
    """The maximum of each window."""

    def run(x: list[Any]) -> list[Array]:
        least = -np.inf if x[0].dtype.kind == "f" else np.iinfo(x[0].dtype).min
        windows = _windows(x[0], attributes["kernel_shape"], attributes, least, place)
        axes = x[0].ndim - 2
        return [windows.max(axis=tuple(range(-axes, 0)))]

    return run


def average_pool(attributes: Mapping[str, Any], place: str) -> Run:
    """The mean of each window, with or without padding."""

    def run(x: list[Any]) -> list[Array]:
        kernel = attributes["kernel_shape"]
        axes = tuple(range(-(x[0].ndim - 2), 0))
        total = _windows(x[0], kernel, attributes, 0.0, place).sum(axis=axes)
        if attributes.get("count_include_pad", 0) and not attributes.get("ceil_mode", 0):
            return [(total / math.prod(kernel)).astype(x[0].dtype)]
        ones = np.ones((1, 1, *x[0].shape[2:]), x[0].dtype)
        count = _windows(ones, kernel, attributes, 0.0, place).sum(axis=axes)
        return [(total / count).astype(x[0].dtype)]

    return run


def _windows(
    data: Array, kernel: Any, attributes: Mapping[str, Any], fill: float, place: str
) -> Array:
    """A view `[batch, channels, places..., taps...]` of the windows, of padded data."""
    axes = len(kernel)
    strides = attributes.get("strides") or [1] * axes
    dilations = attributes.get("dilations") or [1] * axes
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    pads = _pads(data.shape[2:], reach, strides, attributes)
    if min((*reach, *strides, *pads, 1)) < 0 or data.ndim != 2 + axes:
        raise OnnxError(
            f"{place}: windows of the size {list(kernel)} do not fit the shape {data.shape}"
        )
    widths = [(0, 0), (0, 0), *zip(pads[:axes], pads[axes:], strict=True)]
    if any(pads):
        pairs = zip(data.shape, widths, strict=True)
        shape_given([size + before + after for size, (before, after) in pairs])
    padded = np.pad(data, widths, constant_values=fill) if any(pads) else data
    if any(size < need for size, need in zip(padded.shape[2:], reach, strict=True)):
        raise OnnxError(f"{place}: no window of {reach} fits into the shape {padded.shape}")
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, tuple(range(2, 2 + axes)))
    cut = [slice(None), slice(None), *(slice(None, None, step) for step in strides)]
    cut += [slice(None, None, step) for step in dilations]
    return windows[tuple(cut)]


def _pads(sizes: Any, reach: list[int], strides: Any, attributes: Mapping[str, Any]) -> list[int]:
    """The padding before and after each axis: given, or computed for `auto_pad`."""
    automatic = attributes.get("auto_pad", "NOTSET")
    given = list(attributes.get("pads") or [0] * (2 * len(reach)))
    if automatic in {"SAME_UPPER", "SAME_LOWER"}:
        before, after = [], []
        for size, need, step in zip(sizes, reach, strides, strict=True):
            total = max(0, (-(-size // step) - 1) * step + need - size)
            less, more = total // 2, total - total // 2
            before.append(less if automatic == "SAME_UPPER" else more)
            after.append(more if automatic == "SAME_UPPER" else less)
        return before + after
    if automatic == "VALID":
        return [0] * (2 * len(reach))
    if attributes.get("ceil_mode", 0):
        for at, (size, need, step) in enumerate(zip(sizes, reach, strides, strict=True)):
            left = size + given[at] + given[at + len(reach)] - need
            given[at + len(reach)] += -left % step
    return given


PREPARED: dict[str, Callable[[Mapping[str, Any], str], Run]] = {
    "MatMul": matmul,
    "Gemm": gemm,
    "Conv": convolution,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
}
