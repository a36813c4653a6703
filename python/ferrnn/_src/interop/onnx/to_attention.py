"""Attention, and other products of two inputs, as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.configs.config import epsilon as fuzz
from ferrnn._src.interop.onnx.functions import applied
from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.layers.attention import AdditiveAttention, Attended, Attention
from ferrnn._src.layers.einsum_dense import EinsumDense
from ferrnn._src.layers.joining import Dot
from ferrnn._src.layers.multi_head_attention import MultiHeadAttention

Shapes = list[tuple[Any, ...]]
# The score of masked values, as in Keras.
_HIDDEN = -1e9
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def attended(b: Builder, layer: Any, says: Attended, x: list[str], shapes: Shapes) -> list[str]:
    """Writes an attention layer: its outputs, and its scores if the call returns them."""
    if says.attention_mask is not None or any(each is not None for each in says.masks):
        raise ValueError(
            f"layer {layer.name!r} is called with a mask, which cannot be written to ONNX"
        )
    query, value, key = (*x, x[1])[:3]
    ranks = [len(shape) for shape in shapes]
    if type(layer) is MultiHeadAttention:
        made = _several_heads(b, layer, says, (query, value, key), ranks[0])
    else:
        made = _one_head(b, layer, says, (query, value, key), ranks[0])
    return made if says.return_attention_scores else made[:1]


def _one_head(
    b: Builder, layer: Any, says: Attended, arrays: tuple[str, str, str], rank: int
) -> list[str]:
    query, value, key = arrays
    if type(layer) is AdditiveAttention or layer.score_mode == "concat":
        scores = _additive(b, layer, query, key, rank)
    else:
        turned = [*range(rank - 2), rank - 1, rank - 2]
        scores = b.op("MatMul", query, b.op("Transpose", key, perm=turned))
        if layer.scale is not None:
            scores = b.op("Mul", scores, b.constant(layer.scale.numpy(), f"{layer.name}/scale"))
    weights = _softened(b, scores, (query, key), rank - 2, causal=says.use_causal_mask)
    return [b.op("MatMul", weights, value), weights]


def _additive(b: Builder, layer: Any, query: str, key: str, rank: int) -> str:
    """Scores of the sums of query and key."""
    sums = b.op(
        "Add",
        b.op("Unsqueeze", query, b.integers(rank - 1)),
        b.op("Unsqueeze", key, b.integers(rank - 2)),
    )
    scale = None
    if layer.scale is not None:
        scale = b.constant(layer.scale.numpy(), f"{layer.name}/scale")
    if type(layer) is AdditiveAttention:
        squashed = b.op("Tanh", sums)
        squashed = squashed if scale is None else b.op("Mul", squashed, scale)
        return b.op("ReduceSum", squashed, b.integers(-1), keepdims=0)
    squashed = b.op("Tanh", sums if scale is None else b.op("Mul", sums, scale))
    totals = b.op("ReduceSum", squashed, b.integers(-1), keepdims=0)
    weight = b.constant(layer.concat_score_weight.numpy(), f"{layer.name}/weight")
    return b.op("Mul", totals, weight)


def _softened(
    b: Builder,
    scores: str,
    arrays: tuple[str, str],
    axis: int,
    *,
    causal: bool,
    window: int | None = None,
) -> str:
    """The weights from scores, where `axis` is the time of query and key.

    With `causal`, no query sees later values; with a `window`, none that many steps away or more.
    """
    if not causal and window is None:
        return b.op("Softmax", scores, axis=-1)
    query, key = arrays

    def steps(x: str, towards: int) -> str:
        """The indices of steps along one axis of the scores."""
        length = b.op("Gather", b.op("Shape", x), b.constant(axis, "axis", "int64"))
        zero, one = (b.constant(each, "number", "int64") for each in (0, 1))
        return b.op("Unsqueeze", b.op("Range", zero, length, one), b.integers(towards))

    rows, columns = steps(query, 1), steps(key, 0)
    if causal:
        later = b.op("Less", rows, columns)
        scores = b.op("Where", later, b.constant(_HIDDEN), scores)
    if window is not None:
        width = b.constant(window, "window", "int64")
        far = b.op("GreaterOrEqual", b.op("Abs", b.op("Sub", rows, columns)), width)
        scores = b.op("Where", far, b.constant(_HIDDEN), scores)
    return b.op("Softmax", scores, axis=-1)


def _several_heads(
    b: Builder, layer: Any, says: Attended, arrays: tuple[str, str, str], rank: int
) -> list[str]:
    if rank != 3:
        raise ValueError(
            f"layer {layer.name!r} can be written to ONNX only for inputs [batch, time, features], "
            f"received {rank} axes"
        )
    heads = layer.num_heads

    def projected(part: Any, x: str, width: int) -> str:
        flat = b.op("Reshape", _product(b, part, x), b.integers(0, 0, heads, width))
        return b.op("Transpose", flat, perm=[0, 2, 1, 3])

    query, value, key = arrays
    q = projected(layer.query_dense, query, layer.key_dim)
    k = projected(layer.key_dense, key, layer.key_dim)
    v = projected(layer.value_dense, value, layer.value_dim)
    scaled = b.op("Mul", q, b.constant(1 / math.sqrt(layer.key_dim)))
    scores = b.op("MatMul", scaled, b.op("Transpose", k, perm=[0, 1, 3, 2]))
    weights = _softened(
        b,
        scores,
        (query, key),
        1,
        causal=says.use_causal_mask,
        window=layer.sliding_window,
    )
    mixed = b.op("Transpose", b.op("MatMul", weights, v), perm=[0, 2, 1, 3])
    flat = b.op("Reshape", mixed, b.integers(0, 0, heads * layer.value_dim))
    if layer.use_gate:
        flat = b.op("Mul", flat, b.op("Sigmoid", _product(b, layer._gate_dense, query)))
    outputs = _product(b, layer.output_dense, flat)
    shape = layer.output_dense.outputs_shape
    if len(shape) > 1:
        outputs = b.op("Reshape", outputs, b.integers(0, 0, *shape))
    return [outputs, weights]


def _product(b: Builder, part: Any, x: str) -> str:
    """A projection with its outputs on one axis."""
    kernel = part.kernel.numpy().reshape(math.prod(part.inputs_shape), -1)
    made = b.op("MatMul", x, b.constant(kernel, f"{part.name}/kernel"))
    if part.bias is None:
        return made
    return b.op("Add", made, b.constant(part.bias.numpy().reshape(-1), f"{part.name}/bias"))


def _dot(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    one, two = layer._places(shapes)
    arrays = list(x)
    if layer.normalize:
        for at, axis in enumerate((one, two)):
            squares = b.op("Mul", x[at], x[at])
            total = b.op("ReduceSum", squares, b.integers(axis), keepdims=1)
            least = b.op("Max", total, b.constant(fuzz() ** 2))
            arrays[at] = b.op("Div", x[at], b.op("Sqrt", least))
    first = list(_LETTERS[: len(shapes[0])])
    second = list(_LETTERS[len(shapes[0]) : len(shapes[0]) + len(shapes[1])])
    second[0], second[two] = first[0], first[one]
    joined = [each for at, each in enumerate(first) if at != one]
    joined += [each for at, each in enumerate(second) if at not in (0, two)]
    equation = f"{''.join(first)},{''.join(second)}->{''.join(joined)}"
    made = b.op("Einsum", *arrays, equation=equation)
    return b.op("Unsqueeze", made, b.integers(1)) if len(joined) == 1 else made


def _einsum(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    read = layer._read(shapes[0])
    equation = f"{read.inputs},{read.kernel}->{read.outputs}"
    made = b.op(
        "Einsum", x[0], b.constant(layer.kernel.numpy(), f"{layer.name}/kernel"), equation=equation
    )
    if layer.bias is not None:
        made = b.op("Add", made, b.constant(np.asarray(layer.bias.numpy()), f"{layer.name}/bias"))
    return applied(b, layer.activation, made, layer.name)


ATTENTION = frozenset({Attention, AdditiveAttention, MultiHeadAttention})
OF_PRODUCTS: dict[type, Callable[[Builder, Any, list[str], Shapes], str]] = {
    Dot: _dot,
    EinsumDense: _einsum,
}
