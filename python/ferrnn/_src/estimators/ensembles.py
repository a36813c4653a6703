"""Estimators that predict with one network, or with several networks of different seeds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ferrnn._src.estimators.recurrent import RecurrentEstimator
from ferrnn._src.estimators.together import Fitting, fit_together
from ferrnn._src.training.samples import checked_count
from ferrnn._src.training.together import Fit
from ferrnn._src.tree.types import Array

_OF_ONE = ("model_", "history_")


class PredictingEstimator(RecurrentEstimator):
    """With `ensemble` above 1, `estimators_` are estimators of one network each."""

    ensemble: int
    estimators_: list[Any]

    # Attributes that members get before training, and those that come from the samples.
    _told: ClassVar[tuple[str, ...]] = ()
    _seen: ClassVar[tuple[str, ...]] = ("n_features_in_", "feature_names_in_")

    def _fit(self, samples: Any, y: Any, weights: Any, *, partial: bool = False) -> None:
        fit_together([self._fitting(samples, y, weights, partial=partial)], self.verbose)

    def _fitting(self, samples: Any, y: Any, weights: Any, *, partial: bool = False) -> Fitting:
        """The training of all networks, for `fit_together`."""
        count = checked_count(self.ensemble, "ensemble")
        goes_on = partial or self.warm_start
        known = len(self.estimators_) if hasattr(self, "estimators_") else 1
        if goes_on and self.__sklearn_is_fitted__() and count != known:
            raise ValueError(
                f"`ensemble` must be {known}, as at the beginning of training, received {count}"
            )
        if count == 1:
            begins = [_first(self, samples, y, weights, partial)]
            return Fitting(begins, lambda: self._forget("estimators_"))
        members = self._members(fresh=not (goes_on and hasattr(self, "estimators_")))
        begins = [_first(each, samples, y, weights, partial) for each in members]
        return Fitting(begins, lambda: self._settle(members))

    def _members(self, *, fresh: bool) -> list[Any]:
        """Estimators of one network each, with this one's parameters except for the seed."""
        if not fresh:
            own = self.get_params(deep=False)
            given = {name: own[name] for name in own if name not in ("ensemble", "random_state")}
            return [each.set_params(**given) for each in self.estimators_]
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=self.ensemble)
        members = [clone(self) for _ in seeds]
        for each, seed in zip(members, seeds.tolist(), strict=True):
            each.set_params(ensemble=1, random_state=seed)
            for name in self._told:
                setattr(each, name, getattr(self, name, None))
        return members

    def _settle(self, members: list[Any]) -> None:
        """Stores the trained members, and their attributes that come from the samples."""
        self.estimators_ = members
        self.n_iter_ = max(each.n_iter_ for each in members)
        self._forget(*_OF_ONE, *self._seen)
        for name in self._seen:
            if hasattr(members[0], name):
                setattr(self, name, getattr(members[0], name))

    def _forget(self, *names: str) -> None:
        for name in names:
            self.__dict__.pop(name, None)

    def _mean_of(self, method: str, samples: Any) -> Array | None:
        """The mean of the members' predictions, or None if there is only one network."""
        check_is_fitted(self)
        if not hasattr(self, "estimators_"):
            return None
        mean: Array = np.mean([getattr(each, method)(samples) for each in self.estimators_], axis=0)
        return mean

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_") or hasattr(self, "estimators_")


def _first(
    estimator: RecurrentEstimator, samples: Any, y: Any, weights: Any, further: bool
) -> Callable[[], Fit]:
    return partial(next, estimator._learning(samples, y, weights, partial=further))
