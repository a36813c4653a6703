"""`clip`: the sums that go into a cell's activations are bounded."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn.layers import (
    GRU,
    LSTM,
    CoupledLSTM,
    IndRNN,
    Input,
    MinimalGatedUnit,
    PeepholeLSTM,
    ProjectedLSTM,
    SimpleRNN,
)

LAYERS = {
    "lstm": lambda **options: LSTM(7, **options),
    "gru": lambda **options: GRU(7, **options),
    "gru before": lambda **options: GRU(7, reset_after=False, **options),
    "simple": lambda **options: SimpleRNN(7, **options),
    "coupled": lambda **options: CoupledLSTM(7, **options),
    "minimal": lambda **options: MinimalGatedUnit(7, **options),
    "peephole": lambda **options: PeepholeLSTM(7, **options),
    "projected": lambda **options: ProjectedLSTM(7, 3, **options),
    "ind": lambda **options: IndRNN(7, **options),
}


def inputs():
    return np.random.default_rng(1).normal(size=(4, 6, 5)).astype("float32")


def made(kind, **options):
    layer = LAYERS[kind](return_sequences=True, seed=2, **options)
    layer.build((None, None, 5))
    draw = np.random.default_rng(3)
    layer.set_weights([0.6 * draw.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


@pytest.mark.parametrize("kind", LAYERS)
def test_a_clip_is_kept_in_configurations_files_and_streams(kind, tmp_path):
    pytest.importorskip("h5py")
    layer, whole = made(kind, clip=0.5), made(kind)
    outputs = layer(inputs())
    assert np.abs(outputs - whole(inputs())).max() > 0.01
    assert "clip" not in whole.get_config()
    model = ferrnn.Sequential([Input((None, 5)), layer])
    model.save(tmp_path / "model.keras")
    again = ferrnn.models.load_model(tmp_path / "model.keras")
    assert again.layers[-1].clip == again.layers[-1].cell.clip == 0.5
    np.testing.assert_array_equal(again.predict(inputs(), verbose=0), outputs)
    stream = model.stream(streams=4)
    steps = [stream(inputs()[:, step]) for step in range(6)]
    np.testing.assert_array_equal(np.stack(steps, axis=1), outputs)


def test_an_lstm_clips_its_gates_and_its_candidate_but_not_its_state():
    layer = made("lstm", clip=0.5)
    kernel, recurrent, bias = layer.get_weights()
    h, c = np.zeros((2, 4, 7))
    for x, output in zip(inputs().swapaxes(0, 1), layer(inputs()).swapaxes(0, 1), strict=True):
        z = np.clip(x @ kernel + h @ recurrent + bias, -0.5, 0.5)
        i, f, g, o = np.split(z, 4, axis=1)
        gate = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
        c = gate(f) * c + gate(i) * np.tanh(g)
        h = gate(o) * np.tanh(c)
        np.testing.assert_allclose(output, h, atol=1e-6)
    assert np.abs(c).max() > 0.5


def test_a_clip_that_is_set_later_counts():
    layer = made("gru")
    before = layer(inputs())
    layer.cell.clip = 0.5
    np.testing.assert_array_equal(layer(inputs()), made("gru", clip=0.5)(inputs()))
    layer.cell.clip = None
    np.testing.assert_array_equal(layer(inputs()), before)


def test_the_bound_of_a_gate_at_another_scale_moves_with_it():
    options = {"clip": 0.5, "recurrent_activation": "hard_sigmoid_keras2"}
    layer = made("lstm", dtype="float64", **options)
    cell, states = layer.cell, list(layer.cell.get_initial_state(4))
    for x, output in zip(inputs().swapaxes(0, 1), layer(inputs()).swapaxes(0, 1), strict=True):
        expected, states = cell(x, states)  # step by step
        np.testing.assert_allclose(output, expected, atol=1e-12)


@each_case("bound", [0, -1.0, float("nan"), float("inf"), "1", True])
def test_a_bound_is_a_positive_number(bound):
    with pytest.raises(ValueError, match=r"`clip` of 'lstm_cell\w*' must be a positive number"):
        LSTM(3, clip=bound)
