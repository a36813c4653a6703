"""Batch normalization."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.config import epsilon as fuzz
from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layer.masked import of_axes
from ferrnn._src.layers.checks import checked_features, checked_rank
from ferrnn._src.layers.weight_settings import GammaAndBeta
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.one_version import reads_one_version
from ferrnn._src.weights.parameter import Gradients, Parameter, written

# A factor and an offset for rows normalized by the statistics of their batch.
Correction: TypeAlias = "tuple[Array, Array]"


class BatchNormalization(GammaAndBeta):
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` for each feature along `axis`.

    In training mean and variance are those of the batch (of the steps that count, with a mask),
    and `moving_mean` and `moving_variance` follow them: `moving * momentum + batch * (1 -
    momentum)`. Otherwise, and if the layer is not trainable, the moving ones are used. The outputs
    have the inputs' shape.

    With `renorm` (Ioffe, 2017), training too normalizes by moving statistics, which follow with
    `renorm_momentum`; gradients go only through those of the batch. `renorm_clipping` bounds how
    far the two may differ: `rmin <= r <= rmax` for the ratio of the deviations, `|d| <= dmax` for
    the difference of the means.

    >>> layer = BatchNormalization(epsilon=0.0)
    >>> layer(np.array([[1.0], [3.0]]), training=True).tolist()
    [[-1.0], [1.0]]
    >>> bool(np.isclose(layer.moving_mean.value, 0.02).all())
    True
    """

    _weight_settings = (
        "beta_initializer",
        "gamma_initializer",
        "moving_mean_initializer",
        "moving_variance_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "beta_constraint",
        "gamma_constraint",
    )

    moving_mean_initializer: Any
    moving_variance_initializer: Any
    moving_mean: Parameter
    moving_variance: Parameter
    moving_stddev: Parameter
    renorm_mean: Parameter
    renorm_stddev: Parameter

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.renorm, self.renorm_momentum = bool(renorm), float(renorm_momentum)
        self.renorm_clipping = _checked_clipping(renorm_clipping or {}) if renorm else None
        if synchronized:
            raise ValueError(
                "Argument synchronized=True is only supported with the TensorFlow backend."
            )
        self.axis = int(axis)
        self.momentum, self.epsilon = float(momentum), float(epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self._take_weight_settings(locals())
        self._rank = 0
        self._inner = False  # whether axes follow that of the features
        self._known: tuple[int, ...] = ()  # the shape checked last

    def build(self, input_shape: Any) -> None:
        self.compute_output_shape(input_shape)
        length = input_shape[self.axis]
        if not length:
            raise ValueError(
                f"layer {self.name!r} must be built for a known length along axis={self.axis}, at "
                f"least one, received the shape {tuple(input_shape)}"
            )
        self._rank, shape = len(input_shape), (length,)
        self._inner = self.axis % self._rank != self._rank - 1
        self._add_gamma_and_beta(shape, scale=self.scale, center=self.center)
        self.moving_mean = self.add_weight(
            shape, self.moving_mean_initializer, name="moving_mean", trainable=False
        )
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, name="moving_variance", trainable=False
        )
        if not self.renorm:
            return

        def deviation(shape: Any, dtype: Any = None) -> Array:
            variance = np.asarray(self.moving_variance_initializer(shape, dtype=dtype))
            return np.asarray(np.sqrt(variance))

        self.moving_stddev = self.add_weight(
            shape, deviation, name="moving_stddev", trainable=False
        )
        self.renorm_mean = self.add_weight(
            shape, self.moving_mean_initializer, name="renorm_mean", trainable=False
        )
        self.renorm_stddev = self.add_weight(
            shape, deviation, name="renorm_stddev", trainable=False
        )

    @reads_one_version
    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs of the inputs' shape and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        self._check(inputs.shape)
        last = self._put_last(inputs)
        rows = last.reshape(-1, last.shape[-1])
        weight = None if call.mask is None else self._weights_of(call.mask, inputs)
        in_training = bool(call.training) and self.trainable
        normalized, variance, count, correction = self._statistics(rows, weight, in_training)
        inverse = np.reciprocal(np.sqrt(variance + number(self.epsilon, variance.dtype)))
        normalized *= inverse
        scale, offset = self._scale_and_offset(correction)
        outputs = normalized if scale is None else normalized * scale
        if offset is not None:
            outputs = np.add(outputs, offset, None if scale is None else outputs)
        returned = self._put_back(outputs.reshape(last.shape))
        if not call.differentiable:
            return returned, None

        def vjp(d_returned: Array, grads: Gradients) -> Array | None:
            d_outputs = self._put_last(d_returned).reshape(rows.shape)
            shift = np.add.reduce(d_outputs, 0)
            along = np.add.reduce(d_outputs * normalized, 0)
            self._add_gradients(shift, along, correction, grads)
            if not call.inputs_need_gradient:
                return None
            factor = inverse if scale is None else inverse * scale
            if in_training:
                d_rows = _through_moments(shift, along, normalized, weight, count)
                np.subtract(d_outputs, d_rows, d_rows)
                d_rows *= factor
            else:
                d_rows = d_outputs * factor
            return self._put_back(d_rows.reshape(last.shape))

        return returned, vjp

    def _statistics(
        self, rows: Array, weight: Array | None, in_training: bool
    ) -> tuple[Array, Array, Any, Correction | None]:
        """Deviations from the mean, variance, the count of entries, and the correction."""
        if not in_training:
            return rows - self.moving_mean.value, self.moving_variance.value, 0.0, None
        mean, deviations, variance, count = _moments(rows, weight)
        correction = self._correction(mean, variance) if self.renorm else None
        self._follow(mean, variance)
        return deviations, variance, count, correction

    def _scale_and_offset(self, correction: Correction | None) -> tuple[Array | None, Array | None]:
        """The factor and the offset of normalized rows."""
        gamma = None if self.gamma is None else self.gamma.snapshot()
        beta = None if self.beta is None else self.beta.value
        if correction is None:
            return gamma, beta
        ratio, shift = correction
        if gamma is not None:
            ratio, shift = ratio * gamma, shift * gamma
        return ratio, shift if beta is None else shift + beta

    def _add_gradients(
        self, shift: Array, along: Array, correction: Correction | None, grads: Gradients
    ) -> None:
        """Adds the weights' gradients: `shift` sums those of outputs, `along` those times rows."""
        if self.beta is not None:
            grads.add(self.beta, shift)
        if self.gamma is not None:
            corrected = along
            if correction is not None:
                corrected = along * correction[0] + shift * correction[1]
            grads.add(self.gamma, corrected)

    def _check(self, shape: tuple[int, ...]) -> None:
        if shape != self._known:
            checked_rank(self.name, shape, self._rank)
            checked_features(self.name, shape, self.axis, len(self.moving_mean))
            self._known = shape

    def _put_last(self, array: Array) -> Array:
        """The array with the axis of the features last."""
        return np.moveaxis(array, self.axis, -1) if self._inner else array

    def _put_back(self, array: Array) -> Array:
        """The inverse of `_put_last`."""
        return np.moveaxis(array, -1, self.axis) if self._inner else array

    def _weights_of(self, mask: Mask, inputs: Array) -> Array:
        """1 for each entry that is not masked, else 0: `[rows, features]`."""
        if inputs.ndim > 2:  # a mask over steps
            mask = of_axes(mask, inputs.ndim - 1)
        if mask.ndim != inputs.ndim - 1:
            raise ValueError(
                "The mask provided should be one dimension less than the inputs. Received: "
                f"mask.shape={mask.shape}, inputs.shape={inputs.shape}"
            )
        try:
            counts = np.broadcast_to(mask[..., None] != 0, inputs.shape)
        except ValueError as error:
            raise ValueError(
                f"`mask` of layer {self.name!r} must have the shape {inputs.shape[:-1]} of the "
                f"inputs without the last axis, received {mask.shape}"
            ) from error
        last = np.moveaxis(counts, self.axis, -1)
        return last.reshape(-1, last.shape[-1]).astype(inputs.dtype)

    def _follow(self, mean: Array, variance: Array) -> None:
        """Moves the moving statistics towards those of the batch."""
        if not self.renorm:
            _move((self.moving_mean, self.moving_variance), (mean, variance), self.momentum)
            return
        both = mean, np.sqrt(variance + self.epsilon)
        _move((self.moving_mean, self.moving_stddev), both, self.momentum)
        _move((self.renorm_mean, self.renorm_stddev), both, self.renorm_momentum)
        squares = np.square(self.moving_stddev.value) - self.epsilon
        self.moving_variance.assign(np.maximum(squares, 0.0))

    def _correction(self, mean: Array, variance: Array) -> Correction:
        """The factor and offset from normalization by the batch to that by moving statistics."""
        least = np.sqrt(self._float.type(self.epsilon))
        moving = np.maximum(self.renorm_stddev.value, least)
        ratio = np.sqrt(variance + self.epsilon) / moving
        shift = (mean - self.renorm_mean.value) / moving
        clipping = self.renorm_clipping or {}
        most = clipping.get("dmax")
        ratio = np.clip(ratio, clipping.get("rmin", -np.inf), clipping.get("rmax", np.inf))
        shift = shift if most is None else np.clip(shift, -most, most)
        return ratio.astype(self._float, copy=False), shift.astype(self._float, copy=False)

    def compute_output_shape(self, input_shape: Any) -> Any:
        rank = len(input_shape)
        if not -rank <= self.axis < rank:
            raise ValueError(
                f"Axis {self.axis} is out of bounds for input shape {tuple(input_shape)}. "
                f"Received: axis={self.axis}"
            )
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **self._weights_config(),
            "synchronized": False,
            "renorm": self.renorm,
            "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
        }


