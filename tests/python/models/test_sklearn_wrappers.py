"""Models as estimators: labels, parameters, copies, and scikit-learn's own searches."""

import numpy as np
import pytest

import ferrnn
from ferrnn.layers import Dense, Input
from ferrnn.wrappers import SKLearnClassifier, SKLearnRegressor, SKLearnTransformer

RNG = np.random.default_rng(4)
X = RNG.normal(size=(60, 3)).astype("float32")
LABELS = np.where(X[:, 0] > 0, "up", "down")
Y = X @ [1.0, -2.0, 0.5]
QUIET = {"verbose": 0, "epochs": 30}


def classifier(X, y, rate=0.1):  # noqa: N803 - what scikit-learn calls them
    model = ferrnn.Sequential([Input(X.shape[1:]), Dense(y.shape[1], activation="softmax")])
    model.compile(ferrnn.optimizers.Adam(rate), "categorical_crossentropy")
    return model


def regressor():
    model = ferrnn.Sequential([Input((3,)), Dense(1)])
    model.compile(ferrnn.optimizers.Adam(0.1), "mse")
    return model


def test_classifiers_take_and_give_labels():
    found = SKLearnClassifier(classifier, fit_kwargs=QUIET).fit(X, LABELS)
    assert found.classes_.tolist() == ["down", "up"]
    assert set(found.predict(X)) == {"down", "up"}
    assert found.score(X, LABELS) > 0.9
    np.testing.assert_allclose(found.predict_proba(X).sum(axis=1), 1, rtol=1e-5)


def test_a_model_is_copied_unless_it_starts_warm():
    model = regressor()
    before = model.get_weights()[0].copy()
    found = SKLearnRegressor(model, fit_kwargs=QUIET).fit(X, Y)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    assert found.predict(X).shape == (60,)
    assert found.score(X, Y) > 0.9
    SKLearnRegressor(model, warm_start=True, fit_kwargs=QUIET).fit(X, Y)
    assert not np.array_equal(model.get_weights()[0], before)


def test_wrong_models_and_targets_are_refused():
    plain = ferrnn.Sequential([Input((3,)), Dense(1)])
    for model in (plain, lambda X, y: plain):  # noqa: N803
        with pytest.raises(RuntimeError, match="needs to be compiled"):
            SKLearnRegressor(model).fit(X, Y)
    with pytest.raises(ValueError, match="only one class"):
        SKLearnClassifier(classifier).fit(X, np.zeros(60, int))
    with pytest.raises(ValueError, match="Only binary and multiclass"):
        SKLearnClassifier(classifier).fit(X, Y)
    with pytest.raises(ValueError, match="not fitted yet"):
        SKLearnRegressor(regressor()).predict(X)
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        SKLearnRegressor(regressor()).set_params(depth=3)
    with pytest.raises(ValueError, match="the same number of samples"):
        SKLearnRegressor(regressor()).fit(X, Y[1:])


def test_searches_of_scikit_learn_run():
    selection = pytest.importorskip("sklearn.model_selection")
    grid = {"model_kwargs": [{"rate": 1e-6}, {"rate": 0.1}]}
    search = selection.GridSearchCV(SKLearnClassifier(classifier, fit_kwargs=QUIET), grid, cv=2)
    search.fit(X, LABELS)
    assert search.best_params_ == {"model_kwargs": {"rate": 0.1}}
    scores = selection.cross_val_score(SKLearnRegressor(regressor(), fit_kwargs=QUIET), X, Y, cv=2)
    assert scores.shape == (2,)


def test_a_transformer_gives_what_the_model_predicts():
    made = SKLearnTransformer(regressor(), fit_kwargs=QUIET)
    with pytest.raises(ValueError, match="not fitted yet"):
        made.transform(X)
    found = made.fit_transform(X, Y)
    np.testing.assert_array_equal(found, made.model_.predict(X, verbose=0))
    pipeline = pytest.importorskip("sklearn.pipeline")
    linear = pytest.importorskip("sklearn.linear_model").LinearRegression()
    whole = pipeline.make_pipeline(SKLearnTransformer(regressor(), fit_kwargs=QUIET), linear)
    assert whole.fit(X, Y).score(X, Y) > 0.9
