"""What a model or a layer written with `call` may be called with: one rule for both."""

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import Call, layers, ops
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(3)
IDS = RNG.integers(1, 9, size=(4, 5))
STATE = RNG.normal(size=(4, 3)).astype("float32")
both = each_case("base", [keras.Model, layers.Layer])


def writer(base):
    """A class that reads characters and gives the next ones, with the state if wanted."""

    class Writer(base):
        def __init__(self, **options):
            super().__init__(**options)
            self.table = layers.Embedding(9, 2)
            self.read = layers.GRU(3, return_sequences=True, return_state=True)
            self.out = layers.Dense(9)

        def call(self, inputs, states=None, return_state=False, training=False):
            vectors = self.table(inputs)
            read, last = self.read(vectors, initial_state=states, training=training)
            scores = self.out(read)
            return (scores, last) if return_state else scores

    return Writer


def by_hand(made, ids, state=None):
    read, last = made.read(made.table(ids), initial_state=state)
    return np.asarray(made.out(np.asarray(read))), np.asarray(last)


@both
def test_states_go_in_and_come_out(base):
    made = writer(base)()
    scores, last = made(IDS, states=STATE, return_state=True)
    expected = by_hand(made, IDS, STATE)
    np.testing.assert_array_equal(scores, expected[0])
    np.testing.assert_array_equal(last, expected[1])
    again, _ = made(inputs=IDS, states=last, return_state=True)
    np.testing.assert_array_equal(again, by_hand(made, IDS, last)[0])
    by_place = made(IDS, STATE, True)
    np.testing.assert_array_equal(by_place[0], scores)
    np.testing.assert_array_equal(made(IDS), by_hand(made, IDS)[0])
    assert len(made.weights) == 6
    assert all(weight.path.startswith(f"{made.name}/") for weight in made.weights)


@both
def test_in_graphs_too(base):
    ids, state = keras.Input((5,), dtype="int32"), keras.Input((3,))
    made = writer(base)()
    scores, last = made(ids, states=state, return_state=True)
    assert (scores.shape, last.shape) == ((None, 5, 9), (None, 3))
    model = keras.Model([ids, state], [scores, last])
    found = model.predict([IDS, STATE], verbose=0)
    for one, two in zip(found, by_hand(made, IDS, STATE), strict=True):
        np.testing.assert_array_equal(one, two)
    trained = keras.Model([ids, state], scores)
    trained.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = made.get_weights()
    trained.fit([IDS, STATE], IDS, verbose=0)
    pairs = zip(before, made.get_weights(), strict=True)
    assert all((old != new).any() for old, new in pairs)
    again = keras.Model.from_config(trained.get_config(), {"Writer": type(made)})
    again.set_weights(trained.get_weights())
    np.testing.assert_array_equal(again([IDS, STATE]), trained([IDS, STATE]))


@both
def test_inside_of_other_code_that_is_traced(base):
    class Twice(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = writer(base)()

        def call(self, inputs):
            first, state = self.inner(inputs, return_state=True)
            second, _ = self.inner(inputs, states=state, return_state=True)
            return first + second

    model = Twice()
    model(IDS)
    state = by_hand(model.inner, IDS)[1]
    expected = by_hand(model.inner, IDS)[0] + by_hand(model.inner, IDS, state)[0]
    np.testing.assert_allclose(model.predict(IDS, verbose=0), expected, rtol=1e-6)
    model.compile("sgd", "mse")
    model.fit(IDS, np.ones((4, 5, 9)), verbose=0)


@both
def test_gradients_by_every_array_match_finite_differences(base):
    class Mixed(base):
        def __init__(self, **options):
            super().__init__(**options)
            self.one, self.two = layers.Dense(2, dtype="float64"), layers.Dense(2, dtype="float64")

        def call(self, query, values, *, power=1):
            return ops.tanh(self.one(query)) * self.two(values) ** power

    made = Mixed(dtype="float64") if base is layers.Layer else Mixed()
    made.dtype, made._float = "float64", np.dtype("float64")
    query, values = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 5))
    made(query, values=values, power=2)
    call = Call(differentiable=True)

    def forward(arrays):
        inputs = made.gather(arrays[0], values=arrays[1], power=2)
        outputs, vjp = made.forward(inputs, call)

        def named(d_outputs, grads):
            args, kwargs = vjp(d_outputs, grads)
            return (args[0], kwargs["values"])

        return outputs, named

    check_vjp(forward, (query, values), made.weights)


