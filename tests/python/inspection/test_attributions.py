"""Integrated gradients sum to what an output changes by, and find what matters."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Input, Model, Sequential, layers
from ferrnn.inspection import integrated_gradients

RNG = np.random.default_rng(12)
X = RNG.normal(size=(5, 6, 3))


def random_weights(model):
    model.set_weights([RNG.normal(scale=0.4, size=each.shape) for each in model.get_weights()])
    return model


def summed(attributions):
    return attributions.reshape(len(attributions), -1).sum(axis=1)


@each_case("dtype", ["float32", "float64"])
@each_case("kind", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_attributions_sum_to_the_change_of_the_output(kind, dtype):
    inputs = Input((None, 3), dtype=dtype)
    read = layers.Bidirectional(kind(5, return_sequences=True, dtype=dtype))(inputs)
    last = kind(4, dtype=dtype)(read)
    model = random_weights(Model(inputs, layers.Dense(2, dtype=dtype)(last)))
    baseline = RNG.normal(size=(6, 3))
    found = integrated_gradients(model, X, baseline, output=1, steps=64)
    gained = model(X)[:, 1] - model(np.broadcast_to(baseline, X.shape))[:, 1]
    tolerance = 1e-4 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(summed(found), gained, atol=tolerance, rtol=tolerance)
    assert found.shape == X.shape


def test_a_linear_model_gives_its_weights():
    model = random_weights(Sequential([Input((3,)), layers.Dense(1)]))
    kernel = model.get_weights()[0][:, 0]
    found = integrated_gradients(model, X[:, 0], steps=1)
    np.testing.assert_allclose(found, X[:, 0] * kernel, rtol=1e-6)


def test_one_step_of_many_outputs_is_named():
    model = random_weights(Sequential([Input((None, 3)), layers.GRU(4, return_sequences=True)]))
    found = integrated_gradients(model, X, output=(2, 1))
    assert not found[:, 3:].any()  # what comes later does not matter
    np.testing.assert_allclose(summed(found), (model(X) - model(0 * X))[:, 2, 1], atol=1e-5)
    for wrong in (None, 1, (6, 0), (0, 0, 0)):
        with pytest.raises(ValueError, match=r"`output` must name one entry .* 6, 4\]"):
            integrated_gradients(model, X, output=wrong)


def test_words_are_judged_behind_their_embedding():
    embedding = layers.Embedding(9, 3, mask_zero=True, name="words")
    model = Sequential([Input((None,)), embedding, layers.LSTM(4), layers.Dense(1)])
    random_weights(model)
    words = np.array([[1, 2, 0], [3, 4, 5]])
    with pytest.raises(TypeError, match="pass its name as `layer`"):
        integrated_gradients(model, words)
    found = integrated_gradients(model, words, layer="words")
    assert found.shape == (2, 3, 3)
    assert not found[0, 2].any()
    rest = Sequential([Input((None, 3)), *model.layers[1:]])
    nothing = rest(np.zeros((2, 3, 3)), mask=words > 0)
    np.testing.assert_allclose(summed(found), (model(words) - nothing)[:, 0], atol=1e-5)


def test_what_a_mask_leaves_out_has_no_part():
    model = Sequential([Input((None, 3)), layers.Masking(-9.0), layers.LSTM(4), layers.Dense(1)])
    random_weights(model)
    padded = X.copy()
    padded[:, 4:] = -9.0
    found = integrated_gradients(model, padded)
    np.testing.assert_allclose(found[:, :4], integrated_gradients(model, X[:, :4]), atol=1e-6)
    assert not found[:, 4:].any()


def test_few_steps_over_kinks_are_told():
    model = Sequential([Input((3,)), layers.Dense(8, activation="relu"), layers.Dense(1)])
    random_weights(model)
    with pytest.warns(UserWarning, match="pass more than 1 `steps`"):
        integrated_gradients(model, 5 * X[:, 0], baseline=-1.0, steps=1)


def test_wrong_baselines_are_refused():
    model = Sequential([Input((None, 3)), layers.GRU(4), layers.Dense(1)])
    with pytest.raises(ValueError, match=r"`baseline` must broadcast to the shape \(5, 6, 3\)"):
        integrated_gradients(model, X, np.zeros(4))
    with pytest.raises(ValueError, match="`steps` must be a positive integer"):
        integrated_gradients(model, X, steps=0)
    with pytest.raises(ValueError, match="`layer` must be one of"):
        integrated_gradients(model, X, layer="words")


@pytest.mark.slow
def test_permutations_of_shap_agree_on_the_sum():
    shap = pytest.importorskip("shap")
    model = random_weights(Sequential([Input((None, 3)), layers.LSTM(4), layers.Dense(1)]))

    def predict(rows):
        return model.predict(rows.reshape(-1, 6, 3), verbose=0)[:, 0]

    rows = X.reshape(5, -1)
    explainer = shap.PermutationExplainer(predict, np.zeros((1, 18)), seed=1)
    told = explainer(rows, max_evals=10 * (2 * 18 + 1), silent=True)
    np.testing.assert_allclose(
        told.values.sum(axis=1), summed(integrated_gradients(model, X)), atol=1e-4
    )
    found = integrated_gradients(model, X).reshape(5, -1)
    assert np.corrcoef(told.values.ravel(), found.ravel())[0, 1] > 0.8


@each_case("names", [False, True])
def test_inputs_of_several_kinds_share_the_change(names):
    past, known, static = Input((None, 3), name="past"), Input((4, 2), name="known"), Input((2,))
    _, state = layers.GRU(3, return_state=True)(past)
    ahead = layers.Concatenate()([known, layers.RepeatVector(4)(static)])
    decoded = layers.GRU(3, return_sequences=True)(ahead, initial_state=state)
    ends = {"past": past, "known": known, "static": static} if names else [past, known, static]
    model = random_weights(Model(ends, layers.Dense(1)(decoded)))
    given = [X, RNG.normal(size=(5, 4, 2)), RNG.normal(size=(5, 2))]
    baselines = [0.0, RNG.normal(size=(4, 2)), 1.0]
    x = dict(zip(ends, given, strict=True)) if names else given
    base = dict(zip(ends, baselines, strict=True)) if names else baselines
    parts = integrated_gradients(model, x, base, output=(2, 0), steps=64)
    found = [parts[name] for name in ends] if names else parts
    assert [each.shape for each in found] == [each.shape for each in given]
    pairs = zip(baselines, given, strict=True)
    nothing = [np.broadcast_to(base, each.shape) for base, each in pairs]
    none = dict(zip(ends, nothing, strict=True)) if names else nothing
    gained = (model(x) - model(none))[:, 2, 0]
    np.testing.assert_allclose(sum(map(summed, found)), gained, atol=1e-5)
    assert not found[1][:, 3].any()  # what is known of a later step does not matter
    assert all(each.any() for each in found)
    expected = r"a dict of \['past'.* received 2 in a list" if names else "a list of 3, received 2"
    with pytest.raises(ValueError, match=expected):
        integrated_gradients(model, x, [0.0, 1.0], output=(2, 0))
    with pytest.raises(ValueError, match="`layer` can only be given for a model with one input"):
        integrated_gradients(model, x, output=(2, 0), layer="gru")
