"""The LSTM layer."""

from __future__ import annotations

from typing import Any

from ferrnn._src.cells.lstm import LSTMCell
from ferrnn._src.layers.built_in import BuiltInRNN, cell_setting, split_options


class LSTM(BuiltInRNN):
    """An LSTM over sequences `[batch, time, features]`: `[batch, units]`, the last output.

    With `return_sequences` the outputs are `[batch, time, units]`; with `return_state` a call gives
    `(outputs, h, c)`. The equations stand at `LSTMCell`, masks and directions at `RNN`.
    `use_cudnn` and `unroll` are accepted and change nothing.

    >>> import numpy as np
    >>> outputs, h, c = LSTM(4, return_sequences=True, return_state=True)(np.ones((1, 2, 6)))
    >>> outputs.shape, h.shape, c.shape
    ((1, 2, 4), (1, 4), (1, 4))
    """

    units = cell_setting("units")
    activation = cell_setting("activation")
    recurrent_activation = cell_setting("recurrent_activation")
    use_bias = cell_setting("use_bias")
    kernel_initializer = cell_setting("kernel_initializer")
    recurrent_initializer = cell_setting("recurrent_initializer")
    bias_initializer = cell_setting("bias_initializer")
    unit_forget_bias = cell_setting("unit_forget_bias")
    kernel_regularizer = cell_setting("kernel_regularizer")
    recurrent_regularizer = cell_setting("recurrent_regularizer")
    bias_regularizer = cell_setting("bias_regularizer")
    kernel_constraint = cell_setting("kernel_constraint")
    recurrent_constraint = cell_setting("recurrent_constraint")
    bias_constraint = cell_setting("bias_constraint")
    dropout = cell_setting("dropout")
    recurrent_dropout = cell_setting("recurrent_dropout")
    seed = cell_setting("seed")
    implementation = cell_setting("implementation")

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        for_layer, for_cell = split_options(kwargs, "lstm_cell")
        cell = LSTMCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            seed=seed,
            **for_cell,
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            activity_regularizer=activity_regularizer,
            **for_layer,
        )
