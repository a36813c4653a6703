"""Convolution over the places of frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ferrnn._src.layers.convolution import Conv


class Conv2D(Conv):
    """`activation(windows @ kernel + bias)`: `[batch, height, width, features]` to frames.

    Windows hold `kernel_size` places, `dilation_rate` apart, and start every `strides` places.
    `padding` is "valid" (windows lie within the inputs) or "same" (zeros around: with one stride as
    many outputs as places). With `groups` the features are cut into so many parts, and each makes
    its part of the filters. With `data_format="channels_first"` features precede places.

    >>> import numpy as np
    >>> Conv2D(3, kernel_size=2)(np.ones((2, 5, 6, 4))).shape
    (2, 4, 5, 3)
    """

    rank: ClassVar[int] = 2

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
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
        super().__init__(locals())
