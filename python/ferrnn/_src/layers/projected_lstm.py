"""The LSTM layer with a projection."""

from __future__ import annotations

from typing import Any

from ferrnn._src.cells.projected_lstm import ProjectedLSTMCell
from ferrnn._src.layers.built_in import BuiltInRNN


class ProjectedLSTM(BuiltInRNN):
    """An LSTM over `[batch, time, features]`, its output projected: `[batch, projection_units]`.

    Its recurrent weights see the narrower output, so many units cost less. With
    `return_sequences` the outputs are `[batch, time, projection_units]`; with `return_state` a call
    gives `(outputs, h, c)`, h of `projection_units` and c of `units`. See `ProjectedLSTMCell` for
    the equations and their source, `RNN` for masks and directions. Keras has no such layer.

    >>> import numpy as np
    >>> layer = ProjectedLSTM(4, 2, return_sequences=True, return_state=True)
    >>> outputs, h, c = layer(np.ones((1, 5, 6)))
    >>> outputs.shape, h.shape, c.shape
    ((1, 5, 2), (1, 2), (1, 4))
    """

    cell_class = ProjectedLSTMCell

    recurrent_activation: Any
    unit_forget_bias: bool
    projection_units: int
    projection_initializer: Any

    def __init__(
        self,
        units: int,
        projection_units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        projection_initializer: Any = "glorot_uniform",
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
