"""The networks of estimators: stacks of recurrent layers, or the user's own models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.estimators.sequences import PADDING
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.coupled_lstm import CoupledLSTM
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.dropout import Dropout
from ferrnn._src.layers.gru import GRU
from ferrnn._src.layers.input import Input
from ferrnn._src.layers.lstm import LSTM
from ferrnn._src.layers.masking import Masking
from ferrnn._src.layers.minimal_gated import MinimalGatedUnit
from ferrnn._src.layers.peephole_lstm import PeepholeLSTM
from ferrnn._src.layers.simple_rnn import SimpleRNN
from ferrnn._src.models.model import Model
from ferrnn._src.models.sequential import Sequential
from ferrnn._src.training import optimizers
from ferrnn._src.training.samples import checked_count
from ferrnn._src.weights.random_initializers import GlorotUniform, Orthogonal

CELLS: dict[str, Any] = {
    "lstm": LSTM,
    "gru": GRU,
    "simple": SimpleRNN,
    "coupled_lstm": CoupledLSTM,
    "peephole_lstm": PeepholeLSTM,
    "minimal_gated": MinimalGatedUnit,
}


class Seeds:
    """Seeds for the layers of a network, one after another."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def draw(self) -> int:
        """The next seed."""
        return int(self._random.integers(2**31))


def units_of_layers(units: int | Sequence[int], layers: int) -> list[int]:
    """The units of each recurrent layer; `units` is one number for all, or one for each.

    >>> units_of_layers(8, 2), units_of_layers([8, 4], 2)
    ([8, 8], [8, 4])
    """
    if isinstance(units, int | np.integer):
        return [checked_count(units, "units")] * layers
    if isinstance(units, str) or not hasattr(units, "__len__") or len(units) != layers:
        raise ValueError(
            f"`units` must be one number, or one for each of the {layers} `layers`, received "
            f"{units!r}"
        )
    return [checked_count(each, "units") for each in units]


def recurrent(
    cell: str, units: int, seeds: Seeds, *, bidirectional: bool = False, **options: Any
) -> Any:
    """One recurrent layer of the kind that `cell` names."""
    kind = CELLS.get(cell) if isinstance(cell, str) else None
    if kind is None:
        raise ValueError(f"`cell` must be one of {sorted(CELLS)}, received {cell!r}")

    def made(**direction: Any) -> Any:
        return kind(
            units,
            kernel_initializer=GlorotUniform(seeds.draw()),
            recurrent_initializer=Orthogonal(seed=seeds.draw()),
            **options,
            **direction,
        )

    if not bidirectional:
        return made()
    return Bidirectional(made(), backward_layer=made(go_backwards=True))


def stack(estimator: Any, features: int, outputs: int, activation: str | None) -> Any:
    """Recurrent layers, dropout after each, and a dense layer for the outputs."""
    seeds = Seeds(estimator._seed)
    widths = units_of_layers(estimator.units, estimator.layers)
    layers: list[Any] = [Input((None, features)), Masking(PADDING)]
    for at, units in enumerate(widths):
        options = {
            "bidirectional": estimator.bidirectional,
            "return_sequences": at < len(widths) - 1,
        }
        layers.append(recurrent(estimator.cell, units, seeds, **options))
        if estimator.dropout:
            layers.append(Dropout(estimator.dropout, seed=seeds.draw()))
    head = Dense(outputs, activation=activation, kernel_initializer=GlorotUniform(seeds.draw()))
    return Sequential([*layers, head])


def built(estimator: Any, features: int, outputs: int, *, masks: bool) -> Any:
    """The model from the user's `build`, after a mask for padding if wanted."""
    made = estimator.build(features, outputs, estimator._seed)
    if not isinstance(made, Model):
        raise TypeError(f"`build` must return a ferrnn model, received {made!r}")
    if not masks:
        return made
    whole = Sequential([Input((None, features)), Masking(PADDING), made])
    if made.compiled:
        whole.compile(made.optimizer, made.loss)
    return whole


def optimizer_of(estimator: Any) -> Any:
    """A new optimizer with the estimator's settings."""
    given = estimator.optimizer
    if not isinstance(given, str):
        return optimizers.deserialize(optimizers.serialize(optimizers.get(given)))
    settings = {"learning_rate": estimator.learning_rate, "clipnorm": estimator.clipnorm}
    return optimizers.get({"class_name": given, "config": settings})