@both
def test_training_may_come_by_place(base):
    class Scaled(base):
        def call(self, inputs, training=False, scale=1.0):
            return inputs * scale * (2 if training else 1)

    x = np.ones((2, 3), "float32")
    made = Scaled()
    assert made(x, True).max() == 2
    assert made(x, True, 3.0).max() == 6
    assert made(x, False, scale=3.0).max() == 3
    with pytest.raises(TypeError, match="multiple values for argument 'training'"):
        made(x, True, training=True)
    with pytest.raises(TypeError, match=r"call\(\) "):
        made(x, True, 1.0, 2.0)


def test_the_only_argument_may_be_named():
    x = np.ones((2, 3), "float32")
    inputs = keras.Input((3,))
    dense = layers.Dense(2)
    model = keras.Model(inputs, dense(inputs=inputs))
    np.testing.assert_array_equal(model(inputs=x), dense(inputs=x))
    with pytest.raises(TypeError, match=r"takes one argument besides `training` and `mask`"):
        model(x, states=1)


@both
def test_finding_out_shapes_leaves_no_stored_states(base):
    class Stateful(base):
        def __init__(self, **options):
            super().__init__(**options)
            self.read = layers.LSTM(2, stateful=True, bias_initializer="ones")

        def call(self, inputs, scale=1.0):
            return self.read(inputs) * scale

    x = RNG.normal(size=(4, 5, 3)).astype("float32")
    for options in ({}, {"scale": 2.0}):
        made = Stateful()
        first = made(x, **options)
        made.read.reset_state()
        np.testing.assert_array_equal(first, made(x, **options))
    made = Stateful()
    inputs = keras.Input(batch_shape=(4, 5, 3))
    model = keras.Model(inputs, made(inputs))
    first = model(x)
    made.read.reset_state()
    np.testing.assert_array_equal(first, model(x))


def test_training_is_none_where_nobody_says_it():
    seen = {}

    class Silent(keras.layers.Layer):
        def call(self, inputs, training=None):
            seen["silent"] = training
            return inputs

    class Training(keras.layers.Layer):
        def call(self, inputs, training=True):
            seen["training"] = training
            return Silent()(inputs)

    x = np.ones((4, 3), "float32")
    model = keras.Model(inputs := keras.Input((3,)), Silent()(Training()(inputs)))
    model.compile("sgd", "mse")
    for said, expected in (
        (lambda: model(x), (None, True)),
        (lambda: Training()(x), (None, True)),
        (lambda: model(x, training=True), (True, True)),
        (lambda: model(x, training=False), (False, False)),
        (lambda: model.predict(x, verbose=0), (False, False)),
        (lambda: model.evaluate(x, x, verbose=0), (False, False)),
    ):
        said()
        assert (seen["silent"], seen["training"]) == expected


def test_a_layer_without_call_says_so():
    with pytest.raises(NotImplementedError, match="does not have a `call` method implemented"):
        keras.layers.Layer().call(np.ones(3))


def test_a_cell_gets_its_own_default_where_nobody_says_training():
    seen = []

    class Cell(layers.Layer):
        state_size = 2

        def build(self, input_shape):
            self.kernel = self.add_weight((input_shape[-1], 2), name="kernel")

        def call(self, inputs, states, training="unsaid"):
            seen.append(training)
            return inputs @ self.kernel + states[0], states

    layer = layers.RNN(Cell())
    for said in (None, True, False):
        layer(np.ones((1, 1, 3), "float32"), training=said)
    assert list(dict.fromkeys(seen)) == ["unsaid", True, False]
