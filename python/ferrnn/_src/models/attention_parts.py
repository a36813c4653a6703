"""Attention as parts of the engine, for plans, or the reason why it cannot be."""

from __future__ import annotations

import math
from typing import Any

from ferrnn._src.layers.attention import AdditiveAttention, Attended, Attention
from ferrnn._src.layers.multi_head_attention import MultiHeadAttention
from ferrnn._src.layers.projection import Projection
from ferrnn._src.training.plan_parts import Lowering
from ferrnn._src.weights.parameter import Parameter

# Attributes that an instance may override.
_REPLACED = ("forward", "call", "compute_mask", "cast_inputs", "supports_masking")


def attends(layer: Any) -> bool:
    """Whether a layer is attention, which has several inputs."""
    return type(layer) in (Attention, AdditiveAttention, MultiHeadAttention)


def attention(step: Any, low: Lowering, given: list[int]) -> int | str:
    """Adds the parts of an attention layer; returns its value, or the reason why it has none."""
    layer, inputs = step.layer, step.node.inputs
    says = inputs if isinstance(inputs, Attended) else Attended(tuple(inputs))
    why = _why_not(step, says)
    if why is not None:
        return why
    made = _added(layer, says.use_causal_mask, low, given)
    low.mask_as(given[0], made)
    return made


def _why_not(step: Any, says: Attended) -> str | None:
    node, layer, why = step.node, step.layer, None
    tensors = [*node.input_tensors, *node.output_tensors]
    masks = (node.mask, says.attention_mask, *says.masks)
    if any(mask is not None for mask in masks):
        why = "it is called with a mask"
    elif says.return_attention_scores:
        why = "it returns its attention scores"
    elif layer.activity_regularizer is not None:
        why = "it has an activity regularizer"
    elif any(name in vars(layer) for name in _REPLACED):
        why = "a method is overridden in the instance"
    elif not layer.built:
        why = "it is not built yet"
    elif any(tensor.ndim != 3 or str(tensor.dtype) != str(layer.dtype) for tensor in tensors):
        why = f"its inputs or outputs are not sequences of {layer.dtype}"
    elif type(layer) is MultiHeadAttention and layer.use_gate:
        why = "it has a gate"
    return why


def _added(layer: Any, causal: bool, low: Lowering, given: list[int]) -> int:
    drop = low.drops(layer.seed_generator, layer.dropout)
    if type(layer) is not MultiHeadAttention:
        scale, factors, weights = _scores(layer)
        part = ("attention", 1, scale, False, causal, None, drop, factors)
        return low.add(part, given, weights)
    # Copies of the values, in the order in which the gradients of one value are summed.
    own = [low.copy(value) for value in reversed(given)][::-1]
    query, value, key = (*own, own[1])[:3]
    query = _projected(layer.query_dense, low, query)
    key = _projected(layer.key_dense, low, key)
    value = _projected(layer.value_dense, low, value)
    setting = layer.num_heads, layer._scale, True, causal, layer.sliding_window, drop, None
    mixed = low.add(("attention", *setting), [query, value, key], [])
    return _projected(layer.output_dense, low, mixed)


def _scores(layer: Attention) -> tuple[float | None, int | None, list[Parameter]]:
    """The scale of scores, None if it is a weight; the number of factors, None of products.

    And the weights that these are, if they are weights.
    """
    if type(layer) is AdditiveAttention:
        return 1.0, 0 if layer.scale is None else layer.scale.size, layer.weights
    factors = None if layer.concat_score_weight is None else 1
    return None if layer.use_scale else 1.0, factors, layer.weights


def _projected(projection: Projection, low: Lowering, value: int) -> int:
    """A product with a kernel whose first axes are features, and whose last axes are units."""
    kernel, bias = projection.kernel, projection.bias
    features = math.prod(projection.inputs_shape)
    part = ("dense", projection.activation, features, kernel.size // features, bias is not None)
    return low.add(part, [value], [kernel, *(() if bias is None else (bias,))])
