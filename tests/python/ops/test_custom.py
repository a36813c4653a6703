"""Users' own cells, layers, losses and activations: written in `ops`, trained without a vjp."""

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import Call, Gradients, ops
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.results import Output
from ferrnn.testing import check_vjp

DIFFERENTIABLE = Call(differentiable=True)


class MinimalCell(keras.Layer):
    """The minimal cell of Keras' documentation."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units
        self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "uniform", name="kernel")
        self.recurrent_kernel = self.add_weight(
            (self.units, self.units), "uniform", name="recurrent"
        )

    def call(self, inputs, states):
        prev_output = states[0]
        h = ops.matmul(inputs, self.kernel)
        output = h + ops.matmul(prev_output, self.recurrent_kernel)
        return output, [output]


class LayeredCell(keras.Layer):
    """A cell of built-in parts, two states, dropout and an activation of its own."""

    def __init__(self, units, rate=0.0, **options):
        super().__init__(**options)
        self.state_size = [units, units]
        self.inner = keras.layers.GRUCell(units, dtype=self.dtype)
        self.gate = keras.layers.Dense(units, activation="sigmoid", dtype=self.dtype)
        self.dropout = keras.layers.Dropout(rate, seed=1, dtype=self.dtype)
        self.activation = keras.activations.get("softsign")

    def build(self, input_shape):
        self.inner.build(input_shape)
        self.gate.build((None, self.state_size[0]))
        self.scale = self.add_weight((1,), "ones", name="scale")

    def call(self, inputs, states, training=False):
        h, average = states
        output, (h,) = self.inner(self.dropout(inputs, training=training), [h])
        average = self.scale * average + self.gate(output) * (1 - self.scale)
        return self.activation(output + average), [h, average]


class Scaled(keras.Layer):
    """A layer with weights, a sublayer and plain operators."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")
        self.bias = keras.Parameter(np.zeros(input_shape[-1], self.dtype), "bias")
        self.dense = keras.layers.Dense(3, dtype=self.dtype)
        self.dense.build(input_shape)

    def call(self, inputs):
        scaled = inputs * self.scale.value + self.bias
        return self.dense(scaled) * ops.exp(self.scale[0]) + np.tanh(scaled[..., :3])


def shuffled(layer):
    rng = np.random.default_rng(2)
    for weight in layer.weights:
        weight.assign(0.5 * rng.normal(size=weight.shape))


CELLS = {
    "minimal": lambda: MinimalCell(3, dtype="float64"),
    "layered": lambda: LayeredCell(3, dtype="float64"),
    "stack": lambda: [MinimalCell(2, dtype="float64"), keras.layers.LSTMCell(3, dtype="float64"),
                      LayeredCell(4, dtype="float64")],
}  # fmt: skip


@each_case("masked", [False, True])
@each_case("sequences", [False, True])
@each_case("name", CELLS)
def test_cells_have_gradients(name, sequences, masked):
    layer = keras.layers.RNN(CELLS[name](), return_sequences=sequences, dtype="float64")
    layer.build((None, None, 5))
    shuffled(layer)
    mask = np.array([[True, True, False, True], [True, False, False, False]]) if masked else None
    call = Call(differentiable=True, mask=mask)
    inputs = np.random.default_rng(1).normal(size=(2, 4, 5))
    check_vjp(lambda x: layer.forward(x, call), inputs, layer.weights)


def test_layers_have_gradients():
    layer = Scaled(dtype="float64")
    layer.build((None, 4))
    shuffled(layer)
    inputs = np.random.default_rng(1).normal(size=(5, 4))
    check_vjp(lambda x: layer.forward(x, DIFFERENTIABLE), inputs, layer.weights)


def test_a_subclass_of_a_built_in_cell_may_override_call():
    class Doubled(keras.layers.LSTMCell):
        def call(self, inputs, states, training=False):
            output, states = super().call(2 * inputs, states, training)
            return output * 3, states

    layer = keras.layers.RNN(Doubled(4, dtype="float64"), dtype="float64")
    layer.build((None, None, 3))
    inputs = np.random.default_rng(1).normal(size=(2, 5, 3))
    plain = keras.layers.RNN(keras.layers.LSTMCell(4, dtype="float64"), dtype="float64")
    plain.build((None, None, 3))
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(inputs), 3 * plain(2 * inputs), rtol=1e-12)
    check_vjp(lambda x: layer.forward(x, DIFFERENTIABLE), inputs, layer.weights)


