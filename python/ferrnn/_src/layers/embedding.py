"""Vectors for integer ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.cells.base import refuse
from ferrnn._src.configs.notices import warn
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layer.operations import NotEqual
from ferrnn._src.native import EmbeddingWeights, embedding_backward, embedding_forward
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.ragged import refuse_ragged
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights import constraints, initializers, regularizers
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Gradients, Parameter

_IDS = np.dtype(np.int64)


class Embedding(Layer):
    """Row `i` of a trainable matrix for each id `i`: `[...]` to `[..., output_dim]`.

    Ids are integers from 0 to `input_dim - 1`. With `mask_zero` the id 0 is padding: the
    mask, True where an id is not 0, is passed on with the outputs.

    >>> vectors = Embedding(10, 4, mask_zero=True)(np.array([[3, 7, 0]]))
    >>> vectors.shape, vectors._keras_mask.tolist()
    ((1, 3, 4), [[True, True, False]])
    """

    embeddings: Parameter

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs.pop("input_length", None) is not None:
            warn("Argument `input_length` is deprecated. Just remove it.")
        super().__init__(**kwargs)
        self.input_dim = _positive("input_dim", input_dim)
        self.output_dim = _positive("output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        refuse({"lora_rank": lora_rank, "lora_alpha": lora_alpha}, self.name)
        self.mask_zero = bool(mask_zero)
        self.supports_masking = self.mask_zero
        self._copied: tuple[int, EmbeddingWeights] | None = None
        if weights is not None:
            self.build()
            alone = not (isinstance(weights, list) and len(weights) == 1)
            self.set_weights([weights] if alone else weights)

    def build(self, input_shape: Any = None) -> None:
        if not self.built:
            shape = (self.input_dim, self.output_dim)
            self.embeddings = self.add_weight(
                shape,
                self.embeddings_initializer,
                name="embeddings",
                regularizer=self.embeddings_regularizer,
                constraint=self.embeddings_constraint,
            )

    def cast_inputs(self, inputs: Any) -> Array:
        """`inputs` as integers."""
        if type(inputs) is np.ndarray and inputs.dtype.kind == "i":
            return inputs
        refuse_ragged(inputs, f"`inputs` of layer {self.name!r}")
        array = np.asarray(inputs)
        if array.dtype.kind not in "fiub":
            raise TypeError(
                f"`inputs` of layer {self.name!r} must hold integers, received the dtype "
                f"{array.dtype}"
            )
        return array if array.dtype.kind == "i" else array.astype(np.int64)

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[..., output_dim]` and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        ids = self.cast_inputs(inputs)
        if ids.dtype is not _IDS:
            ids = ids.astype(_IDS)
        try:
            with one_version():
                outputs = embedding_forward(self.embeddings.value, ids)
        except ValueError as error:
            raise ValueError(
                f"the inputs of layer {self.name!r} must be ids from 0 to input_dim - 1 = "
                f"{self.input_dim - 1}, received ids from {ids.min()} to {ids.max()}"
            ) from error
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            d_rows = np.asarray(d_outputs, self._float)
            grads.add(self.embeddings, embedding_backward(ids, d_rows, self.input_dim))
            # Outputs have no derivative with respect to ids.
            return np.zeros(ids.shape, self.dtype) if call.inputs_need_gradient else None

        return outputs, vjp

    def stream_weights(self) -> EmbeddingWeights:
        """The matrix for a stream, copied anew after every change."""
        copied = self._copied
        if copied is None or copied[0] != self.embeddings.version:
            with one_version():
                weights = EmbeddingWeights(self.embeddings.value, self.mask_zero)
                copied = (self.embeddings.version, weights)
            self._copied = copied
        return copied[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_copied": None}

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*tuple(input_shape), self.output_dim)

    def compute_mask(self, inputs: Any, mask: Mask | None = None) -> Any:
        """True where an id is not 0, if 0 is padding."""
        if not self.mask_zero:
            return None
        if isinstance(inputs, SymbolicTensor):
            return NotEqual()(inputs, 0)
        return np.not_equal(self.cast_inputs(inputs), 0)

    def makes_masks(self) -> bool:
        return self.mask_zero

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }


def _positive(argument: str, value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value <= 0:
        raise ValueError(
            f"`{argument}` must be a positive integer. Received: {argument}={value} "
            f"(of type {type(value).__name__})."
        )
    return int(value)
