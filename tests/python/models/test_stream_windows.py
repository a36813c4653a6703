"""Streams with windows over time and arithmetic: the numbers of the whole sequence."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn.layers import (
    ELU,
    GRU,
    LSTM,
    ActivityRegularization,
    AlphaDropout,
    AveragePooling1D,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Dense,
    DepthwiseConv1D,
    Embedding,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GlobalAveragePooling1D,
    Identity,
    Input,
    LayerNormalization,
    LeakyReLU,
    MaxPooling1D,
    MultiHeadAttention,
    Normalization,
    PReLU,
    ReLU,
    Rescaling,
    RMSNormalization,
    SeparableConv1D,
    Softmax,
    SpatialDropout1D,
    TimeDistributed,
)
from ferrnn.models import Model, Sequential
from models.streaming import positive, randomised

FEATURES, STEPS = 6, 11
BOTH = each_case("dtype", ["float32", "float64"])


def chain(*layers, dtype="float32"):
    return Sequential([Input((None, FEATURES), dtype=dtype), *layers], name="m")


def sequences(rows, dtype="float32"):
    return np.random.default_rng(2).normal(size=(rows, STEPS, FEATURES)).astype(dtype)


def check(model, inputs, warmup=0):
    """Steps give the model's outputs, NaN before the first; for all rows and for one."""
    expected = np.asarray(model.predict_on_batch(inputs))
    assert np.isfinite(expected).all()
    tolerance = 2e-6 if inputs.dtype == np.float32 else 1e-13
    for rows in (len(inputs), 1):
        stream = model.stream(streams=rows)
        assert stream.warmup == warmup
        given = inputs[:rows]
        received = np.stack([stream(given[:, step]) for step in range(inputs.shape[1])], axis=1)
        assert received.dtype == expected.dtype
        assert np.isnan(received[:, :warmup]).all()
        np.testing.assert_allclose(
            received[:, warmup:], expected[:rows], rtol=tolerance, atol=tolerance
        )
    return stream


CONVOLUTIONS = {
    "causal": ({"padding": "causal"}, 0),
    "valid": ({}, 2),
    "dilated": ({"padding": "causal", "dilation_rate": 3}, 0),
    "dilated, valid": ({"dilation_rate": 2}, 4),
    "groups": ({"padding": "causal", "groups": 2}, 0),
    "groups, valid": ({"groups": 3, "dilation_rate": 2}, 4),
    "activation": ({"padding": "causal", "activation": "relu"}, 0),
    "rows activation": ({"padding": "causal", "activation": "softmax"}, 0),
    "no bias": ({"padding": "causal", "use_bias": False}, 0),
}


@BOTH
@each_case("name", CONVOLUTIONS)
def test_a_convolution_streams(name, dtype):
    settings, warmup = CONVOLUTIONS[name]
    layers = [
        Conv1D(12, 3, dtype=dtype, **settings),
        LSTM(7, return_sequences=True, dtype=dtype),
        Dense(2, dtype=dtype),
    ]
    check(randomised(chain(*layers, dtype=dtype)), sequences(3, dtype), warmup)


def test_a_convolution_gives_the_bits_of_the_whole_sequence():
    model = randomised(chain(Conv1D(9, 3, padding="causal"), GRU(7, return_sequences=True)))
    inputs, stream = sequences(3), model.stream(3)
    received = np.stack([stream(inputs[:, step]) for step in range(STEPS)], axis=1)
    np.testing.assert_array_equal(received, model.predict_on_batch(inputs))


def test_convolutions_follow_one_another():
    layers = [
        Conv1D(5, 3, dilation_rate=2),
        Conv1D(4, 2),
        Conv1D(6, 4, padding="causal"),
        GRU(3, return_sequences=True),
    ]
    # The last one reads zeros before the first outputs of those before it, as in the model.
    check(randomised(chain(*layers)), sequences(2), warmup=5)


