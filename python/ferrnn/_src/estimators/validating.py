"""scikit-learn's `cross_validate`, with all folds trained together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, _safe_indexing, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from ferrnn._src.estimators.ensembles import PredictingEstimator
from ferrnn._src.estimators.together import fit_together


def cross_validate(
    estimator: Any,
    X: Any,  # noqa: N803
    y: Any,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    params: Mapping[str, Any] | None = None,
    return_train_score: bool = False,
    return_estimator: bool = False,
    return_indices: bool = False,
) -> dict[str, Any]:
    """Scores of an estimator on folds: scikit-learn's `cross_validate`, the folds trained together.

    Results and scores are, to the bit, those of the function of that name in
    `sklearn.model_selection`. The arguments are the same except those for worker processes and
    `error_score`: an error in a fold is raised. `fit_time` is the total time of all folds, divided
    among them.

    Args:
        estimator: A `RecurrentRegressor` or `RecurrentClassifier`; it is not changed.
        X: As for its `fit`.
        y: As for its `fit`.
        groups: The group of each sample, for a `cv` that keeps groups together.
        scoring: A name, a scorer, or several of them; that of the estimator's `score` if None.
        cv: The number of folds (5 if None), a splitter, or pairs of indices.
        params: `{"sample_weight": ...}`, `[samples]`, for `fit`; with metadata routing, whatever
            the estimator, the scorers and the splitter ask for.
        return_train_score: Whether to return scores on the training data too.
        return_estimator: Whether to return the trained estimators.
        return_indices: Whether to return the indices of the folds.

    Raises:
        TypeError: `estimator` is neither of these two.

    >>> from ferrnn.sklearn import RecurrentRegressor, cross_validate
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> found = cross_validate(RecurrentRegressor(units=4, epochs=3), X, X[:, -1], cv=3)
    >>> sorted(found), found["test_score"].shape
    (['fit_time', 'score_time', 'test_score'], (3,))
    """
    if not isinstance(estimator, PredictingEstimator):
        raise TypeError(
            "`estimator` must be a RecurrentRegressor or RecurrentClassifier, received "
            f"{estimator!r}; `sklearn.model_selection.cross_validate` takes others"
        )
    X, y, groups = indexable(X, y, groups)  # noqa: N806
    splitter = check_cv(cv, y, classifier=is_classifier(estimator))
    scorer = check_scoring(estimator, scoring)
    to = _routed(estimator, scorer, splitter, groups, dict(params or {}))
    folds = list(splitter.split(X, y, **to.splitter.split))
    made = [clone(estimator) for _ in folds]
    start = time.perf_counter()
    weights = to.estimator.fit.get("sample_weight")
    fittings = [
        each._fitting(_part(X, train), _part(y, train), _part_of_all(weights, train, y))
        for each, (train, _) in zip(made, folds, strict=True)
    ]
    fit_together(fittings)
    spent = (time.perf_counter() - start) / len(folds)
    found: dict[str, Any] = {"fit_time": np.full(len(folds), spent)}
    parts = {"test": 1, "train": 0} if return_train_score else {"test": 1}
    for name, at in parts.items():
        scores, seconds = [], []
        for each, fold in zip(made, folds, strict=True):
            start = time.perf_counter()
            more = {key: _part_of_all(own, fold[at], y) for key, own in to.scorer.score.items()}
            scores.append(scorer(each, _part(X, fold[at]), _part(y, fold[at]), **more))
            seconds.append(time.perf_counter() - start)
        found.setdefault("score_time", np.array(seconds))
        found.update(_by_name(name, scores))
    if return_estimator:
        found["estimator"] = made
    if return_indices:
        found["indices"] = {name: [fold[at] for fold in folds] for name, at in
                            (("train", 0), ("test", 1))}  # fmt: skip
    return found


def _routed(estimator: Any, scorer: Any, splitter: Any, groups: Any, params: dict[str, Any]) -> Any:
    """The arguments of `estimator.fit`, `scorer.score` and `splitter.split` besides samples."""
    if not sklearn.get_config()["enable_metadata_routing"]:
        unknown = sorted(set(params) - {"sample_weight"})
        if unknown:
            raise ValueError(f"`params` must hold only `sample_weight`, received {unknown}")
        return Bunch(
            estimator=Bunch(fit=params),
            scorer=Bunch(score={}),
            splitter=Bunch(split={"groups": groups}),
        )
    if groups is not None:
        raise ValueError("`groups` must be passed in `params` while metadata routing is enabled")
    mapping = {"estimator": (estimator, "fit"), "scorer": (scorer, "score")}
    mapping["splitter"] = (splitter, "split")
    router = MetadataRouter(owner="cross_validate")
    for name, (each, callee) in mapping.items():
        methods = MethodMapping().add(caller="fit", callee=callee)
        router.add(method_mapping=methods, **{name: each})
    return process_routing(router, "fit", **params)


def _part(values: Any, index: Any) -> Any:
    return None if values is None else _safe_indexing(values, index)


def _part_of_all(values: Any, index: Any, y: Any) -> Any:
    """The part of a value that has an entry for each sample; any other value unchanged."""
    each = hasattr(values, "__len__") and y is not None and len(values) == len(y)
    return _part(values, index) if each else values


def _by_name(part: str, scores: list[Any]) -> dict[str, Any]:
    """The scores of all folds, as `test_score` or, with several scorers, by their names."""
    if not isinstance(scores[0], Mapping):
        return {f"{part}_score": np.array(scores)}
    return {f"{part}_{name}": np.array([each[name] for each in scores]) for name in scores[0]}
