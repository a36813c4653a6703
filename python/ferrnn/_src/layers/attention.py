"""Attention: means of values, weighted by how well keys fit a query."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layer.masked import of_axes
from ferrnn._src.layers.dropout import checked_part
from ferrnn._src.layers.merge import summed_to
from ferrnn._src.native import attention_backward, attention_forward
from ferrnn._src.symbolic.shapes import is_shape, shapes_of
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.one_version import reads_one_version
from ferrnn._src.weights.parameter import Gradients, Parameter
from ferrnn._src.weights.random import SeedGenerator

# `vjp(d_means, d_weights, grads) -> d_query, d_value, d_key`
MeansVjp: TypeAlias = Callable[[Array, "Array | None", Gradients], "tuple[Array, Array, Array]"]


class Attended(NamedTuple):
    """Query, value and perhaps key of one call, and the call's other arguments."""

    arrays: tuple[Any, ...]
    masks: tuple[Any, ...] = ()
    attention_mask: Any = None
    return_attention_scores: bool = False
    use_causal_mask: bool = False

    def gradients(self, d_arrays: tuple[Any, ...]) -> Attended:
        """The same structure, with gradients for the arrays and None for the rest."""
        return Attended(d_arrays, (None,) * len(self.masks), None, False, False)


class Attention(Layer):
    """`softmax(query @ key^T) @ value`, Luong's attention.

    It takes a list `[query, value]` or `[query, value, key]` (the key is the value unless given) of
    arrays `[batch, queries, features]`, `[batch, values, ...]`; gives `[batch, queries, ...]`.
    With `use_scale` the scores are multiplied by a trainable number; `score_mode="concat"` takes
    `weight * sum(tanh(query + key))` for scores. Masks, those of query and value, hide values, and
    set the outputs of hidden queries to zero; with `use_causal_mask=True` in a call, query `i` does
    not see values after `i`. `return_attention_scores=True` returns `(outputs, weights)`.

    >>> query, value = np.zeros((1, 2, 3)), np.arange(12.0).reshape(1, 4, 3)
    >>> Attention()([query, value])[0].tolist()
    [[4.5, 5.5, 6.5], [4.5, 5.5, 6.5]]
    """

    takes_several = True
    scale: Parameter | None = None
    concat_score_weight: Parameter | None = None

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.use_scale = bool(use_scale)
        if score_mode not in ("dot", "concat"):
            raise ValueError(
                "Invalid value for argument score_mode. Expected one of {'dot', 'concat'}. "
                f"Received: score_mode={score_mode!r}"
            )
        self.score_mode = score_mode
        self.dropout = checked_part("dropout", dropout)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self._known: list[tuple[int, ...]] = []  # the shapes checked last

    # The arguments of a call.

    def gather(
        self,
        inputs: Any,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        """The list of query, value and perhaps key; an `Attended` if there are other arguments."""
        if not isinstance(inputs, list | tuple):
            raise ValueError(  # noqa: TRY004 - Keras' error
                f"{type(self).__name__} layer must be called on a list of inputs, namely [query, "
                f"value] or [query, value, key]. Received: inputs={type(inputs).__name__} (in "
                f"layer {self.name!r})."
            )
        if not return_attention_scores and not use_causal_mask:
            return inputs
        return Attended(
            tuple(inputs),
            return_attention_scores=bool(return_attention_scores),
            use_causal_mask=bool(use_causal_mask),
        )

    def main_input(self, inputs: Any) -> Any:
        return inputs.arrays if isinstance(inputs, Attended) else inputs

    def cast_inputs(self, inputs: Any) -> Any:
        """The arrays in the layer's dtype."""
        if not isinstance(inputs, list | tuple):
            self.gather(inputs)  # raises the error
        arrays = tuple(self.cast_array(each, "inputs") for each in self.main_input(inputs))
        return inputs._replace(arrays=arrays) if isinstance(inputs, Attended) else arrays

    def symbolic_outputs(self, inputs: Any) -> Any:
        shapes = shapes_of(self.main_input(inputs))
        outputs = SymbolicTensor(self.compute_output_shape(shapes), self.dtype)
        if not isinstance(inputs, Attended) or not inputs.return_attention_scores:
            return outputs
        scores = (*shapes[0][:-1], shapes[-1][-2])
        return (outputs, SymbolicTensor(scores, self.dtype))

    def _checked_shapes(self, shapes: Any) -> list[tuple[int | None, ...]]:
        count = 0 if is_shape(shapes) else len(shapes)
        if not 2 <= count <= 3:
            raise ValueError(
                f"{type(self).__name__} layer accepts inputs list of length 2 or 3, namely [query, "
                f"value] or [query, value, key]. Received: {shapes} (in layer {self.name!r})."
            )
        query, value, key = *map(tuple, shapes), *([tuple(shapes[1])] if count == 2 else [])
        sizes, steps = (query[-1], key[-1]), (value[-2:-1], key[-2:-1])
        fits = min(len(query), len(value)) > 2 and len(query) == len(value) == len(key)
        if not fits or _differ(*sizes) or _differ(*steps):
            raise ValueError(
                f"layer {self.name!r} must be given a query [batch, queries, features], a value "
                "[batch, values, ...] and a key [batch, values, features] (the value unless "
                f"given), received the shapes {query}, {value} and {key}"
            )
        return [query, value, key]

    def build(self, input_shape: Any) -> None:
        self._checked_shapes(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    # Forward and backward.

    @reads_one_version
    def forward(self, inputs: Any, call: Call) -> tuple[Any, Vjp | None]:
        """Outputs `[batch, queries, ...]`, with the weights if wanted, and the vjp."""
        says = inputs if type(inputs) is Attended else None
        arrays = tuple(inputs) if says is None else says.arrays
        shapes = [array.shape for array in arrays]
        if shapes != self._known:
            self._checked_shapes(shapes)
            self._known = shapes
        if not self.built:
            self.build(shapes)
        query, value, key = (*arrays, arrays[1])[:3]
        query_mask, value_mask = self._checked_masks(call.mask, arrays)
        causal = says is not None and says.use_causal_mask
        hidden = _hidden(query.shape[-2], key.shape[-2], value_mask, causal)
        outputs, weights, means_vjp = self._means((query, value, key), hidden, bool(call.training))
        shown = None if query_mask is None else np.asarray(query_mask, bool)[..., None]
        if shown is not None:
            outputs = np.where(shown, outputs, 0)
        both = says is not None and says.return_attention_scores
        returned = (outputs, weights) if both else outputs
        if not call.differentiable:
            return returned, None

        def vjp(d_returned: Any, grads: Gradients) -> Any:
            d_outputs, d_given = d_returned if both else (d_returned, None)
            if shown is not None:
                d_outputs = np.where(shown, d_outputs, 0)
            d_query, d_value, d_key = means_vjp(d_outputs, d_given, grads)
            d_arrays: tuple[Any, ...] = (d_query, d_value, d_key)
            if len(arrays) == 2:
                d_arrays = (d_query, d_value + d_key)
            return d_arrays if says is None else says.gradients(d_arrays)

        return returned, vjp

    def _means(
        self, given: tuple[Array, Array, Array], hidden: Mask | None, training: bool
    ) -> tuple[Array, Array, MeansVjp]:
        """Means of values, their weights, and `vjp(d_means, d_weights, grads)`, in the engine."""
        arrays, hidden = _of_equal_samples(given, hidden)
        query, value = _with_a_head(arrays[0]), _with_a_head(arrays[1])
        key = value if arrays[2] is arrays[1] else _with_a_head(arrays[2])
        lengths = (*arrays[0].shape[:-1], arrays[2].shape[-2])  # of the weights
        noise = given_noise = None
        if training and self.dropout:
            noise = self.seed_generator.dropout_mask(lengths, self.dropout, self.dtype)
            given_noise = noise.reshape(len(query), 1, *lengths[-2:])
        scale, factors = self._scale_and_factors()
        known = (query, key, value, scale, factors, given_noise)
        seen = None if hidden is None else ~hidden.reshape(-1, 1, *hidden.shape[-2:])
        means, softened = attention_forward(known, seen, False)
        weights = softened.reshape(lengths)

        def vjp(
            d_means: Array, d_weights: Array | None, grads: Gradients
        ) -> tuple[Array, Array, Array]:
            if d_weights is not None:
                d_weights = np.asarray(d_weights if noise is None else d_weights * noise)
                d_weights = d_weights.astype(weights.dtype, copy=False).reshape(softened.shape)
            slope = d_means.reshape(means.shape)
            wanted = self.scale is not None
            slopes = attention_backward(known, softened, slope, d_weights, wanted)
            self._add_gradients(np.asarray(slopes[3], weights.dtype), slopes[4], grads)
            triples = zip((slopes[0], slopes[2], slopes[1]), arrays, given, strict=True)
            d_query, d_value, d_key = (
                summed_to(slope.reshape(array.shape), own.shape) for slope, array, own in triples
            )
            return d_query, d_value, d_key

        shape = (*arrays[0].shape[:-1], arrays[1].shape[-1])
        return means.reshape(shape), weights if noise is None else weights * noise, vjp

    def _scale_and_factors(self) -> tuple[float, Array | None]:
        """What products or sums are multiplied by, and the factors of sums that are squashed."""
        scale = 1.0 if self.scale is None else float(self.scale.snapshot())
        weight = self.concat_score_weight
        return scale, None if weight is None else weight.snapshot().reshape(1)

    def _add_gradients(self, by_scale: Array, by_factors: Array, grads: Gradients) -> None:
        """Adds the gradients of the weights from those of `_scale_and_factors`."""
        if self.scale is not None:
            grads.add(self.scale, by_scale)
        if self.concat_score_weight is not None:
            grads.add(self.concat_score_weight, by_factors.reshape(()))

    def _checked_masks(self, masks: Any, arrays: Any) -> tuple[Any, Any]:
        """The masks of query and value, which must fit them."""
        if masks is None:
            return None, None
        pairs = list(zip(self._pair(masks), arrays, strict=False))
        both = [None if mask is None else of_axes(mask, each.ndim - 1) for mask, each in pairs]
        for mask, array, what in zip(both, arrays, ("query", "value"), strict=False):
            if mask is not None and np.shape(mask) != array.shape[:-1]:
                raise ValueError(
                    f"the mask of the {what} of layer {self.name!r} must have the shape "
                    f"{array.shape[:-1]}, received {np.shape(mask)}"
                )
        return both[0], both[1]

    def _pair(self, masks: Any) -> tuple[Any, Any]:
        """The masks of query and value, from the list given to a call."""
        if not isinstance(masks, list | tuple) or not 2 <= len(masks) <= 3:
            raise ValueError(
                f"{type(self).__name__} layer mask must be a list of length 2 or 3, namely "
                f"[query_mask, value_mask]. Received: mask={masks!r} (in layer {self.name!r})."
            )
        return masks[0], masks[1]

    # Shapes, masks, configuration.

    def compute_output_shape(self, input_shape: Any) -> Any:
        query, value, _ = self._checked_shapes(input_shape)
        return (*query[:-1], value[-1])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the query."""
        return None if mask is None else self._pair(mask)[0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
            "dropout": self.dropout,
            "seed": self.seed,
        }


class AdditiveAttention(Attention):
    """`softmax(sum(scale * tanh(query + key))) @ value`, Bahdanau's attention.

    Inputs and outputs are those of `Attention`; `scale` is trainable, one number per feature.

    >>> AdditiveAttention()([np.ones((2, 3, 4)), np.ones((2, 5, 4))]).shape
    (2, 3, 4)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        query, _, _ = self._checked_shapes(input_shape)
        if self.use_scale:
            features: Any = query[-1]
            self.scale = self.add_weight((features,), "glorot_uniform", name="scale")

    def _scale_and_factors(self) -> tuple[float, Array | None]:
        return 1.0, np.ones(1, self.dtype) if self.scale is None else self.scale.snapshot()

    def _add_gradients(self, by_scale: Array, by_factors: Array, grads: Gradients) -> None:
        if self.scale is not None:
            grads.add(self.scale, by_factors)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]
        return config


def _of_equal_samples(
    arrays: tuple[Array, Array, Array], hidden: Mask | None
) -> tuple[tuple[Array, Array, Array], Mask | None]:
    """Query, value and key with as many samples each, and what is hidden in these."""
    samples = [array.shape[:-2] for array in arrays]
    if samples[0] == samples[1] == samples[2]:
        return arrays, hidden
    every = np.broadcast_shapes(*samples)
    query, value, key = (np.broadcast_to(each, every + each.shape[-2:]) for each in arrays)
    if hidden is not None:
        hidden = np.broadcast_to(hidden, every + hidden.shape[-2:])
    return (query, value, value if arrays[2] is arrays[1] else key), hidden


def _with_a_head(array: Array) -> Array:
    """`[..., steps, features]` as `[samples, steps, 1, features]`."""
    if array.ndim == 3:
        return array[:, :, None]
    steps, features = array.shape[-2:]
    samples = math.prod(array.shape[:-2])
    return np.asarray(array.reshape(samples, steps, 1, features))


def _hidden(queries: int, values: int, value_mask: Any, causal: bool) -> Mask | None:
    """True where a query must not see a value."""
    hidden = None if value_mask is None else ~np.asarray(value_mask, bool)[..., None, :]
    if not causal:
        return hidden
    later: Mask = np.arange(queries)[:, None] < np.arange(values)
    return later if hidden is None else hidden | later


def _differ(one: Any, two: Any) -> bool:
    known = None not in (one, two) and (None,) not in (one, two)
    return known and one != two
