"""Networks that are trained together, folds and seeds: to the bit those trained alone."""

import itertools
import pickle

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import layers

sklearn = pytest.importorskip("sklearn")

from sklearn import model_selection  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.linear_model import Ridge  # noqa: E402

from ferrnn._src.training import work  # noqa: E402
from ferrnn.sklearn import (  # noqa: E402 - not without scikit-learn
    RecurrentClassifier,
    RecurrentRegressor,
    RecurrentTransformer,
    cross_validate,
)

RNG = np.random.default_rng(11)
X = RNG.normal(size=(53, 6, 2))
Y = X[:, -1, 0] * 2 + X[:, -2, 1]
LABELS = np.array(["low", "mid", "top"])[np.digitize(Y, [-1, 1])]
WEIGHTS = RNG.uniform(0.2, 3, size=len(X))
RAGGED = [each[: RNG.integers(2, 7)] for each in X]
SMALL = {"cell": "gru", "units": 5, "epochs": 3, "batch_size": 16, "random_state": 3}
KINDS = [RecurrentRegressor, RecurrentClassifier]
SETTINGS = [
    {"dropout": 0.3, "layers": 2, "bidirectional": True, "epochs": 2},
    {"early_stopping": True, "epochs": 6, "n_iter_no_change": 2, "shuffle": False},
]


def targets(kind):
    return LABELS if kind is RecurrentClassifier else Y


def outputs(made, samples=X):
    return getattr(made, "predict_proba", made.predict)(samples)


def assert_same_weights(one, other):
    pairs = zip(one.model_.get_weights(), other.model_.get_weights(), strict=True)
    for mine, its in pairs:
        np.testing.assert_array_equal(mine, its)


