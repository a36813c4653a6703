"""Estimators by themselves: parameters, weights, classes, further training, copies."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import layers

sklearn = pytest.importorskip("sklearn")

from sklearn.exceptions import NotFittedError  # noqa: E402

from ferrnn.sklearn import (  # noqa: E402 - not without scikit-learn
    RecurrentClassifier,
    RecurrentRegressor,
    RecurrentTransformer,
)

SMALL = {"cell": "gru", "units": 5, "epochs": 3, "batch_size": 8, "random_state": 3}
RNG = np.random.default_rng(6)
X = RNG.normal(size=(45, 6, 2))
Y = X[:, -1, 0] * 2 + X[:, -2, 1]
LABELS = np.array(["low", "mid", "top"])[np.digitize(Y, [-1, 1])]
KINDS = [RecurrentRegressor, RecurrentClassifier, RecurrentTransformer]


def targets(kind):
    return LABELS if kind is RecurrentClassifier else Y


def outputs(made, samples=X):
    for name in ("predict_proba", "predict", "transform"):
        if hasattr(made, name):
            return getattr(made, name)(samples)
    raise AssertionError


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_one_model_whatever_else_is_drawn(kind):
    one = kind(**SMALL, dropout=0.2).fit(X, targets(kind))
    ferrnn.utils.set_random_seed(9)
    other = kind(**SMALL, dropout=0.2).fit(X, targets(kind))
    np.testing.assert_array_equal(outputs(one), outputs(other))
    third = kind(**{**SMALL, "random_state": 4}, dropout=0.2).fit(X, targets(kind))
    assert not np.array_equal(outputs(one), outputs(third))


@each_case("kind", KINDS)
@each_case("copied", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_a_copy_goes_on_as_the_original_does(kind, copied):
    made = kind(**SMALL, dropout=0.2, layers=2, bidirectional=True).fit(X, targets(kind))
    again = copied(made)
    np.testing.assert_array_equal(outputs(again), outputs(made))
    for each in (made, again):
        each.partial_fit(X, targets(kind))
    np.testing.assert_array_equal(outputs(again), outputs(made))


def test_a_pickle_holds_no_model_but_bytes_of_a_file():
    made = RecurrentRegressor(**SMALL).fit(X, Y)
    assert isinstance(made.__getstate__()["model_"], bytes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_of_weight_0_is_none(kind):
    weights = (np.arange(len(X)) % 3 > 0) * 2.5
    kept = weights > 0
    y = targets(kind)
    one = kind(**SMALL).fit(X, y, sample_weight=weights)
    if kind is RecurrentTransformer:
        other = kind(**SMALL).fit(X[kept])
    else:
        other = kind(**SMALL).fit(X[kept], y[kept])
    np.testing.assert_allclose(outputs(one), outputs(other), rtol=1e-5, atol=1e-6)


def test_weights_pull_the_model_to_their_samples():
    y = np.where(np.arange(len(X)) % 2, 5.0, -5.0)
    weights = np.where(y > 0, 50.0, 1.0)
    made = RecurrentRegressor(**{**SMALL, "epochs": 30}).fit(X, y, sample_weight=weights)
    assert made.predict(X).mean() > 3
    labels = np.where(y > 0, "a", "b")
    for options in ({"class_weight": {"a": 50, "b": 1}}, {"class_weight": {"a": 1, "b": 50}}):
        found = RecurrentClassifier(**SMALL, **options).fit(X, labels).predict_proba(X)
        assert (found[:, 0].mean() > 0.6) == (options["class_weight"]["a"] == 50)


def test_balanced_classes_count_alike():
    y = np.where(np.arange(len(X)) % 9, "often", "rare")
    plain = RecurrentClassifier(**SMALL).fit(X, y)
    fair = RecurrentClassifier(**SMALL, class_weight="balanced").fit(X, y)
    assert fair.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.1
    with pytest.raises(ValueError, match="balanced"):
        RecurrentClassifier(class_weight="balanced").partial_fit(X, y, classes=["often", "rare"])


def test_partial_fit_goes_on_and_knows_its_classes():
    made = RecurrentClassifier(**SMALL)
    with pytest.raises(ValueError, match="must be passed on the first call"):
        made.partial_fit(X, LABELS)
    made.partial_fit(X[:9], np.full(9, "mid"), classes=["low", "mid", "top"])
    for _ in range(30):
        made.partial_fit(X, LABELS)
    assert made.n_iter_ == 31
    assert made.score(X, LABELS) > 0.8
    with pytest.raises(ValueError, match=r"must hold classes .* received \['new'\]"):
        made.partial_fit(X[:1], ["new"])
    with pytest.raises(ValueError, match="must be those of the first call"):
        made.partial_fit(X, LABELS, classes=["low", "mid"])


@pytest.mark.parametrize("warm", [False, True])
def test_fit_begins_anew_unless_it_starts_warm(warm):
    made = RecurrentRegressor(**SMALL, warm_start=warm).fit(X, Y)
    before, model = made.predict(X), made.model_
    made.fit(X, Y)
    assert (made.model_ is model) == warm
    assert np.array_equal(made.predict(X), before) == (not warm)
    assert made.n_iter_ == (6 if warm else 3)


def test_early_stopping_keeps_the_best_weights():
    noise = RNG.normal(size=len(X))
    options = {**SMALL, "epochs": 200, "units": 20, "learning_rate": 0.05}
    made = RecurrentRegressor(**options, early_stopping=True, n_iter_no_change=4).fit(X, noise)
    assert made.n_iter_ < 200
    losses = made.history_["val_loss"]
    assert np.argmin(losses) == len(losses) - 5


def test_several_outputs_have_a_scale_of_their_own():
    both = np.column_stack([Y, 1000 + 50 * Y])
    made = RecurrentRegressor(**{**SMALL, "epochs": 60}).fit(X, both)
    assert made.predict(X).shape == both.shape
    assert made.score(X, both) > 0.9


def own_model(features, outputs, seed):
    kernel = ferrnn.initializers.GlorotUniform(seed)
    recurrent = layers.GRU(4, kernel_initializer=kernel, recurrent_initializer="zeros")
    head = layers.Dense(outputs, kernel_initializer=kernel)
    return ferrnn.Sequential([ferrnn.Input((None, features)), recurrent, head])


def compiled_model(features, outputs, seed):
    model = own_model(features, outputs, seed)
    model.compile(ferrnn.optimizers.SGD(0.5), "mae")
    return model


@pytest.mark.parametrize("build", [own_model, compiled_model])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_model_of_ones_own_is_trained(build, ragged):
    samples = [each[: 3 + at % 4] for at, each in enumerate(X)] if ragged else X
    made = RecurrentRegressor(build=build, epochs=3, random_state=1).fit(samples, Y)
    alone = np.concatenate([made.predict(each[np.newaxis]) for each in samples])
    np.testing.assert_array_equal(made.predict(samples), alone)
    lists = [each[: 2 + at % 3] for at, each in enumerate(X)]
    alone = np.concatenate([made.predict(each[np.newaxis]) for each in lists])
    np.testing.assert_array_equal(made.predict(lists), alone)
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.predict(samples), made.predict(samples))
    wanted = "SGD" if build is compiled_model else "Adam"
    assert type(made.model_.optimizer).__name__ == wanted


@pytest.mark.parametrize("ragged", [False, True])
def test_outputs_of_a_classifiers_own_model_are_probabilities(ragged):
    samples = [each[: 3 + at % 4] for at, each in enumerate(X)] if ragged else X
    labels = np.digitize(Y, [-0.5, 0.5])

    def ends_with(activation):
        def build(features, outputs, seed):
            model = own_model(features, outputs, seed)
            return ferrnn.Sequential([*model.layers, layers.Activation(activation)])

        return RecurrentClassifier(build=build, epochs=2, random_state=1)

    for activation in ("linear", "tanh"):
        with pytest.raises(ValueError, match=r"must return a model whose outputs are the probab"):
            ends_with(activation).fit(samples, labels)
    made = ends_with("softmax").fit(samples, labels)
    found = made.predict_proba(samples)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(made.classes_[found.argmax(axis=1)], made.predict(samples))
    weights = made.model_.get_weights()
    made.model_ = own_model(2, 3, 1)
    made.model_.set_weights(weights)
    with pytest.raises(ValueError, match=r"activation='softmax'; received the outputs \["):
        made.predict(samples)


@each_case(
    ("options", "error", "words"),
    [
        ({"cell": "rnn"}, ValueError, "`cell` must be one of .*'gru'"),
        ({"units": [3, 4]}, ValueError, "one for each of the 1 `layers`"),
        ({"layers": 0}, ValueError, "`layers` must be a positive integer"),
        ({"units": 0}, ValueError, "`units` must be a positive integer, received 0"),
        ({"units": "many"}, ValueError, "`units` must be one number, or one for each"),
        ({"scale": "yes"}, TypeError, "`scale` must be True or False, received 'yes'"),
        ({"shuffle": 3}, TypeError, "`shuffle` must be True or False, received 3"),
        ({"tol": "low"}, ValueError, "`tol` must be a non-negative number, received 'low'"),
        ({"build": 3}, TypeError, "`build` must be a function that returns a model, received 3"),
        ({"batch_size": 2.5}, ValueError, "`batch_size` must be a positive integer"),
        ({"dropout": 1.5}, ValueError, "`dropout` must be at least 0 and below 1, received 1.5"),
        ({"optimizer": "best"}, ValueError, "best"),
        ({"build": lambda f, o, s: 3}, TypeError, "`build` must return a ferrnn model"),
        ({"build": lambda f, o, s: own_model(f, o + 1, s)}, ValueError, r"outputs \[samples, 1\]"),
    ],
)
def test_wrong_parameters_are_told_by_fit(options, error, words):
    with pytest.raises(error, match=words):
        RecurrentRegressor(**options).fit(X, Y)


def test_wrong_targets_and_weights_are_told():
    made = RecurrentRegressor(**SMALL)
    with pytest.raises(NotFittedError):
        made.predict(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        made.fit(X, Y[1:])
    with pytest.raises(ValueError, match="must not be negative"):
        made.fit(X, Y, sample_weight=-np.ones(len(X)))
    with pytest.raises(ValueError, match=r"must have the shape \(45,\)"):
        made.fit(X, Y, sample_weight=np.ones(4))
    with pytest.raises(ValueError, match="must have 1 outputs, as in the first call, received 2"):
        made.fit(X, Y).partial_fit(X, np.column_stack([Y, Y]))


def test_states_are_features_of_the_last_step():
    made = RecurrentTransformer(**{**SMALL, "cell": "lstm"}, bidirectional=True).fit(X)
    assert made.transform(X).shape == (45, 20)
    names = made.get_feature_names_out()
    assert names[[0, -1]].tolist() == ["recurrenttransformer0", "recurrenttransformer19"]
    masked, lstm = made.model_.layers[1], made.model_.layers[2]
    mean, deviation = made._scale
    _, h, c = lstm(((X - mean) / deviation).astype("float32"))
    np.testing.assert_array_equal(made.transform(X)[:, :10], np.concatenate([h, c], axis=1))
    assert type(masked).__name__ == "Masking"


def test_foretelling_is_learned():
    waves = np.sin(RNG.uniform(0, 6, size=(60, 1)) + 0.5 * np.arange(25))
    made = RecurrentTransformer(cell="gru", units=12, epochs=60, random_state=0).fit(waves)
    losses = made.history_["loss"]
    assert losses[-1] < losses[0] / 5


def test_without_scikit_learn_the_extra_is_named():
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import ferrnn\n"
        "try:\n    ferrnn.sklearn.RecurrentRegressor\n"
        "except ImportError as error:\n    print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ferrnn[sklearn]" in told.stdout
