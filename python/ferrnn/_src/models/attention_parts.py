"""Attention as parts of the engine, for plans, or why it is none."""

from __future__ import annotations

import math
from typing import Any

from ferrnn._src.layers.attention import AdditiveAttention, Attended, Attention
from ferrnn._src.layers.multi_head_attention import MultiHeadAttention
from ferrnn._src.layers.projection import Projection
from ferrnn._src.training.plan_parts import Lowering

# What an instance may be given in place of its class's own.
_REPLACED = ("forward", "call", "compute_mask", "cast_inputs", "supports_masking")


def attends(layer: Any) -> bool:
    """Whether a layer is attention, which takes several values."""
    return type(layer) in (Attention, AdditiveAttention, MultiHeadAttention)


def attention(step: Any, low: Lowering, given: list[int]) -> int | str:
    """Adds the parts that attention is; gives the value that it makes, or why it is none."""
    layer, inputs = step.layer, step.node.inputs
    says = inputs if isinstance(inputs, Attended) else Attended(tuple(inputs))
    return _why_not(step, says) or _added(layer, says.use_causal_mask, low, given)


def _why_not(step: Any, says: Attended) -> str | None:
    node, layer, why = step.node, step.layer, None
    tensors = [*node.input_tensors, *node.output_tensors]
    masks = (node.mask, says.attention_mask, *says.masks)
    if node.training is not None or any(mask is not None for mask in masks):
        why = "it is called with a mask or with `training`"
    elif says.return_attention_scores:
        why = "it returns its weights"
    elif layer.activity_regularizer is not None:
        why = "it has an activity regularizer"
    elif any(name in vars(layer) for name in _REPLACED):
        why = "it has a method of its own"
    elif not layer.built:
        why = "it is not built yet"
    elif layer.dropout:
        why = f"it has dropout={layer.dropout}"
    elif any(tensor.ndim != 3 or str(tensor.dtype) != str(layer.dtype) for tensor in tensors):
        why = f"it does not take and give sequences of {layer.dtype}"
    elif isinstance(layer, AdditiveAttention) or getattr(layer, "score_mode", "dot") != "dot":
        why = "NumPy computes its scores"
    elif type(layer) is MultiHeadAttention and layer.use_gate:
        why = "it has a gate"
    return why


def _added(layer: Any, causal: bool, low: Lowering, given: list[int]) -> int | str:
    if type(layer) is Attention:
        scale, weights = (1.0, []) if layer.scale is None else (None, [layer.scale])
        return low.add(("attention", 1, scale, False, causal, None), given, weights)
    # Values of its own, in the order in which gradients by one are summed.
    own = [low.copy(value) for value in reversed(given)][::-1]
    query, value, key = (*own, own[1])[:3]
    query = _projected(layer.query_dense, low, query)
    key = _projected(layer.key_dense, low, key)
    value = _projected(layer.value_dense, low, value)
    setting = layer.num_heads, layer._scale, True, causal, layer.sliding_window
    mixed = low.add(("attention", *setting), [query, value, key], [])
    return _projected(layer.output_dense, low, mixed)


def _projected(projection: Projection, low: Lowering, value: int) -> int:
    """A product with a kernel whose axes are those of features, then those of units."""
    kernel, bias = projection.kernel, projection.bias
    features = math.prod(projection.inputs_shape)
    part = ("dense", projection.activation, features, kernel.size // features, bias is not None)
    return low.add(part, [value], [kernel, *(() if bias is None else (bias,))])