@each_case("kind", KINDS)
@each_case("settings", SETTINGS, ids=str)
@each_case("samples", [X, RAGGED], ids=["array", "ragged"])
def test_members_of_an_ensemble_are_to_the_bit_those_fitted_alone(kind, samples, settings):
    made = kind(**SMALL | settings, ensemble=2).fit(samples, targets(kind))
    assert len({each.random_state for each in made.estimators_}) == 2
    for member in made.estimators_:
        alone = kind(**SMALL | settings).set_params(random_state=member.random_state)
        alone.fit(samples, targets(kind))
        assert_same_weights(alone, member)
        assert alone.history_ == member.history_
    mean = np.mean([outputs(each, samples) for each in made.estimators_], axis=0)
    np.testing.assert_array_equal(outputs(made, samples), mean)
    assert made.n_iter_ == max(each.n_iter_ for each in made.estimators_)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("settings", "weights"),
    [(SETTINGS[0], None), (SETTINGS[1], WEIGHTS)],
    ids=["alike", "weighted"],
)
def test_folds_score_to_the_bit_as_those_of_scikit_learn(kind, settings, weights):
    options = {"params": {"sample_weight": weights}} if weights is not None else {}
    options |= {"return_train_score": True, "return_estimator": True, "return_indices": True}
    made = kind(**SMALL | settings)
    ours = cross_validate(made, X, targets(kind), cv=2, **options)
    theirs = model_selection.cross_validate(made, X, targets(kind), cv=2, **options)
    assert ours.keys() == theirs.keys()
    for name in ("test_score", "train_score"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    for one, other in zip(ours["estimator"], theirs["estimator"], strict=True):
        assert_same_weights(one, other)
    for part in ("train", "test"):
        for one, other in zip(ours["indices"][part], theirs["indices"][part], strict=True):
            np.testing.assert_array_equal(one, other)
    assert not hasattr(made, "model_")


@pytest.mark.parametrize("ensemble", [1, 2])
def test_without_a_random_state_numpys_global_generator_decides_as_in_scikit_learn(ensemble):
    made = RecurrentRegressor(**SMALL | {"random_state": None}, ensemble=ensemble)
    scores = []
    for function in (cross_validate, model_selection.cross_validate):
        np.random.seed(4)  # noqa: NPY002 - that of scikit-learn
        scores.append(function(made, X, Y, cv=2)["test_score"])
        scores.append(np.random.uniform())  # noqa: NPY002 - it goes on from the same place
    np.testing.assert_array_equal(scores[0], scores[2])
    assert scores[1] == scores[3]


def test_folds_of_ensembles_ragged_sequences_groups_and_several_scores_are_those_of_scikit_learn():
    made = RecurrentRegressor(**SMALL, ensemble=2)
    options = {
        "groups": np.arange(len(X)) // 9,
        "cv": model_selection.GroupKFold(3),
        "scoring": ["r2", "neg_mean_absolute_error"],
    }
    ours = cross_validate(made, RAGGED, Y, **options)
    theirs = model_selection.cross_validate(made, RAGGED, Y, **options)
    assert ours.keys() == theirs.keys()
    for name in ("test_r2", "test_neg_mean_absolute_error"):
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_weights_and_groups_are_routed_as_scikit_learn_routes_them():
    options = {
        "params": {"sample_weight": WEIGHTS, "groups": np.arange(len(X)) // 9},
        "cv": model_selection.GroupKFold(2),
    }
    with sklearn.config_context(enable_metadata_routing=True):
        made = RecurrentRegressor(**SMALL).set_fit_request(sample_weight=True)
        made.set_score_request(sample_weight=True)
        ours = cross_validate(made, X, Y, **options)
        theirs = model_selection.cross_validate(made, X, Y, **options)
        np.testing.assert_array_equal(ours["test_score"], theirs["test_score"])
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError):
            cross_validate(RecurrentRegressor(**SMALL), X, Y, **options)
        with pytest.raises(ValueError, match="`groups` must be passed in `params`"):
            cross_validate(made, X, Y, groups=Y)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_engine_takes_steps_of_folds_and_seeds_together(kind, ragged, monkeypatch):
    at_once: list[int] = []
    run = work.run
    monkeypatch.setattr(work, "run", lambda *works: (at_once.append(len(works)), run(*works)))
    samples = RAGGED if ragged else X
    cross_validate(kind(**SMALL, ensemble=2), samples, targets(kind), cv=3)
    assert max(at_once) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_an_ensemble_is_pickled_cloned_and_goes_on_as_its_members(kind):
    made = kind(**SMALL, ensemble=2).fit(X, targets(kind))
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(outputs(again), outputs(made))
    members = [pickle.loads(pickle.dumps(each)) for each in made.estimators_]
    for each in (made, again, *members):
        each.partial_fit(X, targets(kind))
    np.testing.assert_array_equal(outputs(again), outputs(made))
    for one, other in zip(made.estimators_, members, strict=True):
        assert_same_weights(one, other)
    assert not hasattr(clone(made), "estimators_")


def test_an_ensemble_starts_warm_with_changed_parameters():
    made = RecurrentRegressor(**SMALL, ensemble=2, warm_start=True).fit(X, Y)
    members = list(made.estimators_)
    made.set_params(epochs=5).fit(X, Y)
    assert made.estimators_ == members
    assert made.n_iter_ == 8


def test_one_network_after_an_ensemble_leaves_nothing_of_it_and_the_other_way_round():
    made = RecurrentClassifier(**SMALL, ensemble=2).fit(X, LABELS)
    assert made.classes_.tolist() == ["low", "mid", "top"]
    made.set_params(ensemble=1).fit(X, LABELS)
    assert not hasattr(made, "estimators_")
    made.set_params(ensemble=2).fit(X, LABELS)
    assert not hasattr(made, "model_")
    with pytest.raises(
        ValueError, match=r"`ensemble` must be 2, as at the beginning of training, .* 1"
    ):
        made.set_params(ensemble=1).partial_fit(X, LABELS)


def test_a_build_that_knows_no_seed_draws_from_the_global_one():
    def build(features, outputs, seed):
        return ferrnn.Sequential(
            [ferrnn.Input((None, features)), layers.GRU(3), layers.Dense(outputs)]
        )

    def predictions():
        made = RecurrentRegressor(**SMALL, build=build, ensemble=2).fit(X, Y)
        return [each.predict(X) for each in made.estimators_]

    ferrnn.utils.set_random_seed(5)
    first, second = predictions(), predictions()
    for one, other in itertools.combinations([*first, *second], 2):
        assert not np.array_equal(one, other)
    ferrnn.utils.set_random_seed(5)
    np.testing.assert_array_equal(predictions(), first)


def test_what_fails_is_raised_and_leaves_the_estimator_unfitted():
    made = RecurrentRegressor(**SMALL, ensemble=2)
    with pytest.raises(ValueError, match="NaN"):
        made.fit(np.where(X > 2, np.nan, X), Y)
    assert not hasattr(made, "estimators_")
    with pytest.raises(ValueError, match=r"`ensemble` must be a positive integer, received 0"):
        made.set_params(ensemble=0).fit(X, Y)


def test_estimators_of_others_and_unknown_params_are_refused():
    for other in (Ridge(), RecurrentTransformer()):
        with pytest.raises(TypeError, match="must be a RecurrentRegressor or RecurrentClassifier"):
            cross_validate(other, X, Y)
    with pytest.raises(ValueError, match=r"`sample_weight` must have the shape \(42,\)"):
        cross_validate(RecurrentRegressor(), X, Y, params={"sample_weight": WEIGHTS[:3]})
    with pytest.raises(ValueError, match=r"only `sample_weight`, received \['weights'\]"):
        cross_validate(RecurrentRegressor(), X, Y, params={"weights": WEIGHTS})


@each_case("kind", KINDS)
@each_case("settings", [{"dropout": 0.3}, {"epochs": 9}, *SETTINGS], ids=str)
def test_epochs_in_one_call_are_those_without_plans_however_little_time_there_is(kind, settings):
    def fitted():
        return kind(**SMALL | settings).fit(X, targets(kind))

    expected = fitted()
    for name, value in (("LIMIT", 0.0), ("LIMIT", 1e-4)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(work, name, value)
            assert_same_weights(fitted(), expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERRNN_PLAN", "0")
        assert_same_weights(fitted(), expected)
