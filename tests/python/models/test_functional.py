"""Functional models: graphs of layers, shared and nested, their gradients, masks and parts."""

import subprocess
import sys

import numpy as np
import pytest

import ferrnn as keras
from each_case import each_case
from ferrnn import Call, Gradients
from ferrnn._src.layer.masked import mask_of
from ferrnn.layers import GRU, LSTM, Dense, Dropout
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(0)
DIFFERENTIABLE = Call(differentiable=True)


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


def forked():
    """Two inputs, a shared layer, operators, two outputs."""
    series, facts = keras.Input((5, 3), name="series"), keras.Input((4,), name="facts")
    shared = Dense(4, activation="tanh", name="shared")
    read = LSTM(4, name="read")(series)
    both = shared(read) * shared(facts) + 2.0 * facts - read / 3.0
    up = Dense(2, name="up")(both[:, 1:])
    down = Dense(1, name="down")(-both)
    return keras.Model([series, facts], [up, down], name="forked")


def forked_inputs(batch=3):
    return RNG.normal(size=(batch, 5, 3)), RNG.normal(size=(batch, 4))


class TestPuttingTogether:
    def test_a_chain(self):
        inputs = keras.Input((5, 3))
        model = keras.Model(inputs, Dense(2)(GRU(4)(inputs)))
        x = RNG.normal(size=(7, 5, 3)).astype("float32")
        expected = model.layers[2](model.layers[1](x))
        for result in (model(x), model.predict(x, verbose=0), model.predict_on_batch(x)):
            np.testing.assert_array_equal(result, expected)
        assert (model.input_shape, model.output_shape) == ((None, 5, 3), (None, 2))
        assert type(model).__name__ == "Functional"
        assert isinstance(model, keras.Model)

    def test_layers_stand_in_keras_order(self):
        model = forked()
        assert [layer.name for layer in model.layers] == [
            "series", "read", "facts", "shared", "up", "down",
        ]  # fmt: skip
        assert [layer.name.rstrip("_0123456789") for layer in model.operations] == [
            "series", "read", "facts", "shared", "multiply", "multiply", "add", "true_divide",
            "subtract", "get_item", "negative", "up", "down",
        ]  # fmt: skip
        assert (model.input_names, model.output_names) == (["series", "facts"], ["up", "down"])

    def test_names_and_counters(self):
        keras.utils.clear_session()
        a, b = keras.Input((3,)), keras.Input((3,))
        assert [tensor.name for tensor in (a, b)] == ["input_layer", "input_layer_1"]
        model = keras.Model([a, b], a + b)
        assert model.name == "functional"
        assert keras.Model(a, Dense(1)(a)).name == "functional_1"

    def test_weights_of_a_shared_layer_count_once(self):
        model = forked()
        assert [weight.path for weight in model.weights] == [
            "read/lstm_cell/kernel",
            "read/lstm_cell/recurrent_kernel",
            "read/lstm_cell/bias",
            "shared/kernel",
            "shared/bias",
            "up/kernel",
            "up/bias",
            "down/kernel",
            "down/bias",
        ]

    def test_inputs_in_a_dict_a_list_and_by_name(self):
        model, (series, facts) = forked(), forked_inputs()
        expected = model([series, facts])
        for given in ((series, facts), {"facts": facts, "series": series}):
            for one, other in zip(model(given), expected, strict=True):
                np.testing.assert_array_equal(one, other)

    def test_structures_of_inputs_and_outputs_are_kept(self):
        a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
        model = keras.Model({"a": a, "b": b}, {"sum": Dense(2)(a) + b, "pair": (a, b)})
        given = {"b": np.ones((4, 2), "float32"), "a": np.zeros((4, 3), "float32")}
        outputs = model(given)
        assert outputs["sum"].shape == (4, 2)
        np.testing.assert_array_equal(outputs["pair"][1], given["b"])

    def test_output_of_a_layer_with_states(self):
        inputs = keras.Input((5, 3))
        outputs, h, c = LSTM(4, return_state=True)(inputs)
        model = keras.Model(inputs, [h, c, outputs])
        x = RNG.normal(size=(2, 5, 3))
        one, two, three = model(x)
        np.testing.assert_array_equal(one, three)
        assert (one != two).any()

    def test_an_unused_input_and_one_handed_through(self):
        a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
        model = keras.Model([a, b], [a, Dense(1)(a)])
        x = np.ones((2, 3), "float32")
        same, _ = model([x, np.zeros((2, 2))])
        np.testing.assert_array_equal(same, x)
        assert [layer.name for layer in model.layers][:2] == ["a", "b"]

    def test_a_very_long_chain(self):
        inputs = tensor = keras.Input((2,))
        for _ in range(1500):
            tensor = tensor + 1.0
        model = keras.Model(inputs, tensor)
        np.testing.assert_array_equal(model(np.zeros((1, 2))), [[1500, 1500]])