@pytest.mark.parametrize("name", ["minimal", "layered"])
def test_cells_train_in_fit(name):
    kind = {"minimal": MinimalCell, "layered": LayeredCell}[name]
    keras.utils.set_random_seed(3)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(64, 6, 2)).astype("float32")
    y = x[:, -1:, 0] - x[:, -2:-1, 1]
    model = keras.Sequential([keras.layers.RNN(kind(8)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.02), loss="mse")
    losses = model.fit(x, y, epochs=12, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.3 * losses[0]


def test_dropout_inside_a_cell_is_on_in_training_only():
    layer = keras.layers.RNN(LayeredCell(3, rate=0.5))
    x = np.ones((2, 4, 5), "float32")
    still = layer(x)
    np.testing.assert_array_equal(still, layer(x))
    assert not np.array_equal(layer(x, training=True), still)


@pytest.mark.parametrize(
    "loss",
    [
        lambda y_true, y_pred: ops.mean(ops.square(y_true - y_pred), axis=-1),
        lambda y_true, y_pred: (y_true - y_pred) ** 2,
        lambda y_true, y_pred: keras.losses.mean_squared_error(y_true, y_pred) * 1.0,
    ],
    ids=["ops", "operators", "built-in-inside"],
)
def test_losses_train_as_the_built_in_one_does(loss):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 1)).astype("float32")
    results = []
    for each in ("mse", loss):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), loss=each)
        results.append(model.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)


def test_a_subclass_of_loss_with_call_trains():
    class Quantile(keras.Loss):
        def call(self, y_true, y_pred):
            error = y_true - y_pred
            return ops.mean(ops.maximum(0.9 * error, -0.1 * error), axis=-1)

    rng = np.random.default_rng(1)
    pred = rng.normal(size=(4, 3))
    loss = Quantile()

    def forward(pred):
        value, vjp = loss.forward(np.zeros((4, 3)), pred, sample_weight=np.arange(1.0, 5.0))
        return np.asarray(value), vjp

    check_vjp(forward, pred)


@pytest.mark.parametrize("where", ["dense", "lstm", "layer"])
def test_activations_of_users_train(where):
    def bent(x):
        return ops.where(x > 0, x, 0.1 * x) + ops.sin(x)

    options = {"activation": bent, "dtype": "float64"}
    layer = {
        "dense": lambda: keras.layers.Dense(3, **options),
        "lstm": lambda: keras.layers.LSTM(3, **options),
        "layer": lambda: keras.layers.Activation(bent, dtype="float64"),
    }[where]()
    shape = (2, 4, 5) if where == "lstm" else (2, 5)
    layer.build(shape)
    shuffled(layer)
    inputs = np.random.default_rng(1).normal(size=shape)
    check_vjp(lambda x: layer.forward(x, DIFFERENTIABLE), inputs, layer.weights)