LAYERS = {
    "depthwise": (lambda dtype: DepthwiseConv1D(3, depth_multiplier=2, dtype=dtype), 2),
    "depthwise, once": (lambda dtype: DepthwiseConv1D(2, use_bias=False, dtype=dtype), 1),
    "separable": (lambda dtype: SeparableConv1D(5, 3, activation="tanh", dtype=dtype), 2),
    "separable, dilated": (
        lambda dtype: SeparableConv1D(5, 2, dilation_rate=3, depth_multiplier=3, dtype=dtype),
        3,
    ),
    "greatest": (lambda dtype: MaxPooling1D(3, strides=1, dtype=dtype), 2),
    "mean": (lambda dtype: AveragePooling1D(2, strides=1, dtype=dtype), 1),
    "batch normalization": (lambda dtype: BatchNormalization(dtype=dtype), 0),
    "no scale": (lambda dtype: BatchNormalization(scale=False, epsilon=0.1, dtype=dtype), 0),
    "no center": (lambda dtype: BatchNormalization(center=False, axis=2, dtype=dtype), 0),
    "layer normalization": (lambda dtype: LayerNormalization(dtype=dtype), 0),
    "rms normalization": (lambda dtype: RMSNormalization(dtype=dtype), 0),
    "normalization": (
        lambda dtype: Normalization(
            mean=np.arange(6.0) / 5, variance=np.arange(1.0, 7), dtype=dtype
        ),
        0,
    ),
    "undone": (lambda dtype: Normalization(mean=0.3, variance=2.0, invert=True, dtype=dtype), 0),
    "rescaling": (lambda dtype: Rescaling([1, 2, 3, 4, 5, 0.6], -0.1, dtype=dtype), 0),
    "elu": (lambda dtype: ELU(0.7, dtype=dtype), 0),
    "elu of one": (lambda dtype: ELU(dtype=dtype), 0),
    "leaky": (lambda dtype: LeakyReLU(0.2, dtype=dtype), 0),
    "learnt": (lambda dtype: PReLU("glorot_uniform", shared_axes=[1], dtype=dtype), 0),
    "capped": (lambda dtype: ReLU(max_value=0.5, dtype=dtype), 0),
    "sloping": (lambda dtype: ReLU(0.5, negative_slope=0.25, dtype=dtype), 0),
    "above": (lambda dtype: ReLU(threshold=0.3, dtype=dtype), 0),
    "softmax": (lambda dtype: Softmax(dtype=dtype), 0),
    "identity": (lambda dtype: Identity(dtype=dtype), 0),
    "regularized": (lambda dtype: ActivityRegularization(0.1, dtype=dtype), 0),
    "dropout": (lambda dtype: SpatialDropout1D(0.5, dtype=dtype), 0),
    "alpha dropout": (lambda dtype: AlphaDropout(0.5, dtype=dtype), 0),
    "gaussian dropout": (lambda dtype: GaussianDropout(0.5, dtype=dtype), 0),
    "noise": (lambda dtype: GaussianNoise(0.5, dtype=dtype), 0),
}


@BOTH
@each_case("name", LAYERS)
def test_a_layer_streams(name, dtype):
    make, warmup = LAYERS[name]
    model = chain(make(dtype), LSTM(4, return_sequences=True, dtype=dtype), dtype=dtype)
    check(positive(model), sequences(3, dtype), warmup)


def test_what_follows_a_layer_of_last_outputs_streams():
    layers = [Conv1D(7, 3), LSTM(5), BatchNormalization(), PReLU(), Dense(3), Softmax()]
    model = positive(chain(*layers))
    inputs, stream = sequences(2), model.stream(2)
    for step in range(STEPS):
        received = stream(inputs[:, step])
        if step >= 2:
            expected = model.predict_on_batch(inputs[:, : step + 1])
            np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def test_a_nested_model_of_convolutions_streams():
    inner = Sequential([Conv1D(5, 2), BatchNormalization(), LSTM(4)], name="inner")
    inputs = Input((None, FEATURES))
    model = positive(Model(inputs, Dense(2)(inner(inputs)), name="m"))
    given, stream = sequences(1), model.stream()
    outputs = [stream(step) for step in given[0]]
    expected = model.predict_on_batch(given)[0]
    np.testing.assert_allclose(outputs[-1], expected, rtol=1e-5, atol=1e-6)


