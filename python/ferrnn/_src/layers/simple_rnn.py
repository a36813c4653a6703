"""The simple recurrent layer."""

from __future__ import annotations

from typing import Any

from ferrnn._src.cells.simple_rnn import SimpleRNNCell
from ferrnn._src.layers.built_in import BuiltInRNN


class SimpleRNN(BuiltInRNN):
    """A simple recurrent layer over `[batch, time, features]`: `[batch, units]`, the last output.

    With `return_sequences` the outputs are `[batch, time, units]`; with `return_state` a call gives
    `(outputs, h)`. See `SimpleRNNCell` for the equation, `RNN` for masks and directions. `unroll`
    is accepted but has no effect.

    >>> import numpy as np
    >>> outputs, h = SimpleRNN(4, return_sequences=True, return_state=True)(np.ones((1, 2, 6)))
    >>> outputs.shape, h.shape
    ((1, 2, 4), (1, 4))
    """

    cell_class = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
