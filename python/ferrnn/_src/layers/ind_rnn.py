"""The independently recurrent layer."""

from __future__ import annotations

from typing import Any

from ferrnn._src.cells.ind_rnn import IndRNNCell
from ferrnn._src.layers.built_in import BuiltInRNN


class IndRNN(BuiltInRNN):
    """An IndRNN over `[batch, time, features]`: `[batch, units]`, the last output.

    Each unit sees only its own output, so a step needs no product of states; units meet in the
    next layer. With `return_sequences` the outputs are `[batch, time, units]`; with
    `return_state` a call gives `(outputs, h)`. See `IndRNNCell` for the equation and its source,
    `RNN` for masks and directions. Keras has no such layer.

    >>> import numpy as np
    >>> outputs, h = IndRNN(4, return_sequences=True, return_state=True)(np.ones((1, 2, 6)))
    >>> outputs.shape, h.shape
    ((1, 2, 4), (1, 4))
    """

    cell_class = IndRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "relu",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = None,
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
