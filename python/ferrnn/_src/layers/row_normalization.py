"""Normalization of rows of features in the engine."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.native import (
    NormalizationWeights,
    normalization_backward,
    normalization_forward,
)
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Gradients, Parameter


class RowNormalization(Layer):
    """A layer that can normalize each row of features on its own, around its mean or around 0."""

    epsilon: float
    _centered: ClassVar[bool]
    # What the engine's form of the weights is of, and that form.
    _packed: tuple[Any, NormalizationWeights] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_packed": None}

    def _factor_and_offset(self) -> tuple[Parameter | None, Parameter | None]:
        """The weights that normalized rows are multiplied by, and that are added."""
        raise NotImplementedError

    def _packed_weights(self, features: int) -> NormalizationWeights:
        """The weights in the form of the engine, made anew after every change of one."""
        packed = self._packed
        if packed is not None and packed[0] == self._key():
            return packed[1]
        gamma, beta = self._factor_and_offset()
        with one_version():
            key = self._key()
            weights = NormalizationWeights(
                features,
                self.epsilon,
                None if gamma is None else gamma.value,
                None if beta is None else beta.value,
                self.dtype == "float64",
                self._centered,
            )
        self._packed = (key, weights)  # one assignment: another thread sees both or neither
        return weights

    def _key(self) -> tuple[int, int, float]:
        versions = [0 if part is None else part.version for part in self._factor_and_offset()]
        return versions[0], versions[1], self.epsilon

    def _by_rows(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        weights = self._packed_weights(inputs.shape[-1])
        outputs, kept = normalization_forward(weights, inputs, call.differentiable)
        if kept is None:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            gamma, beta = self._factor_and_offset()
            d_inputs, d_gamma, d_beta = normalization_backward(
                weights,
                inputs,
                kept,
                np.asarray(d_outputs, inputs.dtype),
                (call.inputs_need_gradient, gamma is not None, beta is not None),
            )
            if gamma is not None and d_gamma is not None:
                grads.add(gamma, d_gamma)
            if beta is not None and d_beta is not None:
                grads.add(beta, d_beta)
            return d_inputs

        return outputs, vjp
