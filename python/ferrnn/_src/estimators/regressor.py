"""`RecurrentRegressor`: regression on sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array

from ferrnn._src.estimators.ensembles import PredictingEstimator
from ferrnn._src.estimators.networks import stack
from ferrnn._src.estimators.sequences import Sequences, no_scale, scale_of
from ferrnn._src.tree.types import Array


class RecurrentRegressor(RegressorMixin, PredictingEstimator):
    """A recurrent network as a scikit-learn regressor.

    `X` is an array `[samples, steps]` of sequences of one feature, an array `[samples, steps,
    features]`, or a list of arrays or frames `[steps, features]` of any lengths; `y` is
    `[samples]` or `[samples, outputs]`. `n_features_in_` counts the steps of the first form, the
    features of the others.

    Args:
        cell: "lstm", "gru", "simple", "coupled_lstm", "peephole_lstm" or "minimal_gated".
        units: The units of each recurrent layer: one number, or a list with one per layer.
        layers: The number of recurrent layers.
        bidirectional: Whether they read from both ends.
        dropout: The share of each layer's outputs that is dropped in training.
        ensemble: The number of networks from different seeds, which are trained together and whose
            predictions are averaged.
        build: A function `build(features, outputs, seed)` that returns a model to train instead;
            its own optimizer and loss are used if it is compiled.
        loss: Name or object of a loss, measured on scaled targets.
        optimizer: Name of an optimizer, or one to copy.
        learning_rate: The learning rate of an optimizer given by name.
        clipnorm: The norm to which that optimizer clips each gradient; None for no limit.
        epochs: Passes over the samples in `fit`.
        batch_size: Samples per update.
        shuffle: Whether each epoch has another order.
        scale: Whether features and targets are standardized to mean 0 and deviation 1, by the
            data of the first call of `fit` or `partial_fit`.
        early_stopping: Whether `fit` holds out samples, stops when their loss does not improve,
            and ends with the best weights.
        validation_fraction: The share of samples held out.
        n_iter_no_change: Epochs to wait for an improvement.
        tol: The smallest change of the loss that counts as one.
        warm_start: Whether `fit` continues with the existing model.
        random_state: The seed of initial weights, order, dropout and held-out samples.
        verbose: As in `Model.fit`; an ensemble prints nothing.

    After `fit`, `model_` is the trained model, `history_` its losses by epoch, and `n_iter_` the
    number of epochs. An ensemble has `estimators_` instead: estimators with one network each,
    bitwise what they would be if they were fitted alone.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 8))
    >>> y = X[:, -1] * X[:, -2]
    >>> regressor = RecurrentRegressor(units=8, epochs=60, random_state=0).fit(X, y)
    >>> bool(regressor.score(X, y) > 0.8)
    True
    """

    loss: Any
    n_outputs_: int

    _seen = (*PredictingEstimator._seen, "n_outputs_")

    def __init__(
        self,
        *,
        cell: str = "lstm",
        units: int | Sequence[int] = 32,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        ensemble: int = 1,
        build: Callable[..., Any] | None = None,
        loss: Any = "mse",
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RecurrentRegressor:  # noqa: N803
        """Trains a new model, or with `warm_start` the existing one.

        Args:
            X: `[samples, steps]`, `[samples, steps, features]`, or a list of `[steps, features]`.
            y: `[samples]` or `[samples, outputs]`.
            sample_weight: `[samples]`; samples of weight 0 are left out.
        """
        self._fit(X, y, sample_weight)
        return self

    def partial_fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        sample_weight: Any = None,
    ) -> RecurrentRegressor:
        """Trains for one more epoch; the first call makes the model."""
        self._fit(X, y, sample_weight, partial=True)
        return self

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The targets of each sample, with the rank of those in `fit`."""
        mean_of_members = self._mean_of("predict", X)
        if mean_of_members is not None:
            return mean_of_members
        scaled = self._outputs(X)
        mean, deviation = self._target_scale
        outputs: Array = scaled * deviation + mean
        return outputs[:, 0] if self._one_target else outputs

    def _targets(self, y: Any, *, reset: bool) -> Array:
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        options = {"ensure_2d": False, "input_name": "y", "estimator": self}
        targets = check_array(y, dtype=np.float64, **options)
        one = targets.ndim == 1
        columns = 1 if one else targets.shape[1]
        if not reset and columns != self.n_outputs_:
            raise ValueError(
                f"`y` must have {self.n_outputs_} outputs, as in the first call, received {columns}"
            )
        if reset:
            self._one_target, self.n_outputs_ = one, columns
        rows: Array = targets.reshape(-1, columns)
        return rows

    def _begin(self, sequences: Sequences, targets: Array | None, weights: Array | None) -> None:
        assert targets is not None
        scales = scale_of(targets, weights) if self.scale else no_scale(targets.shape[1])
        self._target_scale = scales

    def _as_learned(self, targets: Array) -> Array:
        mean, deviation = self._target_scale
        learned: Array = ((targets - mean) / deviation).astype(np.float32)
        return learned

    def _network(self, sequences: Sequences) -> Any:
        if self.build is not None:
            model = self._made_by_user(sequences, self.n_outputs_)
        else:
            self._masks = True
            model = stack(self, sequences.features, self.n_outputs_, None)
        return self._compiled(model, self.loss)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
