"""Activations as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.configs.notices import warn
from ferrnn._src.layer.layer import Call, Layer, Vjp
from ferrnn._src.layers.checks import checked_rank
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights import constraints, initializers, regularizers
from ferrnn._src.weights.parameter import Gradients, Parameter

# Added to masked entries before a softmax, as in Keras.
_HIDDEN = -1e9


class Activation(Layer):
    """Applies an activation, by name or as a callable: outputs of the inputs' shape.

    >>> import numpy as np
    >>> Activation("relu")(np.array([[-1.0, 2.0]])).tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        activation = activations.differentiable(self.activation)
        outputs = activation.of_layer(inputs)

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            return activation.backward(inputs, outputs, d_outputs)

        return outputs, vjp

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class ReLU(Layer):
    """`x` from `threshold` to `max_value`, below it `negative_slope * (x - threshold)`.

    >>> ReLU(max_value=1.0, negative_slope=0.5)(np.array([[-1.0, 0.5, 2.0]])).tolist()
    [[-0.5, 0.5, 1.0]]
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0:
            raise ValueError(
                "max_value of a ReLU layer cannot be a negative value. "
                f"Received: max_value={max_value}"
            )
        for argument, value in (("negative_slope", negative_slope), ("threshold", threshold)):
            if value is None or value < 0:
                raise ValueError(
                    f"{argument} of a ReLU layer cannot be None or a negative value. "
                    f"Received: {argument}={value}"
                )
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        threshold, slope = self.threshold, self.negative_slope
        above = inputs > threshold
        outputs = inputs * above
        if self.max_value is not None:
            np.minimum(outputs, self.max_value, out=outputs)
        if slope:
            outputs += slope * np.minimum(inputs - threshold, 0)
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            passing = above if self.max_value is None else above & (inputs < self.max_value)
            d_inputs: Array = d_outputs * passing
            if slope:
                d_inputs += slope * d_outputs * (inputs < threshold)
            return d_inputs

        return outputs, vjp

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(Layer):
    """`x` where it is positive, else `negative_slope * x`.

    >>> LeakyReLU(0.5)(np.array([[-1.0, 2.0]])).tolist()
    [[-0.5, 2.0]]
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warn("Argument `alpha` is deprecated. Use `negative_slope` instead.")
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(
                "The negative_slope value of a Leaky ReLU layer cannot be None or negative value. "
                f"Expected a float. Received: negative_slope={negative_slope}"
            )
        self.negative_slope = negative_slope
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        exact = inputs.dtype.type
        slopes = np.where(inputs > 0, exact(1), exact(self.negative_slope))
        return inputs * slopes, lambda d_outputs, grads: d_outputs * slopes

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class PReLU(Layer):
    """`x` where it is positive, else `alpha * x`, with a learned `alpha` per entry of a sample.

    Along `shared_axes` (1 is the first after the batch) there is one `alpha`.

    >>> PReLU("ones")(np.array([[-1.0, 2.0]])).tolist()
    [[-1.0, 2.0]]
    """

    alpha: Parameter

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        if shared_axes is not None:
            shared_axes = [shared_axes] if isinstance(shared_axes, int) else list(shared_axes)
        self.shared_axes = shared_axes

    def build(self, input_shape: Any) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            if not 1 <= axis <= len(shape):
                raise ValueError(
                    f"`shared_axes` of layer {self.name!r} must lie between 1 and {len(shape)} for "
                    f"the input shape {tuple(input_shape)}, received {self.shared_axes}"
                )
            shape[axis - 1] = 1
        if None in shape:
            raise ValueError(
                f"layer {self.name!r} must be built for known lengths of all axes but the batch "
                f"and `shared_axes`, received the shape {tuple(input_shape)}"
            )
        self.alpha = self.add_weight(
            shape,
            self.alpha_initializer,
            name="alpha",
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        checked_rank(self.name, inputs.shape, self.alpha.ndim + 1)
        alpha = self.alpha.snapshot() if call.differentiable else self.alpha.value
        negative = np.minimum(inputs, 0)
        outputs = np.maximum(inputs, 0) + alpha * negative
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            d_alpha = (d_outputs * negative).sum(axis=0)
            shared = tuple(axis - 1 for axis in self.shared_axes or ())
            grads.add(self.alpha, d_alpha.sum(axis=shared, keepdims=True))
            d_inputs: Array = d_outputs * np.where(inputs > 0, 1, alpha)
            return d_inputs

        return outputs, vjp

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


class ELU(Layer):
    """`x` where it is positive, else `alpha * (exp(x) - 1)`.

    >>> ELU(2.0)(np.array([[-100.0, 2.0]])).tolist()
    [[-2.0, 2.0]]
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        positive, raised = inputs > 0, activations.elu.of_layer(inputs)
        outputs = np.where(positive, raised, self.alpha * raised)
        return (
            outputs,
            lambda d_outputs, grads: d_outputs * np.where(positive, 1, outputs + self.alpha),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class Softmax(Layer):
    """`exp(x) / sum(exp(x))` over `axis`, one or several; what a mask hides counts as zero.

    The mask, True where an entry counts, must be broadcastable to the inputs.

    >>> Softmax()(np.zeros((1, 4))).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    >>> Softmax()(np.zeros((1, 4)), mask=[[True, True, False, False]]).tolist()
    [[0.5, 0.5, 0.0, 0.0]]
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else tuple(axis)
        self.built = True

    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        mask = None if call.mask is None else self._checked(call.mask, inputs)
        shown = inputs if mask is None else np.where(mask, inputs, inputs.dtype.type(_HIDDEN))
        weights, backward = _softmax_over(self.axis, shown)
        outputs = weights if mask is None else weights * mask
        if not call.differentiable:
            return outputs, None

        def vjp(d_outputs: Array, grads: Gradients) -> Array:
            if mask is not None:
                d_outputs = d_outputs * mask
            d_inputs = backward(d_outputs)
            return d_inputs if mask is None else d_inputs * mask

        return outputs, vjp

    def _checked(self, mask: Mask, inputs: Array) -> Mask:
        shape = (1,) * (inputs.ndim - mask.ndim) + mask.shape
        fits = len(shape) == inputs.ndim and all(
            have in (1, want) for have, want in zip(shape, inputs.shape, strict=True)
        )
        if mask.ndim > inputs.ndim:
            raise ValueError(
                f"The `mask` of layer {self.name!r} must not have more dimensions than `inputs`. "
                f"Received: inputs.shape={inputs.shape}, mask.shape={mask.shape}"
            )
        if not fits:
            raise ValueError(
                f"The `mask` of layer {self.name!r} must be broadcastable to `inputs`. Each mask "
                "dimension must be 1 or match the corresponding input dimension. Received: "
                f"inputs.shape={inputs.shape}, mask.shape={mask.shape}"
            )
        return mask if mask.dtype == np.bool_ else mask > 0.5

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def _softmax_over(axis: int | tuple[int, ...], x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Softmax over one axis, in the engine, or over several; and its `backward(d_y) -> d_x`."""
    if isinstance(axis, tuple):
        y = softmax(x, axis)
        return y, lambda d_y: softmax_backward(y, d_y, axis)
    last = activations.softmax.of_layer(_moved(x, axis, -1))

    def backward(d_y: Array) -> Array:
        return _moved(softmax_backward(last, _moved(d_y, axis, -1)), -1, axis)

    return _moved(last, -1, axis), backward


def _moved(array: Array, axis: int, to: int) -> Array:
    """The array with an axis in another place."""
    return np.ascontiguousarray(np.moveaxis(array, axis, to))


def softmax(x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """`exp(x) / sum(exp(x))` over the axis or axes.

    >>> softmax(np.array([0.0, np.log(3.0)])).round(3).tolist()
    [0.25, 0.75]
    """
    raised: Array = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    raised /= np.sum(raised, axis=axis, keepdims=True)
    return raised


def softmax_backward(y: Array, d_y: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """The gradient for x, for `y = softmax(x, axis)`."""
    d_x: Array = y * d_y
    np.subtract(d_y, np.add.reduce(d_x, axis=axis, keepdims=True), d_x)
    d_x *= y
    return d_x