class TestParts:
    def test_a_trained_model_taken_apart(self):
        inputs = keras.Input((5, 3))
        model = keras.Model(inputs, Dense(1, name="last")(Dense(4, name="middle")(LSTM(6)(inputs))))
        model.compile("adam", loss="mse")
        x = RNG.normal(size=(8, 5, 3)).astype("float32")
        model.fit(x, x[:, 0, :1], epochs=2, verbose=0)
        middle = keras.Model(model.inputs, model.get_layer("middle").output)
        np.testing.assert_array_equal(middle(x), model.layers[2](model.layers[1](x)))
        last = keras.Model(model.layers[2].output, model.output)
        np.testing.assert_array_equal(last(middle(x)), model(x))
        assert [type(layer).__name__ for layer in last.layers] == ["InputLayer", "Dense"]

    def test_the_parts_of_a_sequential_model(self):
        model = keras.Sequential([keras.Input((5, 3)), LSTM(6, return_sequences=True), Dense(2)])
        features = keras.Model(model.inputs, [model.layers[0].output, model.output])
        x = RNG.normal(size=(2, 5, 3)).astype("float32")
        sequences, outputs = features(x)
        np.testing.assert_array_equal(sequences, model.layers[0](x))
        np.testing.assert_array_equal(outputs, model(x))
        assert model.layers[1].input is model.layers[0].output

    def test_a_layer_that_was_never_called_has_no_ends(self):
        with pytest.raises(AttributeError, match="never been called and thus has no defined out"):
            _ = Dense(2).output
        with pytest.raises(AttributeError, match="never been called and thus has no defined in"):
            _ = Dense(2).input


class TestNested:
    def test_a_model_is_a_layer(self):
        inner = forked()
        a, b = keras.Input((5, 3)), keras.Input((4,))
        up, down = inner({"series": a, "facts": b})
        outer = keras.Model([b, a], up + down)
        series, facts = forked_inputs()
        one, two = inner([series, facts])
        np.testing.assert_allclose(outer([facts, series]), one + two, rtol=1e-6)
        assert outer.layers[2] is inner
        assert outer.weights == inner.weights

    def test_called_twice(self):
        inner = keras.Sequential([keras.Input((3,)), Dense(2, activation="tanh")])
        a, b = keras.Input((3,)), keras.Input((3,))
        model = keras.Model([a, b], inner(a) - inner(b))
        x = RNG.normal(size=(2, 3))
        assert not model([x, x]).any()
        assert len(model.trainable_weights) == 2

    def test_in_a_sequential_model(self):
        a = keras.Input((3,))
        inner = keras.Model(a, Dense(4)(a) + 1.0)
        model = keras.Sequential([inner, Dense(1)])
        assert model.output_shape == (None, 1)
        assert model(np.ones((2, 3))).shape == (2, 1)


