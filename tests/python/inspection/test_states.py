"""States and gates over time are those that the cells' equations have."""

import numpy as np
import pytest

import ferrnn
from ferrnn import Input, Model, Sequential, layers
from ferrnn.inspection import layer_states

RNG = np.random.default_rng(11)
X = RNG.normal(size=(3, 7, 2)).astype("float32")
NEW = {
    layers.LSTM: lambda v, h, c: v["forget gate"] * c + v["input gate"] * v["candidate"],
    layers.PeepholeLSTM: lambda v, h, c: v["forget gate"] * c + v["input gate"] * v["candidate"],
    layers.CoupledLSTM: lambda v, h, c: v["forget gate"] * (c - v["candidate"]) + v["candidate"],
}


def random_weights(model):
    model.set_weights([RNG.normal(size=each.shape) for each in model.get_weights()])
    return model


def shifted(states):
    return np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)


@pytest.mark.parametrize("kind", NEW)
def test_cell_states_follow_from_the_gates(kind):
    layer = kind(4, return_sequences=True)
    model = random_weights(Sequential([Input((None, 2)), layer, layers.Dense(1)]))
    found = layer_states(model, X)
    np.testing.assert_allclose(found["h"], layer(X), rtol=1e-5, atol=1e-6)
    c = NEW[kind](found, None, shifted(found["c"]))
    np.testing.assert_allclose(found["c"], c, rtol=1e-5, atol=1e-6)
    h = found["output gate"] * np.tanh(found["c"])
    np.testing.assert_allclose(found["h"], h, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"reset_after": False}, {"use_bias": False}])
def test_states_of_a_gru_follow_from_the_gates(options):
    layer = layers.GRU(4, return_sequences=True, **options)
    model = random_weights(Sequential([Input((None, 2)), layer]))
    found = layer_states(model, X)
    z, g = found["update gate"], found["candidate"]
    h = z * shifted(found["h"]) + (1 - z) * g
    np.testing.assert_allclose(found["h"], layer(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h, found["h"], rtol=1e-5, atol=1e-6)
    kernel, recurrent = model.get_weights()[:2]
    before = X @ kernel[:, 4:8] + shifted(found["h"]) @ recurrent[:, 4:8]
    if not options:
        before = before + model.get_weights()[2][:, 4:8].sum(axis=0)
        np.testing.assert_allclose(found["reset gate"], 1 / (1 + np.exp(-before)), rtol=1e-4)


def test_states_of_a_minimal_gated_unit_follow_from_its_gate():
    layer = layers.MinimalGatedUnit(4, return_sequences=True)
    found = layer_states(random_weights(Sequential([Input((None, 2)), layer])), X)
    f = found["forget gate"]
    h = (1 - f) * shifted(found["h"]) + f * found["candidate"]
    np.testing.assert_allclose(h, found["h"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["h"], layer(X), rtol=1e-5, atol=1e-6)


def test_states_of_a_projected_lstm_follow_from_its_gates():
    layer = layers.ProjectedLSTM(4, 3, return_sequences=True, clip=0.7)
    model = random_weights(Sequential([Input((None, 2)), layer]))
    found = layer_states(model, X)
    c = found["forget gate"] * shifted(found["c"]) + found["input gate"] * found["candidate"]
    np.testing.assert_allclose(found["c"], c, rtol=1e-5, atol=1e-6)
    h = (found["output gate"] * np.tanh(c)) @ model.get_weights()[3]
    np.testing.assert_allclose(found["h"], h, rtol=1e-5, atol=1e-6)
    bounds = 1 / (1 + np.exp([0.7, -0.7]))
    assert found["forget gate"].min() >= bounds[0] - 1e-6
    assert found["forget gate"].max() <= bounds[1] + 1e-6


def test_masked_steps_carry_states_and_have_no_gates():
    model = Sequential([Input((None,)), layers.Embedding(9, 3, mask_zero=True), layers.LSTM(4)])
    words = np.array([[1, 2, 0, 3], [4, 0, 0, 0]])
    found = layer_states(model, words)
    np.testing.assert_allclose(found["h"][:, -1], model(words), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["h"][0, 2], found["h"][0, 1])
    assert np.isnan(found["forget gate"]).all(axis=2).tolist() == (words == 0).tolist()


def test_both_directions_stand_in_the_order_of_time():
    both = layers.Bidirectional(layers.GRU(4, return_sequences=True))
    inputs = Input((None, 2))
    middle = layers.SimpleRNN(3, return_sequences=True, name="first")(inputs)
    model = Model(inputs, layers.Dense(1)(both(middle)))
    found = layer_states(model, X)
    h = np.concatenate([found["forward h"], found["backward h"]], axis=2)
    given = Model(inputs, both.output)(X)
    np.testing.assert_allclose(h, given, rtol=1e-5, atol=1e-6)
    assert list(layer_states(model, X, "first")) == ["h"]
    for name in ("forward update gate", "backward update gate"):
        assert found[name].shape == (3, 7, 4)


def test_cells_of_users_have_numbered_states():
    stack = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True)
    found = layer_states(Sequential([Input((None, 2)), stack]), X)
    assert {name: each.shape[2] for name, each in found.items()} == {
        "state 0": 3,
        "state 1": 3,
        "state 2": 2,
    }
    np.testing.assert_allclose(found["state 2"], stack(X), rtol=1e-5, atol=1e-6)


def test_other_layers_are_refused():
    model = Sequential([Input((None, 2)), layers.GRU(4, name="memory"), layers.Dense(1)])
    with pytest.raises(ValueError, match=r"one of \['memory'\], received 'dense'"):
        layer_states(model, X, "dense")
    inputs, start = Input((None, 2)), Input((4,))
    led = ferrnn.Model([inputs, start], layers.GRU(4)(inputs, initial_state=start))
    with pytest.raises(ValueError, match="without initial states"):
        layer_states(led, [X, np.zeros((3, 4))])
