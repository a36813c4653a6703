"""Multi-head attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layers.attention import Attended
from ferrnn._src.layers.dropout import checked_part
from ferrnn._src.layers.head_masks import seen_by_queries
from ferrnn._src.layers.heads import Heads, Layout
from ferrnn._src.layers.projection import Projection
from ferrnn._src.layers.weight_settings import KernelAndBias
from ferrnn._src.native import attention_backward, attention_forward
from ferrnn._src.symbolic.shapes import shapes_of
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights import regularizers
from ferrnn._src.weights.parameter import Gradients
from ferrnn._src.weights.random import SeedGenerator

_OF_WEIGHTS = ("kernel_regularizer", "bias_regularizer", "kernel_constraint", "bias_constraint")


class MultiHeadAttention(KernelAndBias):
    """`softmax(Q @ K^T / sqrt(key_dim)) @ V` in each of `num_heads` heads, then a projection.

    `Q`, `K` and `V` are projections of query `[batch, queries, features]`, key and value `[batch,
    values, ...]` (the key is the value unless given); the outputs are `[batch, queries, features]`,
    or `[batch, queries, *output_shape]`. Attention may go over several axes, `attention_axes`.

    Masks of query, value and key, an `attention_mask` `[batch, queries, values]` and
    `use_causal_mask=True` (query `i` sees no value after `i`) together say what a query sees; one
    that sees nothing gets zeros before the projection. `return_attention_scores=True` gives
    `(outputs, weights)` with weights `[batch, heads, queries, values]`.

    >>> layer = MultiHeadAttention(num_heads=2, key_dim=4)
    >>> sequence = np.random.default_rng(0).normal(size=(3, 5, 6))
    >>> outputs, weights = layer(sequence, sequence, return_attention_scores=True)
    >>> outputs.shape, weights.shape
    ((3, 5, 6), (3, 2, 5, 5))
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.num_heads = _positive("num_heads", num_heads)
        self.key_dim = _positive("key_dim", key_dim)
        self.value_dim = self.key_dim if value_dim is None else _positive("value_dim", value_dim)
        self.dropout = checked_part("dropout", dropout)
        if flash_attention and self.dropout:
            raise ValueError("Dropout is not supported when flash attention is enabled.")
        self.use_bias, self.use_gate = bool(use_bias), bool(use_gate)
        self._output_shape = _lengths(output_shape)
        self.attention_axes = _axes(attention_axes)
        self.sliding_window = sliding_window
        if sliding_window is not None:
            self.sliding_window = _positive("sliding_window", sliding_window)
        self._take_weight_settings(locals())
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self._scale = 1.0 / math.sqrt(self.key_dim)
        self._layout: Layout | None = None  # for the arrays of the last call

    # The arguments of a call.

    def gather(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """The tuple of query, value and perhaps key; an `Attended` if there are other arguments."""
        arrays = (query, value) if key is None else (query, value, key)
        masks = (query_mask, value_mask, key_mask)
        more = any(each is not None for each in (*masks, attention_mask))
        if not more and not return_attention_scores and not use_causal_mask:
            return arrays
        return Attended(
            arrays, masks, attention_mask, bool(return_attention_scores), bool(use_causal_mask)
        )

    def main_input(self, inputs: Any) -> Any:
        return inputs.arrays if isinstance(inputs, Attended) else inputs

    def cast_inputs(self, inputs: Any) -> Any:
        """The arrays in the layer's dtype, masks as booleans."""
        arrays = tuple(self.cast_array(each, "inputs") for each in self.main_input(inputs))
        if not isinstance(inputs, Attended):
            return arrays
        masks = tuple(None if each is None else np.asarray(each) != 0 for each in inputs.masks)
        mask = inputs.attention_mask
        mask = None if mask is None else np.asarray(mask) != 0
        return inputs._replace(arrays=arrays, masks=masks, attention_mask=mask)

    def symbolic_outputs(self, inputs: Any) -> Any:
        shapes = shapes_of(self.main_input(inputs))
        outputs = SymbolicTensor(self.compute_output_shape(*shapes), self.dtype)
        if not isinstance(inputs, Attended) or not inputs.return_attention_scores:
            return outputs
        query, key, axes = shapes[0], shapes[-1], self._attended_axes(len(shapes[0]))
        before = [query[axis] for axis in range(len(query) - 1) if axis not in axes]
        lengths = [shape[axis] for shape in (query, key) for axis in axes]
        return (outputs, SymbolicTensor((*before, self.num_heads, *lengths), self.dtype))

    # Building.

    def build_for(self, inputs: Any) -> None:
        self.build(*shapes_of(self.main_input(inputs)))

    def build(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> None:
        shapes = query_shape, value_shape, value_shape if key_shape is None else key_shape
        self.compute_output_shape(*shapes)
        query, value, key = map(tuple, shapes)
        self.attention_axes = self._attended_axes(len(query))
        heads = self.num_heads
        self.query_dense = self._projection("query", query[-1:], (heads, self.key_dim))
        self.key_dense = self._projection("key", key[-1:], (heads, self.key_dim))
        if self.use_gate:
            self._gate_dense = self._projection(
                "gate", query[-1:], (heads, self.value_dim), "sigmoid"
            )
        self.value_dense = self._projection("value", value[-1:], (heads, self.value_dim))
        outputs = self._output_shape or query[-1:]
        self.output_dense = self._projection("attention_output", (heads, self.value_dim), outputs)

    def _projection(
        self, name: str, inputs: Sequence[Any], outputs: Sequence[int], activation: str = "linear"
    ) -> Projection:
        projection = Projection(
            inputs,
            outputs,
            activation,
            use_bias=self.use_bias,
            kernel_initializer=_fresh(self.kernel_initializer),
            bias_initializer=_fresh(self.bias_initializer),
            **{setting: getattr(self, setting) for setting in _OF_WEIGHTS},
            name=name,
            dtype=self.dtype,
        )
        projection.build((None, *inputs))
        return projection

    def _attended_axes(self, rank: int) -> tuple[int, ...]:
        if self.attention_axes is None:
            return tuple(range(1, rank - 1))
        axes = tuple(axis % rank for axis in self.attention_axes)
        if any(not 1 <= axis < rank - 1 for axis in axes):
            raise ValueError(
                f"`attention_axes` of layer {self.name!r} must name axes between the first (the "
                f"batch) and the last (the features) of {rank}, received {self.attention_axes}"
            )
        return axes

    # Forward and backward.

    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """Outputs `[batch, queries, features]`, with the weights if wanted, and the vjp."""
        says = inputs if type(inputs) is Attended else None
        arrays = inputs if says is None else says.arrays
        if not self.built:
            self.build_for(inputs)
        query, value, key = arrays if len(arrays) == 3 else (*arrays, arrays[1])
        shapes = query.shape, value.shape, key.shape
        layout, differentiable = self._layout, call.differentiable
        if layout is None or layout.shapes != shapes:
            layout = self._layout = self._laid_out(shapes)
        q, q_kept = self.query_dense.product(query, differentiable)
        k, k_kept = self.key_dense.product(key, differentiable)
        v, v_kept = self.value_dense.product(value, differentiable)
        mask = None
        if says is not None or call.mask is not None or self.sliding_window is not None:
            told = says or Attended((query, value, key), (None,) * 3)
            axes, window = self._attended_axes(query.ndim), self.sliding_window
            mask = seen_by_queries(self.name, told, call.mask, window, axes, layout.weights)
        mixed, weights, mixed_vjp = self._attend(layout, q, k, v, mask, call)
        gated, gate = mixed, None
        if self.use_gate:
            gate, gate_kept = self._gate_dense.product(query, differentiable)
            gated = mixed * gate
        outputs, kept = self.output_dense.product(gated, differentiable)
        both = says is not None and says.return_attention_scores
        returned = (outputs, weights.reshape(layout.weights)) if both else outputs
        if not differentiable:
            return returned, None

        def vjp(d_returned: Any, grads: Gradients) -> Any:
            d_outputs, d_weights = d_returned if both else (d_returned, None)
            d_gated = self.output_dense.gradients(kept, d_outputs, grads)
            d_mixed = d_gated if gate is None else d_gated * gate
            d_q, d_k, d_v = mixed_vjp(d_mixed, d_weights)
            d_query = self.query_dense.gradients(q_kept, d_q, grads)
            d_key = self.key_dense.gradients(k_kept, d_k, grads)
            d_value = self.value_dense.gradients(v_kept, d_v, grads)
            if gate is not None:
                d_query = d_query + self._gate_dense.gradients(gate_kept, d_gated * mixed, grads)
            d_arrays: tuple[Any, ...] = (d_query, d_value, d_key)
            if len(arrays) == 2:
                d_arrays = (d_query, d_value + d_key)
            return d_arrays if says is None else says.gradients(d_arrays)

        return returned, vjp

    def _laid_out(self, shapes: tuple[tuple[int, ...], ...]) -> Layout:
        """The layout for arrays of these shapes, after checking them."""
        self.compute_output_shape(*shapes)
        parts = self.query_dense, self.value_dense, self.key_dense
        for part, shape in zip(parts, shapes, strict=True):
            part.check(shape)
        query, value, key = (shape[:-1] for shape in shapes)
        axes, heads = self._attended_axes(len(shapes[0])), self.num_heads
        before = [length for axis, length in enumerate(query) if axis not in axes]
        return Layout(
            shapes,
            Heads(query, axes, heads, self.key_dim),
            Heads(value, axes, heads, self.value_dim),
            Heads(key, axes, heads, self.key_dim),
            Heads(query, axes, heads, self.value_dim),
            (*before, heads, *(lengths[axis] for lengths in (query, key) for axis in axes)),
            len(before),
        )

    def _attend(
        self, layout: Layout, q: Array, k: Array, v: Array, mask: Mask | None, call: Call
    ) -> tuple[Array, Array, Any]:
        """Means of values for each query and head, the weights, and the vjp.

        The projections are `[batch, ..., heads, dim]`.
        """
        _, of_query, of_value, of_key, of_mixed, whole, before = layout
        query, key, value = of_query.inside(q), of_key.inside(k), of_value.inside(v)
        flat = (query.shape[0], self.num_heads, query.shape[1], key.shape[1])  # of the weights
        noise = None
        if self.dropout and call.training:
            noise = self.seed_generator.dropout_mask(flat, self.dropout, self.dtype)
        if mask is not None and mask.ndim != 4:
            heads = mask.shape[before]
            wide = np.broadcast_to(mask, (*whole[:before], heads, *whole[before + 1 :]))
            mask = wide.reshape(flat[0], heads, *flat[2:])
        given = (query, key, value, self._scale, None, noise)
        means, weights = attention_forward(given, mask)

        def vjp(d_mixed: Array, d_given: Array | None) -> tuple[Array, Array, Array]:
            if d_given is not None:
                d_given = d_given.reshape(flat).astype(weights.dtype, copy=False)
            slopes = attention_backward(given, weights, of_mixed.inside(d_mixed), d_given)
            d_query, d_key, d_value, *_ = slopes
            return of_query.outside(d_query), of_key.outside(d_key), of_value.outside(d_value)

        return np.ascontiguousarray(of_mixed.outside(means)), weights, vjp

    # Shapes, masks, configuration.

    def compute_output_shape(  # type: ignore[override]
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> Any:
        query, value = tuple(query_shape), tuple(value_shape)
        key = value if key_shape is None else tuple(key_shape)
        if not len(query) == len(value) == len(key) or len(query) < 3:
            raise ValueError(
                "the numbers of axes of query, value and key must be equal, 3 or more, received "
                f"the shapes {query}, {value} and {key} (in layer {self.name!r})"
            )
        pairs = zip(value[1:-1], key[1:-1], strict=True)
        if any(None not in pair and pair[0] != pair[1] for pair in pairs):
            raise ValueError(
                "All dimensions of `value` and `key`, except the last one, must be equal. "
                f"Received: value_shape={value} and key_shape={key} (in layer {self.name!r})"
            )
        return (*query[:-1], *(self._output_shape or query[-1:]))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the query."""
        return mask[0] if mask else None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "use_gate": self.use_gate,
            "output_shape": self._output_shape,
            "attention_axes": self.attention_axes,
            "sliding_window": self.sliding_window,
            **self._weights_config(),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "seed": self.seed,
        }


def _positive(argument: str, value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value <= 0:
        raise ValueError(
            f"Received an invalid value for argument `{argument}`, expected a positive integer. "
            f"Received: {argument}={value!r}"
        )
    return int(value)


def _lengths(output_shape: Any) -> tuple[int, ...] | None:
    if not output_shape:
        return None
    if isinstance(output_shape, int):
        return (output_shape,)
    if not isinstance(output_shape, list | tuple):
        raise ValueError(  # noqa: TRY004 - Keras' error
            f"Invalid `output_shape`: {output_shape!r}. When specified, the `output_shape` should "
            "be of type tuple, list, or int."
        )
    return tuple(output_shape)


def _axes(attention_axes: Any) -> tuple[int, ...] | None:
    if isinstance(attention_axes, int):
        return (attention_axes,)
    if attention_axes is None or isinstance(attention_axes, list | tuple):
        return None if attention_axes is None else tuple(attention_axes)
    raise ValueError(
        "`attention_axes` must be an int, list, or tuple. "
        f"Received: attention_axes={attention_axes!r}"
    )


def _fresh(initializer: Any) -> Any:
    """A copy of an initializer, as one that has drawn its seed always returns the same values."""
    if hasattr(initializer, "get_config") and hasattr(type(initializer), "from_config"):
        return type(initializer).from_config(initializer.get_config())
    return initializer
