"""The simple recurrent layer."""

from __future__ import annotations

from typing import Any

from ferrnn._src.cells.simple_rnn import SimpleRNNCell
from ferrnn._src.layers.built_in import BuiltInRNN, cell_setting, split_options


class SimpleRNN(BuiltInRNN):
    """A simple recurrent layer over `[batch, time, features]`: `[batch, units]`, the last output.

    With `return_sequences` the outputs are `[batch, time, units]`; with `return_state` a call gives
    `(outputs, h)`. The equation stands at `SimpleRNNCell`, masks and directions at `RNN`. `unroll`
    is accepted and changes nothing.

    >>> import numpy as np
    >>> outputs, h = SimpleRNN(4, return_sequences=True, return_state=True)(np.ones((1, 2, 6)))
    >>> outputs.shape, h.shape
    ((1, 2, 4), (1, 4))
    """

    units = cell_setting("units")
    activation = cell_setting("activation")
    use_bias = cell_setting("use_bias")
    kernel_initializer = cell_setting("kernel_initializer")
    recurrent_initializer = cell_setting("recurrent_initializer")
    bias_initializer = cell_setting("bias_initializer")
    kernel_regularizer = cell_setting("kernel_regularizer")
    recurrent_regularizer = cell_setting("recurrent_regularizer")
    bias_regularizer = cell_setting("bias_regularizer")
    kernel_constraint = cell_setting("kernel_constraint")
    recurrent_constraint = cell_setting("recurrent_constraint")
    bias_constraint = cell_setting("bias_constraint")
    dropout = cell_setting("dropout")
    recurrent_dropout = cell_setting("recurrent_dropout")
    seed = cell_setting("seed")

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
        for_layer, for_cell = split_options(kwargs, "simple_rnn_cell")
        cell = SimpleRNNCell(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
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
