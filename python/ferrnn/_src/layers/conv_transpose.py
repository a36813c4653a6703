"""Transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ferrnn._src.convolution.geometry import channels_last, given_order, places_of, shape_of
from ferrnn._src.convolution.transposed import Transposed, spread_lengths
from ferrnn._src.layer.layer import Call, Vjp
from ferrnn._src.layers.checks import checked_rank, tuple_of
from ferrnn._src.layers.convolution import Windowed
from ferrnn._src.native import DenseWeights
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.one_version import reads_one_version
from ferrnn._src.weights.parameter import Gradients


class ConvTranspose(Windowed):
    """A transposed convolution over `rank` axes of places."""

    def __init__(self, given: dict[str, Any]) -> None:
        """Sets the settings from `given`, the `locals()` of the layer's constructor."""
        super().__init__(activity_regularizer=given["activity_regularizer"], **given["kwargs"])
        self.filters = given["filters"]
        self._check_positive("filters", self.filters)
        self._take_windows(given)
        extra = given["output_padding"]
        if extra is not None:
            extra = tuple_of(extra, self.rank, "output_padding", least=0)
            if any(more >= stride for more, stride in zip(extra, self.strides, strict=True)):
                raise ValueError(
                    "`output_padding` must be strictly less than `strides` for all dimensions. "
                    f"Received: output_padding={extra}, strides={self.strides}"
                )
        self.output_padding: tuple[int, ...] | None = extra

    def build(self, input_shape: Any) -> None:
        self._features = self._known_features(input_shape)
        self.compute_output_shape(input_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, self.filters, self._features),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self._add_bias(self.filters)

    def _checked_counts(self, shape: Any) -> tuple[int | None, ...]:
        lengths = places_of(shape, self.data_format)
        known = [1 if length is None else length for length in lengths]
        found, _ = spread_lengths(known, self._geometry, self.output_padding)
        pairs = zip(lengths, found, strict=True)
        return tuple(None if length is None else count for length, count in pairs)

    @reads_one_version
    def forward(self, inputs: Array, call: Call) -> tuple[Array, Vjp | None]:
        """Outputs `[batch, *longer, filters]` and their vjp."""
        if not self.built:
            self.build(inputs.shape)
        ordered = np.ascontiguousarray(self._ordered_inputs(inputs))
        matrix = self.kernel.value.reshape(-1, self._features).T
        weights = DenseWeights(np.ascontiguousarray(matrix))
        extra, differentiable = self.output_padding, call.differentiable
        made = Transposed(weights, ordered, self._geometry, extra, differentiable)
        linear = made.outputs
        if self.bias is not None:
            linear = linear + self.bias.value
        activation = self._activation()
        outputs = activation.of_layer(linear)
        if not call.differentiable:
            return given_order(outputs, self.data_format), None

        def vjp(d_outputs: Array, grads: Gradients) -> Array | None:
            d_ordered = channels_last(d_outputs, self.data_format)
            d_linear = activation.backward(linear, outputs, d_ordered)
            if self.bias is not None:
                grads.add(self.bias, d_linear.sum(axis=tuple(range(d_linear.ndim - 1))))
            d_inputs, d_matrix = made.backward(d_linear, call.inputs_need_gradient)
            grads.add(self.kernel, d_matrix.T.reshape(self.kernel.shape))
            return None if d_inputs is None else given_order(d_inputs, self.data_format)

        return given_order(outputs, self.data_format), vjp

    def compute_output_shape(self, input_shape: Any) -> Any:
        checked_rank(self.name, input_shape, self.rank + 2)
        counts = self._checked_counts(input_shape)
        return shape_of(input_shape[0], counts, self.filters, self.data_format)

    def get_config(self) -> dict[str, Any]:
        settings = {"filters": self.filters, "output_padding": self.output_padding}
        return {**super().get_config(), **settings, **self._windows_config()}


class Conv1DTranspose(ConvTranspose):
    """Spreads each place over a window: `[batch, time, features]` to `[..., filters]`.

    The gradient of `Conv1D` as a layer: with `strides` n outputs are n times as long as inputs.
    `output_padding` adds places at the end.

    >>> import numpy as np
    >>> Conv1DTranspose(7, 3, strides=2, padding="same")(np.ones((2, 5, 4))).shape
    (2, 10, 7)
    """

    rank: ClassVar[int] = 1

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())


class Conv2DTranspose(ConvTranspose):
    """Spreads each place over a window: `[batch, height, width, features]` to `[..., filters]`.

    The gradient of `Conv2D` as a layer: with `strides` n outputs are n times as long as inputs.
    `output_padding` adds places at the end.

    >>> import numpy as np
    >>> Conv2DTranspose(7, 3, strides=2, padding="same")(np.ones((2, 5, 6, 4))).shape
    (2, 10, 12, 7)
    """

    rank: ClassVar[int] = 2

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
