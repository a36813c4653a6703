"""Gradients of whole layers, and cells that users write."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn import Call, Gradients
from ferrnn._src.cells.protocol import initial_state
from ferrnn.layers import GRU, LSTM, RNN, GRUCell, Layer, LSTMCell, SimpleRNN
from ferrnn.testing import check_vjp

LAYERS = [LSTM, GRU, SimpleRNN]
each_layer = each_case("kind", LAYERS)
SAMPLE = np.arange(36.0).reshape(2, 3, 6) % 5


class IndRNNCell(Layer):
    """IndRNN (Li et al., 2018) with a softplus, written by a user."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
        self.recurrent_kernel = self.add_weight((self.units,), "ones", name="recurrent_kernel")

    def step(self, inputs, states, call):
        (h,) = states
        z = inputs @ self.kernel.value + h * self.recurrent_kernel.value
        output = np.logaddexp(0, z)

        def vjp(d_output, d_states, grads):
            d_z = (d_output + d_states[0]) / (1 + np.exp(-z))
            grads.add(self.kernel, inputs.T @ d_z)
            grads.add(self.recurrent_kernel, (d_z * h).sum(axis=0))
            return d_z @ self.kernel.value.T, (d_z * self.recurrent_kernel.value,)

        return (output, (output,)), vjp


class KerasCell:
    """A cell as Keras' documentation has it: `call` alone, on NumPy."""

    def __init__(self, units):
        self.state_size = units
        self.seen = []

    def call(self, inputs, states, training=False):
        self.seen.append(training)
        output = np.tanh(inputs.sum(axis=-1, keepdims=True) + states[0])
        return output, output


# Gradients of the whole layer.


@each_case("sequences", [False, True])
@each_case("states", [False, True])
@each_case("given", [False, True])
@each_case("name", [*(kind.__name__ for kind in LAYERS), "stack", "custom"])
def test_gradients_match_finite_differences(name, sequences, states, given):
    options = {"return_sequences": sequences, "return_state": states, "dtype": "float64"}
    if name == "stack":
        cells = [LSTMCell(3, dtype="float64"), GRUCell(2, dtype="float64")]
        layer = RNN(cells, **options)
    elif name == "custom":
        layer = RNN(IndRNNCell(3, dtype="float64"), **options)
    else:
        layer = {kind.__name__: kind for kind in LAYERS}[name](3, **options)
    layer.build((None, None, 4))
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    inputs = rng.normal(size=(2, 5, 4))
    if given:
        flat = initial_state(layer.cell, 2, "float64")
        inputs = (inputs, *(rng.normal(size=state.shape) for state in flat))
    call = Call(differentiable=True)
    check_vjp(lambda arrays: layer.forward(arrays, call), inputs, layer.weights)


@each_layer
def test_gradients_handed_back_may_be_missing_or_of_another_dtype(kind):
    layer = kind(3, return_state=True)
    (_, *final), vjp = layer.forward(SAMPLE.astype("float32"), Call(differentiable=True))
    ones = np.ones((2, 3))
    one = vjp((ones, *(None for _ in final)), Gradients())
    two = vjp((ones.astype("float32"), *(0 * state for state in final)), Gradients())
    assert one.dtype == np.float32
    np.testing.assert_array_equal(one, two)
    stack = RNN([GRUCell(2), kind(3).cell], return_state=True)
    _, vjp = stack.forward(SAMPLE.astype("float32"), Call(differentiable=True))
    assert vjp((None, None, [np.ones((2, 3))] * len(final)), Gradients()).any()


# Cells of users.


def test_a_users_cell_with_a_step_runs_in_a_stack_with_masks():
    cell = IndRNNCell(3, dtype="float64")
    layer = RNN([cell, GRUCell(2, dtype="float64")], return_sequences=True)
    outputs = layer(SAMPLE, mask=np.array([[True, True, False]] * 2))
    assert outputs.shape == (2, 3, 2)
    assert [weight.name for weight in layer.weights][:2] == ["kernel", "recurrent_kernel"]
    call = Call(differentiable=True)
    inputs = np.random.default_rng(1).normal(size=(2, 4, 6))
    check_vjp(lambda array: layer.forward(array, call), inputs, layer.weights)


def test_a_cell_written_for_keras_runs_and_has_a_gradient():
    cell = KerasCell(4)
    layer = RNN(cell, return_state=True)
    output, state = layer(np.ones((2, 3, 5)), training=True)
    assert output.shape == state.shape == (2, 4)
    assert cell.seen == [True] * 3


def test_a_cells_own_initial_state_is_respected():
    class Warm(IndRNNCell):
        def get_initial_state(self, batch_size=None):
            return [np.full((batch_size, self.units), 2.0)]

    layer = RNN(Warm(3), return_state=True)
    assert layer(np.ones((2, 0, 5)))[1].tolist() == np.full((2, 3), 2).tolist()


def test_cells_take_inputs_of_any_rank():
    class Total:
        state_size = 1

        def call(self, inputs, states):
            total = inputs.sum(axis=(1, 2))[:, None] + states[0]
            return total, [total]

    assert RNN(Total())(np.ones((2, 3, 4, 5))).tolist() == [[60], [60]]


def test_what_is_no_cell_is_refused():
    with pytest.raises(ValueError, match="Argument `cell` should have a `call` method"):
        RNN(3)

    class Stateless:
        def call(self, inputs, states):
            return inputs, states

    with pytest.raises(ValueError, match="should have a `state_size` attribute"):
        RNN(Stateless())
