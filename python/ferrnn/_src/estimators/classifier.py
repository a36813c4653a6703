"""`RecurrentClassifier`: classification of sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import column_or_1d

from ferrnn._src.estimators.ensembles import PredictingEstimator
from ferrnn._src.estimators.networks import stack
from ferrnn._src.estimators.recurrent import through
from ferrnn._src.estimators.sequences import Sequences
from ferrnn._src.tree.types import Array

# The samples by which an untrained network of a user's is tried.
_TRIED = 8


class RecurrentClassifier(ClassifierMixin, PredictingEstimator):
    """A recurrent network as a scikit-learn classifier for two or more classes.

    Samples and parameters are those of `RecurrentRegressor`; `y` is `[samples]`, any labels.
    The model ends in a softmax over `classes_` and learns by cross-entropy.

    Args:
        cell: "lstm", "gru", "simple", "coupled_lstm", "peephole_lstm" or "minimal_gated".
        units: The units of each recurrent layer: one number, or a list with one per layer.
        layers: The number of recurrent layers.
        bidirectional: Whether they read from both ends.
        dropout: The share of each layer's outputs that is dropped in training.
        ensemble: The number of networks from different seeds, which are trained together and whose
            probabilities are averaged.
        build: A function `build(features, outputs, seed)` that returns a model to train instead,
            which gives a probability for each class.
        class_weight: A dict of weights by label, or "balanced": all classes count the same (not in
            `partial_fit`, which does not know how many samples of each there will be).
        optimizer: Name of an optimizer, or one to copy.
        learning_rate: The learning rate of an optimizer given by name.
        clipnorm: The norm to which that optimizer clips each gradient; None for no limit.
        epochs: Passes over the samples in `fit`.
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
        verbose: As in `Model.fit`; an ensemble prints nothing.

    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(rng.integers(4, 9), 2)) for _ in range(100)]
    >>> y = ["up" if each[-1, 0] > 0 else "down" for each in X]
    >>> classifier = RecurrentClassifier(units=8, random_state=0).fit(X, y)
    >>> classifier.classes_.tolist(), bool(classifier.score(X, y) > 0.9)
    (['down', 'up'], True)
    """

    class_weight: Mapping[Any, float] | str | None

    _told = ("_given_classes",)
    _seen = (*PredictingEstimator._seen, "classes_")

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
        class_weight: Mapping[Any, float] | str | None = None,
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> RecurrentClassifier:  # noqa: N803
        """Trains a new model, or with `warm_start` the existing one.

        Args:
            X: `[samples, steps]`, `[samples, steps, features]`, or a list of `[steps, features]`.
            y: Labels, `[samples]`.
            sample_weight: `[samples]`; samples of weight 0 are left out.
        """
        if not self.warm_start:
            self._given_classes = None
        self._fit(X, y, sample_weight)
        return self

    def partial_fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
    ) -> RecurrentClassifier:
        """Trains for one more epoch; the first call makes the model and must name all `classes`."""
        fresh = not self.__sklearn_is_fitted__()
        if fresh and classes is None:
            raise ValueError("`classes` must be passed on the first call to partial_fit.")
        if self.class_weight == "balanced":
            raise ValueError(
                '`class_weight="balanced"` cannot be used in `partial_fit`, which does not know '
                "the numbers of samples to come: pass a dict of weights"
            )
        if classes is not None:
            named = unique_labels(classes)
            if not fresh and not np.array_equal(named, self.classes_):
                raise ValueError(
                    f"`classes` must be those of the first call, {self.classes_.tolist()}, "
                    f"received {named.tolist()}"
                )
            self._given_classes = named
        self._fit(X, y, sample_weight, partial=True)
        return self

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """The probability of each class, `[samples, classes]` in the order of `classes_`."""
        mean_of_members = self._mean_of("predict_proba", X)
        if mean_of_members is not None:
            return mean_of_members
        return _as_probabilities(self._outputs(X))

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The most probable class of each sample."""
        probabilities = self.predict_proba(X)
        likeliest: Array = self.classes_[probabilities.argmax(axis=1)]
        return likeliest

    def _labels(self, y: Any) -> Array:
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        labels: Array = column_or_1d(y, warn=True)
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        return labels

    def _targets(self, y: Any, *, reset: bool) -> Array:
        labels = self._labels(y)
        if reset:
            given = getattr(self, "_given_classes", None)
            self.classes_ = np.unique(labels) if given is None else given
            if len(self.classes_) < 2:
                raise ValueError(
                    "`y` must have at least two classes, received one class: "
                    f"{self.classes_.tolist()}"
                )
        unknown = np.setdiff1d(labels, self.classes_)
        if len(unknown):
            raise ValueError(
                f"`y` must hold classes of the model, {self.classes_.tolist()}, received "
                f"{unknown.tolist()}"
            )
        return np.searchsorted(self.classes_, labels)

    def _begin(self, sequences: Sequences, targets: Array | None, weights: Array | None) -> None:
        assert targets is not None
        if getattr(self, "_given_classes", None) is None and len(np.unique(targets)) < 2:
            raise ValueError("`sample_weight` must be non-zero for samples of at least two classes")

    def _of_classes(self, y: Any) -> Array | None:
        if self.class_weight is None:
            return None
        weights: Array = compute_sample_weight(self.class_weight, self._labels(y))
        return weights

    def _strata(self, targets: Array | None) -> Array | None:
        return targets

    def _network(self, sequences: Sequences) -> Any:
        outputs = len(self.classes_)
        if self.build is not None:
            model = self._made_by_user(sequences, outputs)
            some = sequences.part(np.arange(min(len(sequences), _TRIED)))
            _as_probabilities(through(model, some, masks=self._masks))
        else:
            self._masks = True
            model = stack(self, sequences.features, outputs, "softmax")
        return self._compiled(model, "sparse_categorical_crossentropy")


def _as_probabilities(outputs: Array) -> Array:
    """The outputs for each sample, divided so that they add up to 1.

    Raises:
        ValueError: They cannot be probabilities, which only a user's model may give.
    """
    sums = outputs.sum(axis=1, keepdims=True)
    wrong = (outputs < 0).any(axis=1) | (sums[:, 0] == 0)
    if wrong.any():
        raise ValueError(
            "`build` must return a model whose outputs are the probabilities of the classes, for "
            "example one that ends in a layer with activation='softmax'; received the outputs "
            f"{outputs[np.argmax(wrong)].tolist()} for a sample"
        )
    probabilities: Array = outputs / sums
    return probabilities
