"""Convolutional LSTMs train as programs of the engine and give what their steps in Python give."""

import numpy as np
import pytest

from ferrnn import Call, layers, ops
from ferrnn._src.programs import known
from ferrnn._src.sequence import programmed
from program_comparison import TOLERANCES, agree

CASES = [
    (layers.ConvLSTM1D, (8, 2), {"kernel_size": 3, "padding": "same"}),
    (layers.ConvLSTM1D, (9, 3), {"kernel_size": 3, "strides": 2, "activation": "relu"}),
    (layers.ConvLSTM1D, (9, 1), {"kernel_size": 3, "dilation_rate": 2, "use_bias": False}),
    (layers.ConvLSTM2D, (6, 7, 2), {"kernel_size": (3, 2), "padding": "same"}),
    (layers.ConvLSTM2D, (7, 8, 2), {"kernel_size": (2, 3), "dilation_rate": (2, 2)}),
    (layers.ConvLSTM2D, (7, 5, 1), {"kernel_size": 2, "strides": (2, 1)}),
]


def built(kind, frame, dtype="float64", filters=3, **settings):
    layer = kind(filters, dtype=dtype, **settings)
    layer.build((None, None, *frame))
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape) * 0.4)
    return layer.cell


def drawn(cell, frame, batch, time):
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(batch, time, *frame)).astype(cell.dtype)
    states = cell.get_initial_state(batch)
    return inputs, tuple(rng.normal(size=s.shape).astype(cell.dtype) for s in states)


def is_program(cell):
    return not any(isinstance(found, str) for found in known._programs[cell].values())


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("kind", "frame", "settings"), CASES)
def test_a_program_gives_what_steps_give(kind, frame, settings, dtype):
    cell = built(kind, frame, dtype, **settings)
    for batch, time in ((1, 1), (3, 5), (35, 2)):
        agree(cell, *drawn(cell, frame, batch, time))
    assert is_program(cell)


@pytest.mark.parametrize("zero", [False, True])
def test_masks_and_directions_are_those_of_steps(zero):
    kind, frame, settings = CASES[0]
    cell = built(kind, frame, **settings)
    inputs, states = drawn(cell, frame, 4, 5)
    mask = np.random.default_rng(3).random((4, 5)) < 0.6
    mask[0] = False
    options = {"mask": mask, "go_backwards": True, "zero_output_for_mask": zero}
    agree(cell, inputs, states, **options)
    agree(cell, inputs, states, return_sequences=False, **options)
    assert is_program(cell)


def test_what_a_program_would_keep_too_much_of_is_trained_step_by_step(monkeypatch):
    kind, frame, settings = CASES[0]
    cell = built(kind, frame, **settings)
    arguments = drawn(cell, frame, 3, 4)
    call = Call(differentiable=True)
    outputs, _, vjp = programmed.scan(cell, *arguments, call)
    monkeypatch.setattr(programmed, "_MOST_KEPT", 1000)
    by_steps, _, way_by_steps = programmed.scan(cell, *arguments, call)
    np.testing.assert_allclose(outputs, by_steps, rtol=1e-12, atol=1e-12)
    assert vjp.__module__ != way_by_steps.__module__


@pytest.mark.parametrize("filters", [3, 4, 6])
def test_the_outputs_of_training_have_the_bits_of_predictions(filters):
    for kind, frame, settings in CASES:
        cell = built(kind, frame, "float32", filters, **settings)
        arguments = drawn(cell, frame, 2, 3)
        trained, _, _ = programmed.scan(cell, *arguments, Call(differentiable=True))
        predicted, _, _ = programmed.scan(cell, *arguments, Call())
        assert np.array_equal(trained, predicted), (kind.__name__, settings)
        assert is_program(cell)


def test_a_layer_of_a_cell_refuses_other_features():
    class Cell(layers.Layer):
        state_size = 6

        def build(self, shape):
            self.conv = layers.Conv1D(1, 3, padding="same")
            self.conv.build((None, 6, 2))

        def call(self, inputs, states):
            h = self.conv(ops.expand_dims(inputs, -1))[:, :, 0]
            return h, [h]

    with pytest.raises(ValueError, match="expected 2 features"):
        layers.RNN(Cell())(np.ones((2, 3, 6), "float32"))
