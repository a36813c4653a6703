"""Cells that break the contract are refused by name, when the model is made."""

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import layers, ops
from ferrnn.testing import check_vjp

X = np.random.default_rng(5).normal(size=(4, 6, 3)).astype("float32")


class Given(layers.Layer):
    """A cell whose step gives what `make(h)` makes of its output."""

    def __init__(self, make, state_size=3, output_size=None):
        super().__init__(name="given")
        self.make, self.state_size, self.output_size = make, state_size, output_size

    def call(self, inputs, states):
        return self.make(inputs + states[0])


class Memory(layers.Layer):
    """A state `[batch, 3]`, and one `[batch, 2, 3]` inside a nested `state_size`."""

    def __init__(self, **options):
        super().__init__(**options)
        self.state_size, self.output_size = [3, (2, 3)], 3

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], 3), "glorot_uniform", name="kernel")

    def call(self, inputs, states):
        h, memory = states
        h = ops.tanh(ops.matmul(inputs, self.kernel) + 0.5 * h)
        memory = 0.9 * memory + ops.expand_dims(h, 1)
        return h + ops.sum(memory * memory, axis=1), [h, memory]


class Told(Memory):
    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, 3)), ops.zeros((batch_size, 2, 3))]


def symbolic(cell):
    layers.RNN(cell)(keras.Input((6, 3)))


def eager(cell):
    layers.RNN(cell)(X)


each_way = each_case("use", [symbolic, eager])


@each_way
@each_case(
    ("make", "received"),
    [
        (lambda h: ([h, h], [h]), "a list of 2"),
        (lambda h: ((h,), [h]), "a tuple of 1"),
        (lambda h: ({"a": h, "b": h}, [h]), "a dict of 2"),
        (lambda h: (0.0, [h]), r"an array of the shape \(\)"),
    ],
)
def test_an_output_that_is_not_one_array(use, make, received):
    with pytest.raises(ValueError, match=f"output of the cell 'given' must be one.*{received}"):
        use(Given(make))
    with pytest.raises(ValueError, match=f"output of the cell 'given' must be one.*{received}"):
        use([layers.GRUCell(3), Given(make)])


@each_way
@each_case("size", [[2, 3], (3, 3), {"a": 3, "b": 3}, "3", 3.0])
def test_an_output_size_that_is_not_one_length(use, size):
    with pytest.raises(ValueError, match="`output_size` of the cell 'given' must be one integer"):
        use(Given(lambda h: (h, [h]), output_size=size))


@each_way
@each_case("size", ["3", 3.0, None, [3, "a"]])
def test_a_state_size_that_is_no_length(use, size):
    with pytest.raises(ValueError, match="`state_size` of the cell 'given' must be an integer"):
        use(Given(lambda h: (h, [h]), state_size=size))


@each_way
@each_case(
    ("make", "size", "shapes"),
    [
        (lambda h: (h, [h, h]), 3, r"\(., 3\)\], received \[\(., 3\), \(., 3\)\]"),
        (lambda h: (h, [h]), [3, 4], r"\(., 3\), \(., 4\)\], received \[\(., 3\)\]"),
        (lambda h: (h, [h[:, :2]]), 3, r"\(., 3\)\], received \[\(., 2\)\]"),
    ],
)
def test_new_states_of_another_number_or_shape(use, make, size, shapes):
    with pytest.raises(ValueError, match=rf"new states of the cell 'given' must.*\[{shapes}"):
        use(Given(make, state_size=size))


@each_way
def test_a_step_that_gives_no_pair(use):
    with pytest.raises(
        ValueError, match=r"cell 'given' must return a pair.*received an array of the"
    ):
        use(Given(lambda h: h))


def test_an_output_of_another_length_than_it_is_said_to_have():
    with pytest.raises(ValueError, match=r"unless `output_size` says otherwise: expected 3, rece"):
        symbolic(Given(lambda h: (ops.concatenate([h, h], axis=-1), [h])))
    symbolic(Given(lambda h: (ops.concatenate([h, h], axis=-1), [h]), output_size=6))


@each_way
def test_a_state_of_more_axes_that_nothing_but_a_nested_size_tells(use):
    with pytest.raises(ValueError, match=r"first step of the cell 'memory' failed.*`get_initial"):
        use(Memory(name="memory"))


def test_a_state_of_more_axes_that_get_initial_state_tells():
    inputs = keras.Input((6, 3))
    read, _, memory = layers.RNN(Told(), return_sequences=True, return_state=True)(inputs)
    assert memory.shape == (None, 2, 3)
    model = keras.Model(inputs, layers.RNN([Told(), layers.GRUCell(2)])(read))
    model.compile("adam", "mse")
    model.fit(X, np.ones((4, 2)), verbose=0)
    assert model.predict(X, verbose=0).shape == (4, 2)
    layer = layers.RNN(Told(dtype="float64"), return_state=True)
    layer.build(X.shape)
    mask = np.arange(6) < [[6], [2], [0], [4]]
    call = keras.Call(differentiable=True, mask=mask)
    check_vjp(lambda x: layer.forward(x, call), X.astype("float64"), layer.weights)