@pytest.mark.usefixtures("float64")
class TestGradients:
    def test_of_forks_and_shared_layers(self):
        model = forked()
        model.set_weights([RNG.normal(size=weight.shape) * 0.5 for weight in model.weights])
        check_vjp(lambda x: model.forward(x, DIFFERENTIABLE), forked_inputs(), model.weights)

    def test_from_encoder_to_decoder(self):
        source, target = keras.Input((4, 3)), keras.Input((5, 2))
        _, *states = LSTM(4, return_state=True)(source)
        decoded = LSTM(4, return_sequences=True)(target, initial_state=states)
        model = keras.Model([source, target], Dense(3)(decoded))
        model.set_weights([RNG.normal(size=weight.shape) * 0.5 for weight in model.weights])
        arrays = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(2, 5, 2))
        check_vjp(lambda x: model.forward(x, DIFFERENTIABLE), arrays, model.weights)

    def test_of_nested_models(self):
        inner = forked()
        inner.set_weights([RNG.normal(size=weight.shape) * 0.5 for weight in inner.weights])
        a, b = keras.Input((5, 3)), keras.Input((4,))
        up, down = inner([a, b])
        again, _ = inner([a, b * b])
        outer = keras.Model([b, a], up * down + again)
        arrays = forked_inputs()[::-1]
        check_vjp(lambda x: outer.forward(x, DIFFERENTIABLE), arrays, outer.weights)

    @each_case(
        "function",
        [
            lambda a, b: a + b,
            lambda a, b: a - b,
            lambda a, b: a * b,
            lambda a, b: a / (b * b + 1.0),
            lambda a, b: (a * a + 1.0) ** b,
            lambda a, b: 2.0 ** (a - b),
            lambda a, b: abs(a) - 1.5 * b,
            lambda a, b: -a[:, 0:2] + b[:, -1:],
            lambda a, b: 3.0 / (a * a + 2.0) - (1.0 - b),
            lambda a, b: a[:, None, :] @ b[:, :, None],
            lambda a, b: a % 0.7 + (2.5 + b) % (a * a + 3.0),
            lambda a, b: a * ((a > 0.5) & ~(b <= 0.25) | (a < b)) + b * ((a >= 1.0) ^ (b > 0.0)),
            lambda a, b: a * b + b // 0.5,
        ],
    )
    def test_of_operators(self, function):
        a, b = keras.Input((3,)), keras.Input((3,))
        model = keras.Model([a, b], function(a, b))
        arrays = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
        check_vjp(lambda x: model.forward(x, DIFFERENTIABLE), arrays)
        np.testing.assert_allclose(model(arrays), function(*arrays))
        assert model.output_shape == (None, *model(arrays).shape[1:])

    def test_of_one_output_alone(self):
        inputs = keras.Input((5, 3))
        outputs, h, c = LSTM(4, return_state=True)(inputs)
        model = keras.Model(inputs, [Dense(2)(c), h])
        model.set_weights([RNG.normal(size=weight.shape) for weight in model.weights])
        x = RNG.normal(size=(3, 5, 3))
        check_vjp(lambda x: model.forward(x, DIFFERENTIABLE), x, model.weights)
        # Only the gradient of one output arrives: the other counts as zero.
        (_, _), vjp = model.forward(x, DIFFERENTIABLE)
        one, two = Gradients(), Gradients()
        d = RNG.normal(size=(3, 2))
        d_x = vjp([d, None], one)
        np.testing.assert_allclose(d_x, vjp([d, np.zeros((3, 4))], two))
        assert outputs.shape == (None, 4)


class TestMasks:
    def test_travel_along_the_graph(self):
        inputs = keras.Input((4, 3))
        sequences = LSTM(3, return_sequences=True)(inputs)
        model = keras.Model(inputs, LSTM(2, return_sequences=True)(Dropout(0.1)(sequences)))
        x = RNG.normal(size=(2, 4, 3)).astype("float32")
        mask = np.array([[True, True, False, False], [True] * 4])
        outputs = model(x, mask=mask)
        np.testing.assert_array_equal(mask_of(outputs), mask)
        np.testing.assert_array_equal(outputs[0, :2], model(x[:1])[0, :2])
        np.testing.assert_array_equal(outputs[0, 3], outputs[0, 1])

    def test_are_given_symbolically(self):
        inputs, mask = keras.Input((4, 3)), keras.Input((4,), dtype="bool")
        layer = LSTM(3)
        model = keras.Model([inputs, mask], layer(inputs, mask=mask))
        x = RNG.normal(size=(2, 4, 3)).astype("float32")
        given = np.array([[True, True, False, False], [True] * 4])
        np.testing.assert_array_equal(model([x, given]), layer(x, mask=given))
        assert (model([x, given]) != layer(x)).any()

    def test_of_several_outputs(self):
        inputs = keras.Input((4, 3))
        sequences = LSTM(3, return_sequences=True)(inputs)
        model = keras.Model(inputs, [sequences, LSTM(2)(sequences)])
        mask = np.array([[True, True, False, False]])
        sequences, last = model(RNG.normal(size=(1, 4, 3)), mask=mask)
        np.testing.assert_array_equal(mask_of(sequences), mask)
        assert mask_of(last) is None