class TestOwnTrainStep:
    def model(self):
        model = keras.Sequential([keras.layers.LSTM(4), keras.layers.Dense(1)])
        model.build((None, 5, 3))
        return model

    def test_gradients_are_those_of_the_layers(self):
        model = self.model()
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=(6, 5, 3)).astype("float32"), np.ones((6, 1), "float32")
        loss = keras.losses.MeanSquaredError()
        value, grads = model.value_and_gradients(lambda: loss(y, model(x)))
        outputs, vjp = model.forward(x, DIFFERENTIABLE)
        expected, loss_vjp = loss.forward(y, outputs)
        known = Gradients()
        vjp(loss_vjp(1.0, known), known)
        assert value == pytest.approx(expected)
        for weight in model.trainable_weights:
            np.testing.assert_allclose(grads[weight], known[weight], rtol=1e-5, atol=1e-7)

    def test_optimizers_take_them(self):
        model = self.model()
        x, y = np.ones((6, 5, 3), "float32"), np.ones((6, 1), "float32")
        optimizer = keras.optimizers.SGD(0.1)

        def loss():
            y_pred = model(x, training=True)
            return ops.mean((y_pred - y) ** 2), y_pred

        values = []
        for _ in range(5):
            (value, y_pred), grads = model.value_and_gradients(loss)
            optimizer.apply(grads)
            values.append(float(value))
        assert type(y_pred) is Output
        assert values == sorted(values, reverse=True)
        assert values[-1] < values[0]

    def test_weights_that_are_not_trained_get_none(self):
        model = self.model()
        model.layers[0].trainable = False
        _, grads = model.value_and_gradients(lambda: ops.sum(model(np.ones((1, 5, 3)))))
        assert list(grads) == model.layers[1].trainable_weights

    def test_a_value_that_is_not_one_number_is_refused(self):
        with pytest.raises(ValueError, match=r"must return one number.* shape \(2, 1\)"):
            self.model().value_and_gradients(lambda: self.model()(np.ones((2, 5, 3))))

    def test_masks_and_states_travel_through_traced_calls(self):
        layer = keras.layers.LSTM(4, return_sequences=True, return_state=True, dtype="float64")
        layer.build((None, None, 3))
        rng = np.random.default_rng(1)
        x, start = rng.normal(size=(2, 3, 3)), [rng.normal(size=(2, 4)) for _ in range(2)]
        mask = np.array([[True, True, False], [True, False, False]])
        seen = {}

        def forward(inputs):
            outputs, h, c = layer(inputs, mask=mask, initial_state=start)
            seen["mask"] = outputs._keras_mask
            return [outputs, h * c]

        outputs, _ = tracing.differentiate(forward, x)
        np.testing.assert_array_equal(outputs[0], layer(x, mask=mask, initial_state=start)[0])
        np.testing.assert_array_equal(seen["mask"], mask)
        check_vjp(lambda x: tracing.differentiate(forward, x), x, layer.weights)


class TestErrors:
    @each_case(
        ("broken", "advice"),
        [
            (np.asarray, "numpy.asarray .* would cut the gradient.* `ferrnn.ops`"),
            (lambda x: np.array([x, x]), "would cut the gradient"),
            (lambda x: float(x[0, 0]), r"float\(\) would cut the gradient"),
            (lambda x: int(x[0, 0]), r"int\(\) would cut the gradient"),
            (lambda x: x.numpy(), r"numpy\(\) would cut"),
            (lambda x: x[0, 0].item(), "would cut the gradient"),
            (np.sum, "`numpy.sum` would .* use `ops.sum`"),
            (lambda x: np.concatenate([x, x]), "`numpy.concatenate` .* use `ops.concatenate`"),
            (np.amax, "use `ops.max`"),
            (np.linalg.norm, "`numpy.norm` would .* use `ops.norm`"),
            (np.add.reduce, "`numpy.add.reduce` cannot work"),
            (np.spacing, "`numpy.spacing` of a traced value has no gradient"),
            (lambda x: np.add(x, 1, out=np.zeros((2, 3))), "does not take the options .'out'."),
            (lambda x: x.__setitem__(0, 1), "`ops.slice_update`"),
            (lambda x: np.zeros((2, 3)).__setitem__(0, x[0]), "would cut the gradient"),
            (ops.convert_to_numpy, "`ops.convert_to_numpy` would cut"),
        ],
    )
    def test_what_breaks_the_trace_says_so(self, broken, advice):
        with pytest.raises(TypeError, match=advice):
            tracing.differentiate(broken, np.ones((2, 3)))

    def test_weights_are_guarded_too(self):
        layer = Scaled()
        layer.build((None, 4))
        layer.call = lambda inputs: inputs * np.asarray(layer.scale)
        with pytest.raises(TypeError, match="weight 'scaled/scale' would cut its gradient"):
            layer.forward(np.ones((2, 4), "float32"), DIFFERENTIABLE)

    def test_values_of_another_trace_are_refused(self):
        def outer(x):
            return tracing.differentiate(lambda y: y * x, np.ones(3))[1](np.ones(3), {})

        with pytest.raises(RuntimeError, match="value of another trace"):
            tracing.differentiate(outer, np.ones(3))

    def test_an_attribute_that_is_not_there(self):
        with pytest.raises(AttributeError, match="a traced value has no `nothing`"):
            tracing.differentiate(lambda x: x.nothing, np.ones(3))


