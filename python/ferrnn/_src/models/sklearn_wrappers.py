"""Models as estimators of scikit-learn, for its searches, pipelines and cross-validation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from ferrnn._src.models.cloning import clone_model
from ferrnn._src.models.model import Model
from ferrnn._src.tree.types import Array


class SKLearnEstimator:
    """The base of models as estimators: parameters, `fit` and `predict`.

    `model` is a compiled model, of which `fit` trains a copy (with `warm_start` itself), or a
    function `model(X, y, **model_kwargs)` that makes one. `fit_kwargs` go to the model's `fit`.
    Afterwards `model_` is the trained model and `history_` its history.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        model: Model | Callable[..., Model],
        warm_start: bool = False,
        model_kwargs: Mapping[str, Any] | None = None,
        fit_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments."""
        names = [*inspect.signature(type(self).__init__).parameters][1:]
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> SKLearnEstimator:
        """Sets arguments of the constructor."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}. Valid "
                    f"parameters are: {sorted(known)}"
                )
            setattr(self, name, value)
        return self

    def __sklearn_clone__(self) -> SKLearnEstimator:
        """A new estimator with the same parameters, including the same model object."""
        return type(self)(**self.get_params())

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        """The tags with which scikit-learn asks about an estimator."""
        utils = import_module("sklearn.utils")
        transforms = self.kind == "transformer"
        return utils.Tags(
            estimator_type=None if transforms else self.kind,
            target_tags=utils.TargetTags(required=True),
            transformer_tags=utils.TransformerTags(preserves_dtype=[]) if transforms else None,
            classifier_tags=utils.ClassifierTags(poor_score=True)
            if self.kind == "classifier"
            else None,
            regressor_tags=utils.RegressorTags(poor_score=True)
            if self.kind == "regressor"
            else None,
            non_deterministic=True,
        )

    def fit(self, X: Any, y: Any, **kwargs: Any) -> SKLearnEstimator:  # noqa: N803
        """Trains a model for samples `X` and targets `y`."""
        inputs, targets = np.asarray(X), self._taken(np.asarray(y))
        if len(inputs) != len(targets):
            raise ValueError(
                f"`X` and `y` must have the same number of samples, received {len(inputs)} and "
                f"{len(targets)}"
            )
        self.model_ = self._made(inputs, targets)
        self.n_features_in_ = inputs.shape[1] if inputs.ndim > 1 else 1
        options = {**(self.fit_kwargs or {}), **kwargs}
        self.history_ = self.model_.fit(inputs, targets, **options)
        return self

    def _made(self, inputs: Array, targets: Array) -> Model:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            if not self.model.compiled:
                raise RuntimeError(
                    "Given model needs to be compiled, and have a loss and an optimizer."
                )
            return self.model if self.warm_start else self._copied(self.model)
        if not callable(self.model):
            raise TypeError(
                "`model` must be a compiled model or a function that makes one, received "
                f"{self.model!r}"
            )
        made = self.model(X=inputs, y=targets, **(self.model_kwargs or {}))
        if not isinstance(made, Model) or not made.compiled:
            raise RuntimeError(
                "Given model needs to be compiled, and have a loss and an optimizer; `model` made "
                f"{made!r}"
            )
        return made

    def _copied(self, model: Model) -> Model:
        made: Model = clone_model(model)
        made.compile_from_config(model.get_compile_config())
        return made

    def _predicted(self, inputs: Any) -> Array:
        if not hasattr(self, "model_"):
            raise ValueError(
                f"This {type(self).__name__} instance is not fitted yet. Call 'fit' with "
                "appropriate arguments before using this estimator."
            )
        return np.asarray(self.model_.predict(np.asarray(inputs), verbose=0))

    def _taken(self, targets: Array) -> Array:
        """The targets in the form for the model."""
        raise NotImplementedError


