"""Convolution over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ferrnn._src.layers.convolution import Conv


class Conv1D(Conv):
    """`activation(windows @ kernel + bias)`: `[batch, time, features]` to `[batch, ..., filters]`.

    A window holds `kernel_size` steps, `dilation_rate` apart, and one starts every `strides`
    steps. `padding` is "valid" (windows lie within the inputs), "same" (zeros at both ends: with
    one stride as many outputs as steps) or "causal" (zeros before: no output sees a later step).
    With `groups` the features are cut into so many parts, and each makes its part of the filters.

    >>> import numpy as np
    >>> Conv1D(3, kernel_size=2)(np.ones((2, 5, 4))).shape
    (2, 4, 3)
    """

    rank: ClassVar[int] = 1

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals(), causal=True)