class PairCell(keras.layers.Layer):
    """Two inputs of different rank, states in a dict; the output is the first state."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = self.output_size = units
        self.state_size = [units, {"seen": units, "grid": (2, units)}]

    def build(self, input_shapes):
        first, second = input_shapes
        self.kernel = self.add_weight((first[-1], self.units), name="kernel")
        self.mixing = self.add_weight((second[-2], second[-1], self.units), name="mixing")

    def get_initial_state(self, batch_size=None):
        ones = np.ones((batch_size, self.units), self.dtype)
        return [ones, {"seen": ones, "grid": np.ones((batch_size, 2, self.units), self.dtype)}]

    def call(self, inputs, states):
        one, two = inputs
        h, rest = states
        new = ops.tanh(one @ self.kernel + ops.einsum("brf,rfu->bu", two, self.mixing) + h)
        grid = 0.5 * rest["grid"] + new[:, None, :] * rest["seen"][:, None, :]
        return new + ops.sum(grid, axis=1), [new, {"seen": rest["seen"] * 0.9, "grid": grid}]


class TestNestedInputs:
    rng = np.random.default_rng(3)
    inputs = (rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 2, 5)))
    mask = np.array([[True, True, False, True], [True, False, False, False]])

    @pytest.mark.parametrize("masked", [False, True])
    @pytest.mark.parametrize("go_backwards", [False, True])
    def test_gradients_match_finite_differences(self, masked, go_backwards):
        layer = keras.layers.RNN(
            PairCell(3, dtype="float64"),
            return_sequences=True,
            return_state=True,
            go_backwards=go_backwards,
            dtype="float64",
        )
        layer(self.inputs)
        call = Call(differentiable=True, mask=self.mask if masked else None)
        check_vjp(lambda given: layer.forward(given, call), (self.inputs,), layer.weights)

    def test_states_are_handed_on_and_given(self):
        layer = keras.layers.RNN(PairCell(3, dtype="float64"), return_state=True, dtype="float64")
        whole, *final = layer(self.inputs)
        halves = [tuple(part[:, at] for part in self.inputs) for at in (slice(2), slice(2, 4))]
        _, *between = layer(halves[0])
        assert sorted(between[1]) == ["grid", "seen"]
        again, *last = layer(halves[1], initial_state=between)
        np.testing.assert_array_equal(again, whole)
        np.testing.assert_array_equal(last[1]["grid"], final[1]["grid"])
        assert layer.compute_output_shape([(None, 4, 3), (None, 4, 2, 5)])[0] == (None, 3)

    def test_they_train_in_a_functional_model(self):
        one, two = keras.Input((4, 3)), keras.Input((4, 2, 5))
        output = keras.layers.Dense(1)(keras.layers.RNN(PairCell(3))((one, two)))
        model = keras.Model([one, two], output)
        model.compile(keras.optimizers.Adam(0.05), "mse")
        losses = model.fit(list(self.inputs), np.ones((2, 1)), epochs=20, verbose=0)
        assert losses.history["loss"][-1] < 0.2 * losses.history["loss"][0]

    def test_a_dict_in_any_order_reaches_the_cell_by_name_in_a_model(self):
        class Both(keras.layers.Layer):
            state_size = 3

            def call(self, inputs, states):
                h = states[0] + inputs["second"] * ops.sum(inputs["first"], axis=-1, keepdims=True)
                return h, [h]

        arrays = {"second": self.inputs[0], "first": self.inputs[1][..., 0, :]}
        tensors = {name: keras.Input(array.shape[1:]) for name, array in arrays.items()}
        model = keras.Model(tensors, keras.layers.RNN(Both())(tensors))
        expected = (arrays["second"] * arrays["first"].sum(axis=-1, keepdims=True)).sum(axis=1)
        np.testing.assert_allclose(model.predict(arrays, verbose=0), expected, rtol=1e-5)

    def test_what_does_not_fit_is_refused(self):
        layer = keras.layers.RNN(PairCell(3))
        with pytest.raises(ValueError, match="equal batches and numbers of steps"):
            layer((self.inputs[0], self.inputs[1][:, 1:]))
        with pytest.raises(ValueError, match="must be one array of real numbers"):
            keras.layers.LSTM(3)(self.inputs)