def _checked_clipping(clipping: Any) -> dict[str, float]:
    """`renorm_clipping`, after checking its bounds."""
    known = ("rmax", "rmin", "dmax")
    if set(clipping) - set(known):
        raise ValueError(
            "Received invalid keys for `renorm_clipping` argument: "
            f"{clipping}. Supported values: {list(known)}."
        )
    given = {name: float(value) for name, value in clipping.items() if value is not None}
    if given.get("rmax", np.inf) < given.get("rmin", -np.inf):
        raise ValueError(
            "rmax should be greater than rmin in the `renorm_clipping` argument. "
            f"Received: rmax={given['rmax']}, rmin={given['rmin']}."
        )
    if given.get("dmax", 0.0) < 0:
        raise ValueError(
            "dmax should be non-negative in the `renorm_clipping` argument. "
            f"Received: dmax={given['dmax']}."
        )
    return given


@functools.lru_cache(maxsize=256)
def number(value: float, dtype: np.dtype[Any]) -> Array:
    """`value` as a 0-d array, with which arithmetic takes half as long as with a Python number.

    >>> number(2, np.dtype("float32")).dtype.name
    'float32'
    """
    array = np.array(value, dtype)
    array.flags.writeable = False
    return array


def _move(moving: Sequence[Parameter], values: Sequence[Array], momentum: float) -> None:
    """Moves each parameter towards its value, for a holder of `one_version`."""
    dtype = values[0].dtype
    kept, added = number(momentum, dtype), number(1.0 - momentum, dtype)
    try:
        for parameter, value in zip(moving, values, strict=True):
            array = parameter._data
            np.multiply(array, kept, array)
            np.add(array, value * added, array)
    finally:
        written(moving)


def _moments(rows: Array, weight: Array | None) -> tuple[Array, Array, Array, Any]:
    """Mean of each column, deviations from it, biased variance, and the count of entries."""
    if weight is None:
        count: Any = number(max(len(rows), 1), rows.dtype)
        mean = np.add.reduce(rows, 0) / count
        deviations = counted = rows - mean
    else:
        count = np.add.reduce(weight, 0) + rows.dtype.type(fuzz())
        mean = np.add.reduce(np.where(weight, rows, 0), 0) / count
        deviations = rows - mean
        counted = np.where(weight, deviations, 0)
    return mean, deviations, np.add.reduce(np.square(counted), 0) / count, count


def _through_moments(
    shift: Array, along: Array, normalized: Array, weight: Array | None, count: Any
) -> Array:
    """The part of the rows' gradient that goes through mean and variance, before scaling.

    `shift` is the sum of the outputs' gradients, `along` that of these times the outputs.
    """
    along = along / count
    if weight is not None:
        # The count includes epsilon, so the sum of deviations is not exactly zero.
        shift = shift - along * np.add.reduce(normalized * weight, 0)
    change: Array = normalized * along
    change += shift / count
    return change if weight is None else change * weight
