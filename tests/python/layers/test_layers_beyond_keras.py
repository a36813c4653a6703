"""Recurrent layers that Keras does not have, by what they share with those that it has."""

import numpy as np
import pytest

import ferrnn
from ferrnn.layers import (
    GRU,
    LSTM,
    RNN,
    CoupledLSTM,
    CoupledLSTMCell,
    Dense,
    IndRNN,
    IndRNNCell,
    Input,
    MinimalGatedCell,
    MinimalGatedUnit,
    PeepholeLSTM,
    PeepholeLSTMCell,
    ProjectedLSTM,
    ProjectedLSTMCell,
    SimpleRNN,
)


def projected(units, **options):
    return ProjectedLSTM(units, 4, **options)


LAYERS = [CoupledLSTM, PeepholeLSTM, MinimalGatedUnit, IndRNN, projected]
CELLS = {
    CoupledLSTM: CoupledLSTMCell,
    PeepholeLSTM: PeepholeLSTMCell,
    MinimalGatedUnit: MinimalGatedCell,
    IndRNN: IndRNNCell,
    projected: lambda units: ProjectedLSTMCell(units, 4),
}
UNITS, FEATURES = 11, 5


def inputs(dtype="float64"):
    return np.random.default_rng(1).normal(size=(7, 9, FEATURES)).astype(dtype)


def mask():
    return np.random.default_rng(2).random((7, 9)) < 0.7


def blocks(array):
    """The gates' columns."""
    return [array[..., at : at + UNITS] for at in range(0, array.shape[-1], UNITS)]


def with_random_weights(layer):
    layer.build((None, None, FEATURES))
    draw = np.random.default_rng(3)
    layer.set_weights([0.4 * draw.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


def in_keras_layer(layer, other, arrange):
    """The other layer with this one's weights, their gates arranged anew."""
    other.build((None, None, FEATURES))
    arranged = [arrange(*blocks(weight)) for weight in layer.get_weights()[:3]]
    other.set_weights([np.concatenate(parts, axis=-1) for parts in arranged])
    return other


def test_an_input_gate_of_the_opposite_forget_gate_makes_an_lstm_coupled():
    layer = with_random_weights(CoupledLSTM(UNITS, return_sequences=True, dtype="float64"))
    lstm = LSTM(UNITS, return_sequences=True, dtype="float64")
    lstm = in_keras_layer(layer, lstm, lambda f, g, o: (-f, f, g, o))
    expected = lstm(inputs(), mask=mask())
    np.testing.assert_allclose(layer(inputs(), mask=mask()), expected, atol=1e-13)


def test_a_gru_of_opposite_gates_is_a_minimal_gated_unit():
    layer = with_random_weights(MinimalGatedUnit(UNITS, return_sequences=True, dtype="float64"))
    gru = GRU(UNITS, return_sequences=True, reset_after=False, dtype="float64")
    gru = in_keras_layer(layer, gru, lambda f, g: (-f, f, g))
    expected = gru(inputs(), mask=mask())
    np.testing.assert_allclose(layer(inputs(), mask=mask()), expected, atol=1e-13)


def test_without_peepholes_the_lstm_is_keras():
    layer = with_random_weights(PeepholeLSTM(UNITS, return_sequences=True))
    lstm = in_keras_layer(layer, LSTM(UNITS, return_sequences=True), lambda *gates: gates)
    same = inputs("float32")
    assert np.abs(layer(same) - lstm(same)).max() > 0.05
    layer.cell.peephole.assign(np.zeros((3, UNITS)))
    np.testing.assert_array_equal(layer(same), lstm(same))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_simple_rnn_of_a_diagonal_kernel_is_an_ind_rnn(activation):
    layer = IndRNN(UNITS, activation, return_sequences=True, dtype="float64")
    kernel, own, bias = with_random_weights(layer).get_weights()
    rnn = SimpleRNN(UNITS, activation, return_sequences=True, dtype="float64")
    rnn.build((None, None, FEATURES))
    rnn.set_weights([kernel, np.diag(own), bias])
    expected = rnn(inputs(), mask=mask())
    np.testing.assert_allclose(layer(inputs(), mask=mask()), expected, atol=1e-13)


def test_recurrent_weights_of_an_ind_rnn_are_uniform_between_minus_one_and_one():
    layer = IndRNN(1000, seed=1)
    layer.build((None, None, 2))
    own = layer.get_weights()[1]
    assert own.shape == (1000,)
    assert -1 <= own.min() < -0.98
    assert 0.98 < own.max() <= 1
    assert abs(own.mean()) < 0.06


def test_a_projected_lstm_is_an_lstm_whose_recurrent_weights_are_a_product():
    layer = ProjectedLSTM(UNITS, 4, return_sequences=True, dtype="float64")
    kernel, recurrent, bias, projection = with_random_weights(layer).get_weights()
    lstm = LSTM(UNITS, return_sequences=True, dtype="float64")
    lstm.build((None, None, FEATURES))
    lstm.set_weights([kernel, projection @ recurrent, bias])
    expected = lstm(inputs(), mask=mask()) @ projection
    np.testing.assert_allclose(layer(inputs(), mask=mask()), expected, atol=1e-13)


def test_a_projection_by_ones_on_the_diagonal_is_none():
    layer = with_random_weights(ProjectedLSTM(UNITS, UNITS, return_sequences=True))
    *weights, _ = layer.get_weights()
    layer.set_weights([*weights, np.eye(UNITS)])
    lstm = LSTM(UNITS, return_sequences=True)
    lstm.build((None, None, FEATURES))
    lstm.set_weights(weights)
    same = inputs("float32")
    np.testing.assert_allclose(layer(same, mask=mask()), lstm(same, mask=mask()), atol=1e-6)


@pytest.mark.parametrize("size", [0, UNITS + 1, 2.5])
def test_a_projection_has_at_least_one_unit_and_at_most_all(size):
    with pytest.raises(ValueError, match="`projection_units`"):
        ProjectedLSTM(UNITS, size)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_layer_is_an_rnn_of_its_cell(kind):
    layer = with_random_weights(kind(UNITS, go_backwards=True))
    rnn = RNN(CELLS[kind](UNITS), go_backwards=True)
    rnn.build((None, None, FEATURES))
    rnn.set_weights(layer.get_weights())
    same = inputs("float32")
    np.testing.assert_array_equal(layer(same, mask=mask()), rnn(same, mask=mask()))


@pytest.mark.parametrize("kind", LAYERS)
def test_a_model_of_it_learns_is_saved_and_streams(kind, tmp_path):
    pytest.importorskip("h5py")  # it is saved
    layers = [Input((9, FEATURES)), kind(UNITS), Dense(1)]
    model = ferrnn.Sequential(layers)
    model.compile(ferrnn.optimizers.Adam(0.02), "mse")
    x = inputs("float32")
    history = model.fit(x, x.mean(axis=(1, 2))[:, None], epochs=40, verbose=0)
    assert history.history["loss"][-1] < 0.8 * history.history["loss"][0]
    model.save(tmp_path / "model.keras")
    again = ferrnn.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    stream = model.stream(streams=len(x))
    steps = [stream(x[:, step]) for step in range(9)]
    np.testing.assert_array_equal(steps[-1], model.predict(x, verbose=0))
