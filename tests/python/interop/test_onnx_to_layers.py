"""Convolutions over time and nodes that run backwards, as layers of a chain."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import layers as L  # noqa: N812 - there are many
from ferrnn._src.interop.onnx.writing import Builder
from ferrnn.layers import Input

FEATURES = 4


def randomized(model, seed=1):
    rng = np.random.default_rng(seed)
    model.set_weights(
        [
            rng.uniform(0.2, 1, w.shape) if "variance" in w.name else 0.4 * rng.normal(size=w.shape)
            for w in model.weights
        ]
    )
    return model


def sequences(batch=3, time=9, features=FEATURES):
    shape = (batch, time, features)
    return np.random.default_rng(2).normal(size=shape).astype("float32")


def chain(*layers):
    return randomized(ferrnn.Sequential([Input((None, FEATURES)), *layers]))


CHAINS = {
    "causal": [L.Conv1D(5, 3, padding="causal", activation="relu"), L.LSTM(3)],
    "dilated": [L.Conv1D(5, 3, dilation_rate=2, padding="causal"), L.Dense(2)],
    "valid": [L.Conv1D(6, 2, groups=2), L.GRU(3, return_sequences=True)],
    "same": [L.Conv1D(5, 4, padding="same"), L.LayerNormalization(), L.LSTM(3)],
    "strides": [L.Conv1D(5, 3, strides=2, padding="same"), L.SimpleRNN(3)],
    "pooled": [L.MaxPooling1D(2), L.Conv1D(5, 2, use_bias=False), L.AveragePooling1D(2, 1)],
    "wide": [L.Conv1D(5, 9, padding="causal"), L.Conv1D(3, 3, dilation_rate=50), L.Dense(2)],
    "padded": [L.ZeroPadding1D((2, 1)), L.Conv1D(5, 3, strides=2), L.Activation("tanh")],
    "backwards": [L.LSTM(5, go_backwards=True), L.Dense(2)],
    "there and back": [
        L.GRU(5, go_backwards=True, return_sequences=True),
        L.Dense(4, "relu"),
        L.LSTM(3, go_backwards=True, return_sequences=True),
    ],
    "both ways": [
        L.Bidirectional(L.LSTM(5, return_sequences=True)),
        L.Bidirectional(L.GRU(3, activation="relu")),
    ],
    "deep backwards": [
        L.SimpleRNN(5, go_backwards=True, return_sequences=True),
        L.LSTM(3),
    ],
}


@each_case("name", CHAINS)
def test_what_is_exported_becomes_layers_again(name):
    model = chain(*(type(each).from_config(each.get_config()) for each in CHAINS[name]))
    again = ferrnn.from_onnx(ferrnn.to_onnx(model)).to_layers()
    for time in (9, 13) if name != "wide" else (109, 123):
        x = sequences(time=time)
        expected = model.predict_on_batch(x)
        np.testing.assert_allclose(again.predict_on_batch(x), expected, rtol=1e-5, atol=1e-6)


def test_a_causal_convolution_stays_one_and_streams():
    model = chain(L.Conv1D(5, 3, dilation_rate=2, padding="causal"), L.LSTM(3, return_sequences=1))
    made = ferrnn.from_onnx(ferrnn.to_onnx(model))
    assert [type(each) for each in made.to_layers().layers][:1] == [L.Conv1D]
    x, stream = sequences(), made.stream(streams=3)
    found = np.stack([stream(x[:, t]) for t in range(9)], axis=1)
    np.testing.assert_allclose(found, model.predict_on_batch(x), rtol=1e-5, atol=1e-6)


def graph(write, inputs=("batch", "time", FEATURES)):
    """A model of the nodes that `write(builder, x, normal)` adds."""
    b, rng = Builder("float32"), np.random.default_rng(5)
    x = b.input("x", "float32", inputs)
    made = write(b, x, lambda *shape: b.constant(0.4 * rng.normal(size=shape)))
    b.output(made, "y", "float32", ())
    return ferrnn.from_onnx(b.model("graph", "test", "1"))


def rnn(b, x, normal, features, units, direction, last=False):
    """An LSTM node: all outputs `[time, batch, units]`, or the last state."""
    w, r = normal(1, 4 * units, features), normal(1, 4 * units, units)
    outputs = b.node("LSTM", x, w, r, count=3, hidden_size=units, direction=direction)
    return b.op("Squeeze", outputs[1 if last else 0], b.integers(0 if last else 1))


def check(model, x):
    expected = model(x)
    np.testing.assert_allclose(model.to_layers()(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "directions",
    [("reverse", "forward"), ("reverse", "reverse", "forward"), ("forward", "reverse", "forward")],
)
def test_nodes_that_run_backwards_are_layers_that_do(directions):
    def write(b, x, normal):
        x = b.op("Transpose", x, perm=[1, 0, 2])
        features = FEATURES
        for units, direction in enumerate(directions, 3):
            x = b.op("Tanh", rnn(b, x, normal, features, units, direction))
            features = units
        return b.op("Transpose", x, perm=[1, 0, 2])

    check(graph(write), sequences())


def test_the_last_state_of_a_node_that_runs_backwards():
    def write(b, x, normal):
        x = b.op("Transpose", x, perm=[1, 0, 2])
        x = rnn(b, x, normal, FEATURES, 5, "reverse")
        return b.op("MatMul", rnn(b, x, normal, 5, 3, "reverse", last=True), normal(3, 2))

    check(graph(write), sequences())


@pytest.mark.parametrize("form", ["gather", "slice"])
def test_the_first_step_of_a_node_that_runs_backwards_is_its_last(form):
    def write(b, x, normal):
        x = rnn(b, b.op("Transpose", x, perm=[1, 0, 2]), normal, FEATURES, 5, "reverse")
        if form == "gather":
            return b.op("Gather", x, b.constant(0, "at", "int64"), axis=0)
        first = b.op("Slice", x, *(b.integers(each) for each in (0, 1, 0, 1)))
        return b.op("Squeeze", first, b.integers(0))

    check(graph(write), sequences())


def test_outputs_in_the_order_of_time_of_a_node_that_runs_backwards_are_refused():
    def write(b, x, normal):
        return rnn(b, b.op("Transpose", x, perm=[1, 0, 2]), normal, FEATURES, 5, "reverse")

    with pytest.raises(ValueError, match=r"not a chain of layers: its outputs .* runs backwards"):
        graph(write).to_layers()


def test_the_last_step_of_a_node_that_runs_backwards_is_refused():
    def write(b, x, normal):
        x = rnn(b, b.op("Transpose", x, perm=[1, 0, 2]), normal, FEATURES, 5, "reverse")
        return b.op("Gather", x, b.constant(-1, "at", "int64"), axis=0)

    with pytest.raises(ValueError, match="something other than the last step"):
        graph(write).to_layers()


PADS = {
    "before": ({"pads": [4, 0], "dilations": [2]}, [L.Conv1D]),
    "around": ({"pads": [1, 1]}, [L.ZeroPadding1D, L.Conv1D]),
    "strides": ({"pads": [2, 1], "strides": [2]}, [L.ZeroPadding1D, L.Conv1D]),
    "none": ({"auto_pad": "VALID"}, [L.Conv1D]),
    "same": ({"auto_pad": "SAME_UPPER", "strides": [2]}, [L.Conv1D]),
}


@each_case("name", PADS)
@each_case("turned", [False, True])
def test_convolutions_of_features_first(name, turned):
    settings, kinds = PADS[name]

    def write(b, x, normal):
        x = b.op("Transpose", x, perm=[0, 2, 1]) if turned else x
        x = b.op("Conv", x, normal(6, FEATURES, 3), normal(6), kernel_shape=[3], **settings)
        x = b.op("MaxPool", b.op("Relu", x), kernel_shape=[2], strides=[1])
        return b.op("Transpose", x, perm=[0, 2, 1])

    shape = ("batch", "time", FEATURES) if turned else ("batch", FEATURES, "time")
    model = graph(write, shape)
    x = sequences()
    expected = model(x if turned else x.swapaxes(1, 2))
    layers = model.to_layers()
    assert [type(each) for each in layers.layers][: len(kinds)] == kinds
    np.testing.assert_allclose(layers(x), expected, rtol=1e-5, atol=1e-6)


def test_zeros_of_a_node_before_a_convolution_make_it_causal():
    def write(b, x, normal):
        x = b.op("Transpose", x, perm=[0, 2, 1])
        x = b.op("Pad", x, b.integers(0, 0, 2, 0, 0, 0))
        x = b.op("Conv", x, normal(6, FEATURES, 3))
        return b.op("Transpose", x, perm=[0, 2, 1])

    model = graph(write)
    check(model, sequences())
    assert [each.padding for each in model.to_layers().layers] == ["causal"]
    x, stream = sequences(), model.stream(streams=3)
    found = np.stack([stream(x[:, t]) for t in range(9)], axis=1)
    np.testing.assert_allclose(found, model(x), rtol=1e-5, atol=1e-6)


def conv_refused(**settings):
    def write(b, x, normal):
        return b.op("Conv", x, normal(6, FEATURES, 3), **settings)

    return write, ("batch", FEATURES, "time")


def frames(b, x, normal):
    return b.op("Conv", x, normal(6, FEATURES, 3, 3))


@pytest.mark.parametrize(
    ("write", "shape", "reason"),
    [
        (*conv_refused(auto_pad="SAME_LOWER"), "its auto_pad SAME_LOWER is not that of a layer"),
        (frames, ("batch", FEATURES, 8, 9), "its input has the shape"),
        (
            lambda b, x, normal: b.op("MaxPool", x, kernel_shape=[2], pads=[1, 0]),
            ("batch", FEATURES, "time"),
            "its padding, dilations or rounding are not those of a layer",
        ),
        (
            lambda b, x, normal: b.op(
                "Conv", b.op("Pad", x, b.integers(0, 1, 0, 0, 0, 0)), normal(6, FEATURES + 1, 3)
            ),
            ("batch", FEATURES, "time"),
            "it pads an axis other than time",
        ),
        (
            lambda b, x, normal: b.op(
                "Conv", b.op("Pad", x, b.integers(0, 0, 1, 0, 0, 1), mode="edge"),
                normal(6, FEATURES, 3),
            ),
            ("batch", FEATURES, "time"),
            "it adds something other than a fixed number of zeros",
        ),
    ],
)  # fmt: skip
def test_windows_that_no_layer_has_are_refused(write, shape, reason):
    with pytest.raises(ValueError, match=f"not a chain of layers: .*{reason}"):
        graph(write, shape).to_layers()


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_ids_of_any_dtype_go_into_an_embedding(dtype):
    layers = [L.Embedding(9, 4), L.Bidirectional(L.LSTM(3)), L.Dense(2, "softmax")]
    model = randomized(ferrnn.Sequential([Input((None,), dtype=dtype), *layers]))
    again = ferrnn.from_onnx(ferrnn.to_onnx(model)).to_layers()
    ids = np.random.default_rng(3).integers(0, 9, size=(3, 5))
    np.testing.assert_allclose(again.predict_on_batch(ids), model.predict_on_batch(ids), rtol=1e-5)
