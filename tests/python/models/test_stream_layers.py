"""Streams of ids, of normalized features and of graphs: the bits of the whole sequence."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Add,
    Dense,
    Dropout,
    Embedding,
    Input,
    LayerNormalization,
    ReLU,
    SimpleRNN,
    SpectralNormalization,
    TimeDistributed,
)
from ferrnn.models import Model, Sequential
from models.streaming import FEATURES, randomised, sequences

IDS = np.array([[3, 0, 2, 7, 0], [0, 0, 4, 0, 1], [5, 6, 0, 0, 0]])


def reading(kind=LSTM, dtype="float32", **options):
    return Sequential(
        [
            Input((None,)),
            Embedding(8, 5, dtype=dtype, name="words", **options),
            LayerNormalization(dtype=dtype),
            kind(17, return_sequences=True, dtype=dtype),
            LayerNormalization(center=False, epsilon=0.1, dtype=dtype),
            RNN([GRU(3, dtype=dtype).cell, LSTM(9, dtype=dtype).cell], return_sequences=True),
            LayerNormalization(axis=2, scale=False, dtype=dtype),
            Dense(2, "softmax", dtype=dtype),
        ],
        name="reader",
    )


@each_case("kind", [LSTM, GRU, SimpleRNN])
@each_case("dtype", ["float32", "float64"])
@each_case("mask_zero", [False, True])
def test_ids_give_the_bits_of_the_whole_sequence(kind, dtype, mask_zero):
    model = randomised(reading(kind, dtype, mask_zero=mask_zero))
    expected = np.asarray(model.predict_on_batch(IDS))
    stream, out = model.stream(3), np.empty((3, 2), dtype)
    for step in range(5):
        assert stream(IDS[:, step], out=out) is out
        np.testing.assert_array_equal(out, expected[:, step])
    for row in range(3):
        alone = model.stream()
        np.testing.assert_array_equal([alone(int(each)) for each in IDS[row]], expected[row])


def test_a_relu_is_the_activation_and_one_with_settings_is_named():
    layers = [Input((None, FEATURES)), GRU(9, return_sequences=True), ReLU(), Dense(4), ReLU()]
    model = randomised(Sequential(layers))
    x = sequences(2)
    expected, stream = np.asarray(model.predict_on_batch(x)), model.stream(2)
    for step in range(5):
        np.testing.assert_array_equal(stream(x[:, step]), expected[:, step])
    assert 0 < np.count_nonzero(expected) < expected.size
    odd = ReLU(negative_slope=0.5, threshold=1.0, name="odd")
    model = Sequential([Input((None, FEATURES)), GRU(9), odd], name="m")
    with pytest.raises(TypeError, match=r"layer 'odd' of the model 'm' cannot .* not with both"):
        model.stream()


@pytest.mark.parametrize("name", ["hard_sigmoid_keras2", "leaky_relu", "relu6", "sparse_sigmoid"])
def test_activations_that_several_stages_are(name):
    layers = [GRU(9, return_sequences=True), Dense(4, name), Activation(name)]
    model = randomised(Sequential([Input((None, FEATURES)), *layers]))
    model.set_weights([5 * each for each in model.get_weights()])
    x = 3 * sequences(2)
    expected, stream = np.asarray(model.predict_on_batch(x)), model.stream(2)
    for step in range(5):
        np.testing.assert_array_equal(stream(x[:, step]), expected[:, step])
    assert len(np.unique(expected)) > 5


def test_a_spectral_normalization_is_the_layer_inside():
    layers = [SpectralNormalization(Dense(5, "tanh")), GRU(9, return_sequences=True)]
    model = randomised(Sequential([Input((None, FEATURES)), *layers]))
    x = sequences(2)
    expected, stream = np.asarray(model.predict_on_batch(x)), model.stream(2)
    for step in range(5):
        np.testing.assert_array_equal(stream(x[:, step]), expected[:, step])


def test_ids_of_any_kind_are_read():
    model = randomised(reading())
    expected = model.stream(2)(np.array([3, 1]))
    for ids in (
        [3, 1],
        np.array([3, 1], np.int32),
        np.array([3, 1], np.uint8),
        np.array([3.0, 1.0], np.float32),
        np.array([3, 9, 1])[::2],
        np.array([3, 1], ">i8"),
    ):
        np.testing.assert_array_equal(model.stream(2)(ids), expected)
    for one in (3, np.int64(3), np.uint8(3), np.array(3), 3.0, np.float32(3)):
        received = model.stream()(one)
        assert received.shape == (2,)
        np.testing.assert_array_equal(received, expected[0])
    assert model.stream()([3]).shape == (1, 2)


@each_case(
    ("ids", "error", "message"),
    [
        ([1, 8], ValueError, "`inputs`: expected ids from 0 to 7, received ids from 1 to 8"),
        ([-1, -1], ValueError, "`inputs`: expected ids from 0 to 7, received -1"),
        (1, ValueError, r"expected ids of the shape \(2,\), received \(\)"),
        ([1, 2, 3], ValueError, r"expected ids of the shape \(2,\), received \(3,\)"),
        ([[1], [2]], ValueError, r"expected ids of the shape \(2,\), received \(2, 1\)"),
        (["a", "b"], TypeError, "`inputs`: expected ids, which are integers, received"),
        ([2**70, 1], TypeError, "`inputs`: expected ids, which are integers, received"),
    ],
)
def test_wrong_ids_are_refused_and_nothing_moves(ids, error, message):
    stream = randomised(reading()).stream(2)
    before = stream.state
    with pytest.raises(error, match=message):
        stream(ids)
    for name, array in stream.state.items():
        np.testing.assert_array_equal(array, before[name])


def test_one_id_is_told_both_shapes():
    with pytest.raises(ValueError, match=r"ids of the shape \(\) or \(1,\), received \(2,\)"):
        reading().stream()([1, 2])


def test_a_stream_of_ids_describes_itself_and_is_copied():
    stream = randomised(reading()).stream(3)
    assert repr(stream) == "<Stream streams=3, ids=8, units=2, dtype=float32>"
    assert stream.ids == 8
    assert randomised(Sequential([Input((None, 2)), GRU(3)])).stream().ids is None
    stream(IDS[:, 0])
    twin = stream.copy()
    np.testing.assert_array_equal(twin(IDS[:, 3]), stream(IDS[:, 3]))


def test_the_matrix_is_that_of_the_time_the_stream_was_made():
    model = randomised(reading())
    stream, twin = model.stream(), model.stream()
    expected = twin(3)
    randomised(model, seed=9)
    np.testing.assert_array_equal(stream(3), expected)
    assert not np.array_equal(model.stream()(3), expected)


def test_layers_of_rows_may_be_time_distributed():
    model = randomised(
        Sequential(
            [
                Input((None, FEATURES)),
                TimeDistributed(LayerNormalization()),
                GRU(6, return_sequences=True),
                TimeDistributed(Dense(4, "relu")),
                TimeDistributed(Dropout(0.5)),
            ]
        )
    )
    inputs = sequences(2)
    stream = model.stream(2)
    received = np.stack([stream(step) for step in inputs.transpose(1, 0, 2)], axis=1)
    np.testing.assert_array_equal(received, model.predict_on_batch(inputs))


def test_a_graph_without_forks_streams():
    inputs = Input((None, FEATURES))
    inner = Sequential([LayerNormalization(), GRU(7, return_sequences=True, name="low")], name="in")
    inside = Input((None, 7))
    graph = Model(inside, Dense(5)(Dropout(0.3)(inside)), name="graph")
    model = randomised(Model(inputs, LSTM(4, name="top")(graph(inner(inputs)))))
    data = sequences(3)
    stream = model.stream(3)
    assert list(stream.state) == ["in/low/h", "top/h", "top/c"]
    for step in range(data.shape[1]):
        received = stream(data[:, step])
        np.testing.assert_array_equal(received, model.predict_on_batch(data[:, : step + 1]))


def forked():
    inputs = Input((None, FEATURES), name="x")
    read = GRU(4, return_sequences=True)(inputs)
    return Model(inputs, Add(name="odd")([read, Dense(4)(inputs)]), name="m")


def two_inputs():
    inputs = [Input((None, FEATURES)), Input((None, FEATURES))]
    return Model(inputs, Add()(inputs), name="m")


def from_the_middle():
    inputs = Input((None, FEATURES))
    read = GRU(4, return_sequences=True)(inputs)
    return Model(inputs, [read, Dense(4)(read)], name="m")


def skipping():
    inputs = Input((None, FEATURES))
    return Model(inputs, Dense(4)(inputs) + GRU(4, return_sequences=True)(inputs), name="m")


def always_dropping():
    inputs = Input((None, FEATURES))
    return Model(inputs, Dropout(0.5, name="odd")(inputs, training=True), name="m")


def of_layers(*layers, shape=(None, FEATURES)):
    return lambda: Sequential([Input(shape), *layers], name="m")


class Written(Model):
    def call(self, inputs):
        return inputs


@each_case(
    ("make", "message"),
    [
        (forked, "layer '.*' of the model 'm' cannot run .* takes something besides the outputs"),
        (two_inputs, "the model 'm' cannot run in a stream: it must have one input"),
        (from_the_middle, "a stream returns the outputs of the last layer"),
        (skipping, "cannot run in a stream: it takes something besides"),
        (always_dropping, "layer 'odd' .* training=True"),
        (lambda: Written(name="m"), "the model 'm' must be built .* subclassed model"),
        (
            of_layers(Embedding(4, 3), shape=(None, 2)),
            r"takes one id at a time: .* must be \[batch, time\], received \(None, None, 2\)",
        ),
        (of_layers(GRU(4, return_sequences=True), Embedding(4, 3, name="odd")), "'odd' .* first"),
        (of_layers(LayerNormalization(axis=[1, 2], name="odd"), shape=(3, 2)), "'odd' .* axis="),
        (of_layers(TimeDistributed(GRU(3), name="td"), shape=(None, 4, 2)), "inside a step"),
        (of_layers(Dense(3), shape=(None, None, 2)), "with known lengths except batch and time"),
        (
            of_layers(
                Embedding(4, 3, mask_zero=True),
                GRU(3, return_sequences=True, zero_output_for_mask=True, name="odd"),
                shape=(None,),
            ),
            "'odd' .* zero_output_for_mask=True after an Embedding with mask_zero=True",
        ),
    ],
)
def test_what_cannot_stream_is_named(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make().stream()


def test_layers_that_are_not_of_rows_are_named_inside_a_time_distributed():
    odd = ferrnn.layers.UnitNormalization(name="odd")
    model = Sequential([Input((None, FEATURES)), TimeDistributed(odd)])
    with pytest.raises(TypeError, match=r"/odd' .* it is a UnitNormalization, which"):
        model.stream()
