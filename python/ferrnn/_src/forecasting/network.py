"""The network: a recurrent encoder for the window, and a recurrent decoder for the steps ahead."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.forecasting.quantiles import PROBABILITIES
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.dropout import Dropout
from ferrnn._src.layers.gru import GRU
from ferrnn._src.layers.input import Input
from ferrnn._src.layers.joining import Concatenate
from ferrnn._src.layers.lstm import LSTM
from ferrnn._src.layers.merge import Add
from ferrnn._src.layers.reshaping import Reshape
from ferrnn._src.layers.simple_rnn import SimpleRNN
from ferrnn._src.models.model import Model
from ferrnn._src.weights.initializers import Constant
from ferrnn._src.weights.random_initializers import GlorotUniform, Orthogonal

CELLS = {"gru": GRU, "lstm": LSTM, "simple_rnn": SimpleRNN}


def make_network(
    sizes: tuple[int, int, int, int],
    *,
    cell: str,
    units: int,
    layers: int,
    dropout: float,
    seed: int,
) -> Any:
    """A model from windows to raw quantiles `[batch, horizon, quantiles]`.

    `sizes` are the context, its features, the horizon, its features. The decoder starts in the
    encoder's last states. Two linear paths run beside the recurrent one, from the inputs of each
    step ahead and from the window, which can learn an autoregression. All weights and masks are
    drawn from `seed`.
    """
    draws = np.random.default_rng(seed)

    def seeded() -> int:
        return int(draws.integers(2**31))

    def dense(size: int, name: str, **options: Any) -> Dense:
        return Dense(size, kernel_initializer=GlorotUniform(seeded()), name=name, **options)

    def layer(name: str, **options: Any) -> Any:
        return CELLS[cell](
            units,
            return_sequences=True,
            kernel_initializer=GlorotUniform(seeded()),
            recurrent_initializer=Orthogonal(seed=seeded()),
            name=name,
            **options,
        )

    context, features, horizon, ahead_features = sizes
    seen = Input((context, features), name="seen")
    ahead = Input((horizon, ahead_features), name="ahead")
    recent = Input((context,), name="recent")
    read, decoded = seen, ahead
    states = []
    for number in range(layers):
        read, *state = layer(f"encoder_{number}", return_state=True)(read)
        states.append(state)
    for number, state in enumerate(states):
        decoded = layer(f"decoder_{number}")(decoded, initial_state=state)
    if dropout:
        decoded = Dropout(dropout, seed=seeded(), name="dropout")(decoded)
    linear = Dense(horizon, kernel_initializer="zeros", name="autoregression")(recent)
    center = Add(name="center")(
        [
            dense(1, "center_recurrent")(decoded),
            Dense(1, use_bias=False, kernel_initializer="zeros", name="center_known")(ahead),
            Reshape((horizon, 1), name="center_linear")(linear),
        ]
    )
    half = len(PROBABILITIES) // 2
    below, above = (
        Add(name=side)(
            [
                dense(half, f"{side}_recurrent", bias_initializer=Constant(-1.0))(decoded),
                dense(half, f"{side}_known", use_bias=False)(ahead),
            ]
        )
        for side in ("below", "above")
    )
    return Model([seen, ahead, recent], Concatenate(name="raw")([below, center, above]))
