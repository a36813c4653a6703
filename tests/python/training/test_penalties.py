"""Regularizers join the loss and the gradients; constraints hold after every update."""

import copy

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import Call, Gradients
from ferrnn._src.weights.penalties import activity_penalties
from ferrnn.layers import GRU, LSTM, RNN, Dense, LSTMCell, SimpleRNN
from ferrnn.regularizers import L1L2, L2
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(3)
X = RNG.normal(size=(6, 4, 3)).astype("float32")
Y = RNG.normal(size=(6, 1)).astype("float32")
PARTS = ["kernel", "recurrent", "bias"]


def trained_once(layers):
    """The loss and the step of one plain update with the rate 1, and the model."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4, 3)), *layers])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    before = model.get_weights()
    loss = model.train_on_batch(X, Y)
    return loss, [b - a for b, a in zip(before, model.get_weights(), strict=True)], before, model


@each_case("kind", [LSTM, GRU, SimpleRNN])
@each_case("part", PARTS)
def test_a_penalty_joins_the_loss_and_the_gradient_of_its_weight(kind, part):
    plain, steps, weights, _ = trained_once([kind(5), Dense(1)])
    options = {f"{part}_regularizer": L1L2(0.1, 0.2)}
    if part == "bias":
        options["bias_initializer"] = "ones"
        plain, steps, weights, _ = trained_once([kind(5, bias_initializer="ones"), Dense(1)])
    loss, penalized, _, model = trained_once([kind(5, **options), Dense(1)])
    place = PARTS.index(part)
    weight = weights[place]
    penalty = 0.1 * np.abs(weight).sum() + 0.2 * np.square(weight).sum()
    assert loss == pytest.approx(plain + penalty, rel=1e-5)
    wanted = [*steps]
    wanted[place] = steps[place] + 0.1 * np.sign(weight) + 0.4 * weight
    for given, expected in zip(penalized, wanted, strict=True):
        np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)
    assert model.layers[0].losses == [pytest.approx(L1L2(0.1, 0.2)(model.weights[place].value))]


def test_penalties_count_in_evaluation_but_not_in_prediction():
    model = keras.Sequential([keras.Input((4, 3)), GRU(5, kernel_regularizer=L2(0.3)), Dense(1)])
    model.compile("sgd", "mse")
    data = np.square(model.predict(X, verbose=0) - Y).mean()
    expected = data + L2(0.3)(model.weights[0].value)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-5)
    model.reset_metrics()
    assert model.test_on_batch(X, Y) == pytest.approx(expected, rel=1e-5)
    history = model.fit(X, Y, validation_data=(X, Y), verbose=0, batch_size=6)
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert history.history["val_loss"][0] > L2(0.3)(model.weights[0].value)


def test_frozen_weights_have_no_penalty():
    model = keras.Sequential([keras.Input((4, 3)), GRU(5, kernel_regularizer="l2"), Dense(1)])
    assert len(model.losses) == 1
    model.layers[0].trainable = False
    assert model.losses == []
    model.compile("sgd", "mse")
    data = np.square(model.predict(X, verbose=0) - Y).mean()
    assert model.train_on_batch(X, Y) == pytest.approx(data, rel=1e-5)


def test_a_weight_of_your_own_layer_can_be_penalized_and_constrained():
    class Scale(keras.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(
                (input_shape[-1],), "ones", name="scale", regularizer="l2", constraint="non_neg"
            )

        def forward(self, inputs, call):
            def vjp(d_outputs, grads):
                grads.add(self.scale, (d_outputs * inputs).sum(axis=(0, 1)))
                return d_outputs * self.scale.value

            return inputs * self.scale.value, vjp

    model = keras.Sequential([keras.Input((4, 3)), Scale(), GRU(2), Dense(1)])
    model.compile(keras.optimizers.SGD(100.0), "mse")
    assert model.losses == [pytest.approx(0.03)]
    model.train_on_batch(X, Y)
    (scale,) = model.layers[0].get_weights()
    assert scale.min() == 0
    again = copy.deepcopy(model.layers[0].scale)
    assert again.regularizer.get_config() == {"l2": 0.01}
    assert type(again.constraint).__name__ == "NonNeg"


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_constraints_hold_after_every_update(optimizer):
    options = {"kernel_constraint": "unit_norm", "bias_constraint": "non_neg"}
    layers = [LSTM(5, recurrent_constraint=keras.constraints.MaxNorm(0.5), **options)]
    model = keras.Sequential([keras.Input((4, 3)), *layers, Dense(1, **options)])
    model.compile(optimizer, "mse")
    for _ in range(3):
        model.train_on_batch(X, Y)
        for weight in model.weights:
            norms = np.sqrt(np.square(weight.value).sum(axis=0))
            if weight.name == "kernel":
                np.testing.assert_allclose(norms, 1, rtol=1e-4)
            elif weight.name == "recurrent_kernel":
                assert norms.max() <= 0.5 + 1e-5
            else:
                assert weight.value.min() >= 0


# Penalties on outputs.


@pytest.mark.parametrize("sequences", [False, True])
def test_an_activity_penalty_is_divided_by_the_batch(sequences):
    layer = LSTM(5, return_sequences=sequences, activity_regularizer=L2(0.3))
    assert layer.losses == []
    outputs = layer(X)
    assert layer.losses == [pytest.approx(0.3 * np.square(outputs).sum() / 6, rel=1e-5)]
    layer = RNN(LSTMCell(5), return_state=True, activity_regularizer=L2(0.3))
    returned = layer(X)
    expected = [float(0.3 * np.square(part).sum() / 6) for part in returned]
    assert layer.losses == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [LSTM, Dense])
def test_gradients_of_an_activity_penalty_match_finite_differences(kind):
    layer = kind(5, dtype="float64", activity_regularizer=L1L2(0.1, 0.4))
    x = RNG.normal(size=(3, 4, 2)).astype("float64")
    layer.build(x.shape)

    def forward(x):
        losses = []
        call = Call(differentiable=True, losses=losses)
        outputs, vjp = layer.forward_with_losses(x, call)

        def joined(d_all, grads):
            return vjp(d_all[0] / d_all[1], grads) * d_all[1]

        return (outputs, np.float64(sum(losses))), joined

    # The penalty's gradient enters with the weight 1: bring the random one down to that.
    def unit(x):
        (outputs, penalty), vjp = forward(x)
        shape = outputs.shape

        def summed(d_total, grads):
            inner = Gradients()
            d_x = vjp((np.ones(shape), 1.0), inner)
            for parameter, gradient in inner.items():
                grads.add(parameter, float(d_total) * gradient)
            return float(d_total) * d_x

        return np.float64(outputs.sum() + penalty), summed

    check_vjp(unit, x, layer.weights)


def test_a_vjp_without_losses_is_that_of_the_outputs_alone():
    layer = GRU(5, activity_regularizer=L2(10.0))
    plain = GRU(5)
    for each in (layer, plain):
        each.build(X.shape)
    plain.set_weights(layer.get_weights())
    results = []
    for each in (layer, plain):
        outputs, vjp = each.forward_with_losses(X, Call(differentiable=True))
        results.append(vjp(np.ones_like(outputs), Gradients()))
    np.testing.assert_array_equal(*results)


def test_activity_penalties_reach_the_layers_below_and_the_training_loss():
    layers = [GRU(5, return_sequences=True), LSTM(4, activity_regularizer=L2(0.5)), Dense(1)]
    model = keras.Sequential([keras.Input((4, 3)), *layers])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    data = np.square(model.predict(X, verbose=0) - Y).mean()
    penalty = 0.5 * np.square(layers[1](layers[0](X))).sum() / 6
    assert model.train_on_batch(X, Y) == pytest.approx(data + penalty, rel=1e-5)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(data + penalty, rel=1e-5)
    for layer in layers[:2]:
        layer.trainable = False
    model.compile(keras.optimizers.SGD(0.0), "mse")
    assert model.train_on_batch(X, Y) == pytest.approx(data + penalty, rel=1e-5)


def test_outputs_without_a_gradient_get_that_of_their_penalty():
    outputs = (np.ones((2, 3)), [np.full((2, 1), 2.0)])
    penalties, vjp = activity_penalties(L2(0.5), outputs, lambda d, grads: d)
    assert penalties == [1.5, 2.0]
    assert vjp((None, None), Gradients())[0].tolist() == [[0.5] * 3] * 2
    d_outputs, (d_states,) = vjp((np.ones((2, 3)), [None]), Gradients())
    assert d_outputs.tolist() == [[1.5] * 3] * 2
    assert d_states.tolist() == [[1.0]] * 2


@pytest.mark.parametrize("kind", [LSTM, GRU, SimpleRNN, Dense])
def test_configurations_keep_penalties_and_constraints(kind):
    options = {
        "kernel_regularizer": "l1",
        "bias_regularizer": L1L2(0.1, 0.2),
        "activity_regularizer": "l2",
        "kernel_constraint": "max_norm",
        "bias_constraint": "non_neg",
    }
    layer = kind(4, **options)
    again = kind.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.activity_regularizer.get_config() == {"l2": 0.01}
    assert again.bias_regularizer.get_config() == {"l1": 0.1, "l2": 0.2}
    assert again.kernel_constraint.get_config() == {"max_value": 2, "axis": 0}