def test_rows_start_again_and_wait_each_for_itself():
    model = randomised(chain(Conv1D(5, 3, dilation_rate=2), LSTM(4, return_sequences=True)))
    inputs, stream = sequences(3), model.stream(3)
    for step in range(6):
        stream(inputs[:, step])
    stream.reset([1])
    received = np.stack([stream(inputs[:, step]) for step in range(6, STEPS)], axis=1)
    whole = np.asarray(model.predict_on_batch(inputs))[:, 2:]
    np.testing.assert_allclose(received[[0, 2]], whole[[0, 2]], rtol=1e-5, atol=1e-6)
    again = np.asarray(model.predict_on_batch(inputs[1:2, 6:]))[0]
    assert np.isnan(received[1, :4]).all()
    np.testing.assert_allclose(received[1, 4:], again, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("at", [1, 3, 6, 8])
def test_states_go_out_and_come_back_at_any_step(at):
    conv = Conv1D(5, 3, dilation_rate=2, name="conv")
    causal = Conv1D(4, 4, padding="causal", name="causal")
    model = randomised(chain(conv, causal, GRU(4, return_sequences=True, name="gru")))
    inputs, stream = sequences(2), model.stream(2)
    for step in range(at):
        stream(inputs[:, step])
    saved, twin = stream.state, stream.copy()
    assert {name: array.shape for name, array in saved.items()} == {
        "conv/past": (2, 4, FEATURES),
        "conv/seen": (2, 1),
        "causal/past": (2, 3, 5),
        "gru/h": (2, 4),
    }
    np.testing.assert_array_equal(saved["conv/seen"], min(at, 4))
    np.testing.assert_array_equal(saved["conv/past"][:, -1], inputs[:, at - 1])
    later = model.stream(2)
    later(inputs[:, 0])
    later.state = saved
    for step in range(at, STEPS):
        expected = stream(inputs[:, step])
        np.testing.assert_array_equal(later(inputs[:, step]), expected)
        np.testing.assert_array_equal(twin(inputs[:, step]), expected)


@pytest.mark.filterwarnings("ignore:.*mask")
def test_a_convolution_reads_padding():
    ids = np.array([[3, 0, 2, 7, 0, 1], [0, 0, 4, 0, 1, 5]])
    layers = [
        Input((None,)),
        Embedding(8, 5, mask_zero=True),
        GRU(4, return_sequences=True),
        Conv1D(6, 2, padding="causal"),
        LSTM(3, return_sequences=True),
    ]
    model = randomised(Sequential(layers))
    stream = model.stream(2)
    received = np.stack([stream(ids[:, step]) for step in range(6)], axis=1)
    np.testing.assert_array_equal(received, np.asarray(model.predict_on_batch(ids)))


def test_out_is_written():
    model = randomised(chain(Conv1D(5, 2), Dense(3)))
    inputs, stream, twin = sequences(2), model.stream(2), model.stream(2)
    out = np.zeros((2, 3), np.float32)
    for step in range(STEPS):
        assert stream(inputs[:, step], out=out) is out
        np.testing.assert_array_equal(out, twin(inputs[:, step]))


@each_case(
    ("layer", "message"),
    [
        (Conv1D(3, 2, padding="same", name="odd"), "it sees later steps"),
        (Conv1D(3, 2, strides=2, name="odd"), "fewer outputs than steps"),
        (MaxPooling1D(2, name="odd"), "fewer outputs than steps"),
        (Conv1D(3, 2, data_format="channels_first", name="odd"), "channels_first"),
        (Conv1D(3, 2, activation="mish", name="odd"), "its activation mish"),
        (BatchNormalization(axis=1, name="odd"), "axis=1 is not an axis of one step"),
        (PReLU(name="odd"), "an alpha for each step"),
        (Softmax(axis=1, name="odd"), "axis=1"),
        (GlobalAveragePooling1D(name="odd"), "sees all steps"),
        (Flatten(name="odd"), "sees all steps"),
        (Bidirectional(GRU(2), name="odd"), "reads the sequence from its end"),
    ],
)
def test_what_cannot_stream_says_why(layer, message):
    model = Sequential([Input((8, FEATURES)), layer], name="m")
    with pytest.raises(TypeError, match=f"layer 'odd' of the model 'm' cannot run .*{message}"):
        model.stream()


def test_attention_says_that_it_needs_the_whole_sequence():
    inputs = Input((None, FEATURES))
    attended = MultiHeadAttention(2, 3, name="odd")(inputs, inputs)
    with pytest.raises((TypeError, ValueError), match=r"layer 'odd' .* cannot run in a stream"):
        Model(inputs, attended).stream()


def test_layers_inside_of_a_step_may_not_be_recurrent():
    model = Sequential([Input((None, 5, FEATURES)), TimeDistributed(GRU(2, name="odd"))])
    with pytest.raises(TypeError, match=r"layer .*odd' .* inside a step"):
        model.stream()


def test_a_saved_model_streams_as_the_model(tmp_path):
    model = randomised(chain(Conv1D(5, 3, padding="causal"), LSTM(4, return_sequences=True)))
    model.save(tmp_path / "model.safetensors")
    check(ferrnn.load_model(tmp_path / "model.safetensors"), sequences(2))
