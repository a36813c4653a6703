"""The LSTM layer with peepholes."""

from __future__ import annotations

from typing import Any

from ferrnn._src.cells.peephole_lstm import PeepholeLSTMCell
from ferrnn._src.layers.built_in import BuiltInRNN


class PeepholeLSTM(BuiltInRNN):
    """An LSTM with peepholes over `[batch, time, features]`: `[batch, units]`, the last output.

    With `return_sequences` the outputs are `[batch, time, units]`; with `return_state` a call gives
    `(outputs, h, c)`. See `PeepholeLSTMCell` for the equations and their source, `RNN`
    for masks and directions. Keras has no such layer.

    >>> import numpy as np
    >>> layer = PeepholeLSTM(4, return_sequences=True, return_state=True)
    >>> outputs, h, c = layer(np.ones((1, 2, 6)))
    >>> outputs.shape, h.shape
    ((1, 2, 4), (1, 4))
    """

    cell_class = PeepholeLSTMCell

    recurrent_activation: Any
    unit_forget_bias: bool
    peephole_initializer: Any

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        peephole_initializer: Any = "glorot_uniform",
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
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
