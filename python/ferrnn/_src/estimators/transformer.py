"""`RecurrentTransformer`: states of a network trained to predict the next step, as features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ferrnn._src.estimators.networks import CELLS, Seeds, recurrent, units_of_layers
from ferrnn._src.estimators.processes import take_share
from ferrnn._src.estimators.reading import read
from ferrnn._src.estimators.recurrent import RecurrentEstimator, through
from ferrnn._src.estimators.sequences import PADDING, Sequences
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.dropout import Dropout
from ferrnn._src.layers.input import Input
from ferrnn._src.layers.joining import Concatenate
from ferrnn._src.layers.masking import Masking
from ferrnn._src.models.model import Model
from ferrnn._src.training.together import Fit
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.random_initializers import GlorotUniform


class RecurrentTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, RecurrentEstimator):
    """The states of a recurrent network after the last step, as features of a sequence.

    `fit` trains the network to predict each step from those before it; it needs no targets.
    `transform` then reads whole sequences and gives the last layer's states, `[samples, states]`:
    `units` for a GRU, twice as many for an LSTM (`h`, then the cell state), and those of a second
    network that reads backwards with `bidirectional`. Samples are those of `RecurrentRegressor`.

    Args:
        cell: "lstm", "gru", "simple", "coupled_lstm", "peephole_lstm" or "minimal_gated".
        units: The units of each recurrent layer: one number, or a list with one per layer.
        layers: The number of recurrent layers.
        bidirectional: Whether a second network reads, and predicts, from the end.
        dropout: The share of each layer's outputs that is dropped in training.
        optimizer: Name of an optimizer, or one to copy.
        learning_rate: The learning rate of an optimizer given by name.
        clipnorm: The norm to which that optimizer clips each gradient; None for no limit.
        epochs: Passes over the samples in `fit`; with 0 the weights stay random: a reservoir.
        batch_size: Samples per update.
        shuffle: Whether each epoch has another order.
        scale: Whether features are standardized to mean 0 and deviation 1, by the data of the
            first call of `fit` or `partial_fit`.
        early_stopping: Whether `fit` holds out samples, stops when their loss does not improve,
            and ends with the best weights.
        validation_fraction: The share of samples held out.
        n_iter_no_change: Epochs to wait for an improvement.
        tol: The smallest change of the loss that counts as one.
        warm_start: Whether `fit` continues with the existing model.
        random_state: The seed of initial weights, order, dropout and held-out samples.
        verbose: As in `Model.fit`.

    >>> X = np.random.default_rng(0).normal(size=(30, 6, 2))
    >>> transformer = RecurrentTransformer(cell="gru", units=4, epochs=2, random_state=0)
    >>> transformer.fit_transform(X).shape
    (30, 4)
    """

    def __init__(
        self,
        *,
        cell: str = "lstm",
        units: int | Sequence[int] = 32,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        optimizer: Any = "adam",
        learning_rate: float = 0.01,
        clipnorm: float | None = 1.0,
        epochs: int = 50,
        batch_size: int = 32,
        shuffle: bool = True,
        scale: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self._keep(locals())

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any = None,
        sample_weight: Any = None,
    ) -> RecurrentTransformer:
        """Trains the network to predict each next step; `y` is ignored."""
        self._fit(X, None, sample_weight)
        return self

    def partial_fit(
        self,
        X: Any,  # noqa: N803
        y: Any = None,
        sample_weight: Any = None,
    ) -> RecurrentTransformer:
        """Trains for one more epoch; the first call makes the network."""
        self._fit(X, None, sample_weight, partial=True)
        return self

    def transform(self, X: Any) -> Array:  # noqa: N803
        """The states after the last step of each sequence, `[samples, states]` in float32."""
        check_is_fitted(self)
        take_share()
        sequences = read(self, X, reset=False).scaled(self._scale)
        parts = [through(_reader(self.model_), sequences, masks=True)]
        if self._both:
            ends = _reader(self.backward_model_)
            parts.append(through(ends, sequences.backwards(), masks=True))
        states: Array = np.concatenate(parts, axis=1).astype(np.float32)
        return states

    @property
    def _n_features_out(self) -> int:
        directions = [self.model_, *([self.backward_model_] if self._both else [])]
        return sum(int(_reader(model).output_shape[-1]) for model in directions)

    def _targets(self, y: Any, *, reset: bool) -> None:
        return None

    def _trainings(
        self,
        sequences: Sequences,
        targets: Array | None,
        weights: Array | None,
        epochs: int,
        *,
        fresh: bool,
    ) -> Iterator[Fit]:
        if fresh:
            self._both = bool(self.bidirectional)
        yield from super()._trainings(sequences, targets, weights, epochs, fresh=fresh)
        if not self._both:
            return
        if fresh:
            self._seed += 1
            self.backward_model_ = self._network(sequences)
            self._seed -= 1
        model = self.backward_model_
        options = self._options(model, sequences.backwards(), None, weights, epochs)
        yield Fit(model, options, lambda _: None)

    def _network(self, sequences: Sequences) -> Any:
        seeds = Seeds(self._seed)
        inputs = Input((None, sequences.features))
        outputs = Masking(PADDING)(inputs)
        for units in units_of_layers(self.units, self.layers):
            layer = recurrent(self.cell, units, seeds, return_sequences=True, return_state=True)
            outputs = layer(outputs)[0]
            if self.dropout:
                outputs = Dropout(self.dropout, seed=seeds.draw())(outputs)
        head = Dense(sequences.features, kernel_initializer=GlorotUniform(seeds.draw()))
        return self._compiled(Model(inputs, head(outputs)), "mse")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _reader(model: Any) -> Any:
    """The model that returns the last recurrent layer's states instead of predictions."""
    kinds = tuple(CELLS.values())
    last = [layer for layer in model.layers if isinstance(layer, kinds)][-1]
    _, *states = last.output
    return Model(model.inputs, states[0] if len(states) == 1 else Concatenate()(states))
