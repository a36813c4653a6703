"""The base of recurrent estimators: parameters, training, and pickling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted

from ferrnn._src.estimators.networks import built, optimizer_of
from ferrnn._src.estimators.processes import take_share
from ferrnn._src.estimators.reading import read
from ferrnn._src.estimators.sequences import Sequences, batches_of, no_scale
from ferrnn._src.layers.dropout import Dropout
from ferrnn._src.models.native_file import model_bytes, model_from_bytes
from ferrnn._src.training.samples import checked_count
from ferrnn._src.training.stopping import EarlyStopping
from ferrnn._src.training.together import Fit
from ferrnn._src.tree.types import Array

_MODELS = ("model_", "backward_model_")
_NUMBERS = (int, float, np.floating)
_FLAGS = ("bidirectional", "shuffle", "scale", "early_stopping", "warm_start")


class RecurrentEstimator(BaseEstimator):
    """Parameters of the network and its training; see the estimators for their meaning."""

    cell: str
    units: int | Sequence[int]
    layers: int
    bidirectional: bool
    dropout: float
    optimizer: Any
    learning_rate: float
    clipnorm: float | None
    epochs: int
    batch_size: int
    shuffle: bool
    scale: bool
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    warm_start: bool
    random_state: Any
    verbose: int
    build: Callable[..., Any] | None = None

    model_: Any

    def _keep(self, given: dict[str, Any]) -> None:
        """Stores the arguments of a constructor unchanged, which scikit-learn requires."""
        for name, value in given.items():
            if name != "self":
                setattr(self, name, value)

    # Fitting.

    def _fit(self, samples: Any, y: Any, weights: Any, *, partial: bool = False) -> None:
        """Trains a new model on samples, or with `partial` or `warm_start` the existing one.

        With `partial`, weights are used as they are, and there is one epoch.
        """
        for fit in self._learning(samples, y, weights, partial=partial):
            fit.run(self.verbose)

    def _learning(
        self, samples: Any, y: Any, weights: Any, *, partial: bool = False
    ) -> Iterator[Fit]:
        """The trainings that `_fit` runs one after another; the seed is drawn immediately."""
        seed = None
        if not (hasattr(self, "model_") and (partial or self.warm_start)):
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return self._learned(samples, y, weights, seed, partial=partial)

    def _learned(
        self, samples: Any, y: Any, weights: Any, seed: int | None, *, partial: bool
    ) -> Iterator[Fit]:
        """The trainings of a new model with a `seed`, or of the existing one without."""
        fresh = seed is not None
        take_share()
        self._check_parameters()
        sequences = read(self, samples, reset=fresh)
        targets = self._targets(y, reset=fresh)
        check_consistent_length(sequences, targets)
        weights = self._weights(weights, y, len(sequences))
        if weights is not None:
            kept = np.flatnonzero(weights)  # samples of weight 0 are left out
            sequences, weights = sequences.part(kept), weights[kept]
            weights = weights if partial else weights / weights.mean()
            targets = None if targets is None else targets[kept]
        if seed is not None:
            self._seed, self._fits = seed, 0
            self._scale = sequences.scale() if self.scale else no_scale(sequences.features)
            self._begin(sequences, targets, weights)
        self._fits += 1
        epochs = 1 if partial else self.epochs
        scaled = sequences.scaled(self._scale)
        yield from self._trainings(scaled, targets, weights, epochs, fresh=fresh)

    def _trainings(
        self,
        sequences: Sequences,
        targets: Array | None,
        weights: Array | None,
        epochs: int,
        *,
        fresh: bool,
    ) -> Iterator[Fit]:
        """The trainings of the estimator's models on scaled samples."""
        if fresh:
            self.model_ = self._network(sequences)
        told = None if targets is None else self._as_learned(targets)
        before = 0 if fresh else getattr(self, "n_iter_", 0)

        def ended(history: Any) -> None:
            self.history_ = history.history
            self.n_iter_ = len(history.epoch) + before

        options = self._options(self.model_, sequences, told, weights, epochs)
        yield Fit(self.model_, options, ended)

    def _options(
        self,
        model: Any,
        sequences: Sequences,
        targets: Array | None,
        weights: Array | None,
        epochs: int,
    ) -> dict[str, Any]:
        """The arguments for the model's `fit`."""
        random = np.random.default_rng((self._seed, self._fits))
        for layer in model.layers:
            if isinstance(layer, Dropout):  # pickles do not contain the generator's state
                layer.seed_generator.counter = self._fits << 32
        parts: list[Any] = [sequences, targets, weights]
        callbacks, check = [], None
        if self.early_stopping and epochs > 1:
            train, held = self._split(len(sequences), targets)
            check = self._batches([_part(each, held) for each in parts], None)
            parts = [_part(each, train) for each in parts]
            callbacks = [
                EarlyStopping(
                    "val_loss",
                    min_delta=self.tol,
                    patience=self.n_iter_no_change,
                    restore_best_weights=True,
                )
            ]
        batches = self._batches(parts, random if self.shuffle else None)
        return {"x": batches, "epochs": epochs, "validation_data": check, "callbacks": callbacks}

    def _batches(self, parts: list[Any], random: np.random.Generator | None) -> Any:
        sequences, targets, weights = parts
        return batches_of((sequences, targets, weights), self.batch_size, random)

    def _split(self, count: int, targets: Array | None) -> tuple[Array, Array]:
        """The indices of the samples to train on and of those held out."""
        return tuple(
            train_test_split(
                np.arange(count),
                test_size=self.validation_fraction,
                random_state=self._seed,
                stratify=self._strata(targets),
            )
        )

    def _check_parameters(self) -> None:
        for name in ("layers", "batch_size", "epochs", "n_iter_no_change"):
            checked_count(getattr(self, name), name, least=0 if name == "epochs" else 1)
        for name in ("dropout", "validation_fraction"):
            value = getattr(self, name)
            if not isinstance(value, _NUMBERS) or not 0 <= value < 1:
                raise ValueError(f"`{name}` must be at least 0 and below 1, received {value!r}")
        if not isinstance(self.tol, _NUMBERS) or not self.tol >= 0:
            raise ValueError(f"`tol` must be a non-negative number, received {self.tol!r}")
        for name in _FLAGS:
            value = getattr(self, name)
            if not isinstance(value, bool | np.bool_):
                raise TypeError(f"`{name}` must be True or False, received {value!r}")
        if self.build is not None and not callable(self.build):
            raise TypeError(
                f"`build` must be a function that returns a model, received {self.build!r}"
            )

    def _weights(self, given: Any, y: Any, count: int) -> Array | None:
        """One weight for each sample, or None if all are equal."""
        weights = self._of_classes(y)
        if given is not None:
            options = {"ensure_2d": False, "input_name": "sample_weight"}
            own = check_array(given, dtype=np.float64, **options)
            if own.shape != (count,):
                raise ValueError(
                    f"`sample_weight` must have the shape ({count},), one for each sample, "
                    f"received the shape {own.shape}"
                )
            if (own < 0).any() or not own.any():
                raise ValueError(
                    "`sample_weight` must not be negative, and not zero for all samples: at least "
                    "one weight must be non-zero"
                )
            weights = own if weights is None else weights * own
        return weights

    # Predicting.

    def _outputs(self, samples: Any) -> Array:
        """The model's outputs for each sample, `[samples, outputs]` in float64."""
        check_is_fitted(self)
        take_share()
        sequences = read(self, samples, reset=False).scaled(self._scale)
        return through(self.model_, sequences, masks=self._masks)

    def _made_by_user(self, sequences: Sequences, outputs: int) -> Any:
        """The user's model, checked by its outputs for one sample."""
        self._masks = sequences.ragged
        model = built(self, sequences.features, outputs, masks=self._masks)
        given = model.predict_on_batch(sequences.batch(np.array([0])))
        if np.shape(given) != (1, outputs):
            raise ValueError(
                f"`build` must return a model with outputs [samples, {outputs}], received one "
                f"whose outputs for one sample have the shape {np.shape(given)}"
            )
        return model

    def _compiled(self, model: Any, loss: Any) -> Any:
        if not model.compiled:
            model.compile(optimizer_of(self), loss)
        return model

    # Methods of the estimators.

    def _targets(self, y: Any, *, reset: bool) -> Array | None:
        """The targets, after checking them."""
        raise NotImplementedError(type(self).__name__)

    def _begin(self, sequences: Sequences, targets: Array | None, weights: Array | None) -> None:
        """Records what a new model needs to know from the first samples."""

    def _network(self, sequences: Sequences) -> Any:
        """A new model, compiled."""
        raise NotImplementedError(type(self).__name__)

    def _as_learned(self, targets: Array) -> Array:
        """The targets in the form of the model's outputs."""
        return targets

    def _strata(self, targets: Array | None) -> Array | None:
        """Labels by which held-out samples are stratified."""
        return None

    def _of_classes(self, y: Any) -> Array | None:
        """Weights of samples by their classes."""
        return None

    # Hooks of scikit-learn.

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # A model is pickled as the bytes of a file, without code, unless the user built it.

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if self.build is None:
            state |= {name: model_bytes(state[name]) for name in _MODELS if name in state}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        models = {name: state[name] for name in _MODELS if isinstance(state.get(name), bytes)}
        made = {name: model_from_bytes(data) for name, data in models.items()}
        super().__setstate__({**state, **made})


def _part(values: Any, index: Array) -> Any:
    if values is None:
        return None
    return values.part(index) if isinstance(values, Sequences) else values[index]


def through(model: Any, sequences: Sequences, *, masks: bool) -> Array:
    """The outputs of a model for sequences, in their order and in float64."""
    made: list[Array] = []
    places: list[Array] = []
    for index in sequences.chunks(masks):
        made.append(np.asarray(model.predict_on_batch(sequences.batch(index)), np.float64))
        places.append(index)
    whole = np.empty((len(sequences), *made[0].shape[1:]))
    whole[np.concatenate(places)] = np.concatenate(made)
    return whole
