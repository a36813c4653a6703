"""The layer of minimal gated units."""

from __future__ import annotations

from typing import Any

from ferrnn._src.cells.minimal_gated import MinimalGatedCell
from ferrnn._src.layers.built_in import BuiltInRNN


class MinimalGatedUnit(BuiltInRNN):
    """Minimal gated units over `[batch, time, features]`: `[batch, units]`, the last output.

    With `return_sequences` the outputs are `[batch, time, units]`; with `return_state` a call gives
    `(outputs, h)`. See `MinimalGatedCell` for the equations and their source, `RNN`
    for masks and directions. Keras has no such layer.

    >>> import numpy as np
    >>> layer = MinimalGatedUnit(4, return_sequences=True, return_state=True)
    >>> outputs, h = layer(np.ones((1, 2, 6)))
    >>> outputs.shape, h.shape
    ((1, 2, 4), (1, 4))
    """

    cell_class = MinimalGatedCell

    recurrent_activation: Any

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