class SKLearnClassifier(SKLearnEstimator):
    """A model as a scikit-learn classifier; the model gets one-hot labels.

    >>> from ferrnn.layers import Dense, Input
    >>> from ferrnn._src.models.sequential import Sequential
    >>> def make(X, y):
    ...     model = Sequential([Input(X.shape[1:]), Dense(y.shape[1], activation="softmax")])
    ...     model.compile("adam", "categorical_crossentropy")
    ...     return model
    >>> classifier = SKLearnClassifier(make, fit_kwargs={"verbose": 0})
    >>> classifier = classifier.fit(np.eye(3), ["a", "b", "a"])
    >>> classifier.classes_.tolist(), classifier.predict(np.eye(3)).shape
    (['a', 'b'], (3,))
    """

    kind: ClassVar[str] = "classifier"

    def _taken(self, targets: Array) -> Array:
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = targets[:, 0]
        if targets.ndim != 1 or (targets.dtype.kind == "f" and (targets % 1).any()):
            raise ValueError(
                "Only binary and multiclass target types are supported. Received targets of the "
                f"shape {targets.shape} and the dtype {targets.dtype}"
            )
        self.classes_, numbers = np.unique(targets, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        one_hot: Array = np.eye(len(self.classes_), dtype=np.float32)[numbers]
        return one_hot

    def decision_function(self, X: Any) -> Array:  # noqa: N803
        """The model's output for each class."""
        return self._predicted(X)

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """The model's output for each class."""
        return self._predicted(X)

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The most probable class of each sample."""
        likeliest: Array = self.classes_[self._predicted(X).argmax(axis=-1)]
        return likeliest

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """The share of samples whose class is predicted correctly."""
        found = self.predict(X) == np.asarray(y).reshape(-1)
        return float(np.average(found, weights=sample_weight))


class SKLearnRegressor(SKLearnEstimator):
    """A model as a scikit-learn regressor.

    >>> from ferrnn.layers import Dense, Input
    >>> from ferrnn._src.models.sequential import Sequential
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile("adam", "mse")
    >>> regressor = SKLearnRegressor(model, fit_kwargs={"verbose": 0})
    >>> regressor.fit(np.ones((3, 2)), np.ones(3)).predict(np.ones((4, 2))).shape
    (4,)
    """

    kind: ClassVar[str] = "regressor"

    def _taken(self, targets: Array) -> Array:
        self._flat = targets.ndim == 1
        return targets.reshape(-1, 1) if self._flat else targets

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The model's outputs, with the rank of the targets."""
        outputs = self._predicted(X)
        return outputs.reshape(len(outputs)) if self._flat else outputs

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """R², the explained share of the variance; the mean over several outputs."""
        true, found = np.asarray(y, np.float64), np.asarray(self.predict(X), np.float64)
        weights = np.ones(len(true)) if sample_weight is None else np.asarray(sample_weight)
        mean = np.average(true, axis=0, weights=weights)
        missed = np.average((true - found) ** 2, axis=0, weights=weights)
        return float(np.mean(1 - missed / np.average((true - mean) ** 2, axis=0, weights=weights)))


class SKLearnTransformer(SKLearnEstimator):
    """A model as a scikit-learn transformer: its predictions are passed to the next step.

    >>> from ferrnn.layers import Dense, Input
    >>> from ferrnn._src.models.sequential import Sequential
    >>> model = Sequential([Input((2,)), Dense(3)])
    >>> model.compile("adam", "mse")
    >>> transformer = SKLearnTransformer(model, fit_kwargs={"verbose": 0})
    >>> transformer.fit_transform(np.ones((4, 2)), np.ones((4, 3))).shape
    (4, 3)
    """

    kind: ClassVar[str] = "transformer"

    def _taken(self, targets: Array) -> Array:
        return targets.reshape(-1, 1) if targets.ndim == 1 else targets

    def transform(self, X: Any) -> Array:  # noqa: N803
        """The model's outputs."""
        return self._predicted(X)

    def fit_transform(self, X: Any, y: Any, **kwargs: Any) -> Array:  # noqa: N803
        """Trains a model, and returns its outputs for the same samples."""
        self.fit(X, y, **kwargs)
        return self.transform(X)
