"""ONNX's convolutions, padding and pooling over time as layers of a chain."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ferrnn._src.interop.onnx.files import Node, OnnxError
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.conv1d import Conv1D
from ferrnn._src.layers.pooling import AveragePooling1D, MaxPooling1D
from ferrnn._src.layers.resizing import ZeroPadding1D
from ferrnn._src.tree.types import Array

OVER_TIME = Conv1D | ZeroPadding1D | MaxPooling1D | AveragePooling1D


class Chain(Protocol):
    """The interface of a chain that is being followed."""

    axes: str
    dtype: str
    flipped: bool
    made: list[tuple[Layer, list[Array]]]

    def refused(self, node: Node, why: str) -> OnnxError: ...


def conv(chain: Chain, node: Node, x: list[Array | None]) -> None:
    """Makes a layer of a convolution over time, with a separate layer for padding if necessary."""
    kernel, bias = x[1], x[2] if len(x) > 2 else None
    _check_axes(chain, node)
    if kernel is None or kernel.ndim != 3:
        raise chain.refused(node, "its kernel is not a constant with one spatial axis")
    filters, _, size = kernel.shape
    strides, dilation = _one(node, "strides"), _one(node, "dilations")
    before, after, padding = _padding(chain, node)
    reach = (size - 1) * dilation
    if chain.made and type(chain.made[-1][0]) is ZeroPadding1D and padding == "valid":
        # A Pad node before the convolution.
        layer: Any = chain.made[-1][0]
        before, after = before + layer.padding[0], after + layer.padding[1]
        chain.made.pop()
    if padding == "valid" and strides == 1 and (before, after) == (reach, 0) and reach:
        before, padding = 0, "causal"
    if before or after:
        chain.made.append((ZeroPadding1D((before, after), dtype=chain.dtype), []))
    made = Conv1D(
        filters,
        size,
        strides=strides,
        padding=padding,
        dilation_rate=dilation,
        groups=int(node.attributes.get("group", 1)),
        use_bias=bias is not None,
        dtype=chain.dtype,
    )
    chain.made.append((made, [kernel.transpose(2, 1, 0), *([] if bias is None else [bias])]))


def pad(chain: Chain, node: Node, x: list[Array | None]) -> None:
    """Makes a layer of zeros before or after all steps."""
    pads: Any = x[1] if len(x) > 1 else node.attributes.get("pads")
    value: Any = x[2] if len(x) > 2 else node.attributes.get("value", 0.0)
    rank = len(chain.axes)
    kept = node.attributes.get("mode", "constant") == "constant" and not np.any(value)
    axes: Any = x[3] if len(x) > 3 else None
    if pads is None or not kept or (axes is None and np.size(pads) != 2 * rank):
        raise chain.refused(node, "it adds something other than a fixed number of zeros")
    half = [int(each) for each in np.ravel(pads)]
    places = range(rank) if axes is None else [int(each) % rank for each in np.ravel(axes)]
    for axis, before, after in zip(
        places, half[: len(half) // 2], half[len(half) // 2 :], strict=True
    ):
        if not before and not after:
            continue
        if chain.axes[axis] != "t" or chain.flipped or min(before, after) < 0:
            raise chain.refused(node, "it pads an axis other than time, or removes steps")
        chain.made.append((ZeroPadding1D((before, after), dtype=chain.dtype), []))


def max_pool(chain: Chain, node: Node, x: list[Array | None]) -> None:
    """Makes a layer of max pooling over time."""
    _pool(chain, node, MaxPooling1D)


def average_pool(chain: Chain, node: Node, x: list[Array | None]) -> None:
    """Makes a layer of average pooling over time."""
    _pool(chain, node, AveragePooling1D)


def _pool(chain: Chain, node: Node, kind: type[MaxPooling1D | AveragePooling1D]) -> None:
    _check_axes(chain, node)
    before, after, padding = _padding(chain, node)
    whole = not node.attributes.get("ceil_mode", 0) and _one(node, "dilations") == 1
    if before or after or not whole or len(node.outputs) > 1:
        raise chain.refused(node, "its padding, dilations or rounding are not those of a layer")
    size = int(node.attributes["kernel_shape"][0])
    layer = kind(size, strides=_one(node, "strides"), padding=padding, dtype=chain.dtype)
    chain.made.append((layer, []))


def _check_axes(chain: Chain, node: Node) -> None:
    if chain.axes != "bft":
        raise chain.refused(node, "it goes over axes other than time")
    if chain.flipped:
        raise chain.refused(node, "it reads reversed steps")


def _one(node: Node, name: str) -> int:
    """A setting of one axis."""
    return int((node.attributes.get(name) or [1])[0])


def _padding(chain: Chain, node: Node) -> tuple[int, int, str]:
    """The numbers of zeros before and after, and the layer's `padding`."""
    kind = str(node.attributes.get("auto_pad") or "NOTSET")
    if kind == "SAME_UPPER":
        return 0, 0, "same"
    if kind not in ("NOTSET", "VALID"):
        raise chain.refused(node, f"its auto_pad {kind} is not that of a layer")
    pads = node.attributes.get("pads") or [0, 0]
    before, after = (0, 0) if kind == "VALID" else (int(pads[0]), int(pads[1]))
    return before, after, "valid"