class TestTrainingFlag:
    def test_of_a_call_holds_against_that_of_the_model(self):
        inputs = keras.Input((50,))
        on, off = Dropout(0.5)(inputs, training=True), Dropout(0.5)(inputs, training=False)
        model = keras.Model(inputs, [on, off])
        x = np.ones((2, 50))
        for training in (True, False):
            dropped, kept = model(x, training=training)
            assert not dropped.all()
            assert kept.all()


class TestErrors:
    def test_what_is_no_symbolic_tensor(self):
        inputs = keras.Input((3,))
        with pytest.raises(ValueError, match="All `outputs` values must be KerasTensors"):
            keras.Model(inputs, np.ones(3))
        with pytest.raises(ValueError, match="All `inputs` values must be KerasTensors"):
            keras.Model([], inputs)
        with pytest.raises(ValueError, match="same input multiple times"):
            keras.Model([inputs, inputs], inputs)

    def test_ends_that_are_not_connected(self):
        a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
        with pytest.raises(ValueError, match=r"not connected to `inputs`: the input 'b'"):
            keras.Model(a, a + b)

    def test_a_name_used_twice(self):
        inputs = keras.Input((3,))
        with pytest.raises(ValueError, match=r"The name 'x' is used 2 times"):
            keras.Model(inputs, Dense(1, name="x")(Dense(3, name="x")(inputs)))

    def test_inputs_of_a_wrong_number_name_or_shape(self):
        model, (series, facts) = forked(), forked_inputs()
        with pytest.raises(ValueError, match=r"expects 2 input\(s\) \(series, facts\)"):
            model([series])
        with pytest.raises(ValueError, match=r"\['series', 'facts'\].* without \['facts'\]"):
            model({"series": series})
        with pytest.raises(ValueError, match=r"name 'facts' .* shape=\(None, 4\)"):
            model([series, facts[:, 1:]])

    def test_numpy_and_symbolic_tensors(self):
        inputs = keras.Input((3,))
        for use in (np.sin, np.asarray, len, list, bool):
            with pytest.raises(TypeError):
                use(inputs)
        assert (np.ones(3) + inputs).shape == (None, 3)


def test_operators_work_before_anything_else_is_loaded():
    code = "import ferrnn as keras\nx = keras.Input((3,))\nprint((-x + 1 > abs(x) * 2).dtype)"
    run = [sys.executable, "-W", "error", "-c", code]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "bool\n"


def test_the_inputs_behind_a_tensor_are_found_once_each():
    one, two, unused = (keras.Input((4,), name=name) for name in ("one", "two", "unused"))
    shared = Dense(4)
    found = shared(one) * shared(two) + one
    assert keras.utils.get_source_inputs(found) == [one, two]
    assert keras.utils.get_source_inputs(unused) == [unused]
    assert keras.utils.get_source_inputs(3) == 3
    deep = one
    for _ in range(1500):  # deeper than Python's stack
        deep = deep + 1.0
    assert keras.utils.get_source_inputs(deep) == [one]
    assert [keras.utils.is_keras_tensor(each) for each in (found, np.zeros(2))] == [True, False]


def test_ids_without_an_axis_of_length_one_get_it():
    ids = keras.Input((1,), dtype="int32")
    model = keras.Model(ids, keras.layers.Embedding(5, 3)(ids))
    given = np.array([0, 3, 1, 4])
    np.testing.assert_array_equal(model(given), model(given[:, None]))
    np.testing.assert_array_equal(
        model.predict(given, verbose=0), model.predict(given[:, None], verbose=0)
    )
    assert model(given).shape == (4, 1, 3)
