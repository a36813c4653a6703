"""Streams of frames: what TimeDistributed layers and ConvLSTM give for the whole sequence."""

import numpy as np
import pytest

from each_case import each_case
from ferrnn.layers import (
    GRU,
    LSTM,
    AveragePooling2D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    ConvLSTM1D,
    ConvLSTM2D,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Input,
    LeakyReLU,
    MaxPooling1D,
    MaxPooling2D,
    Permute,
    Reshape,
    SeparableConv2D,
    TimeDistributed,
    UpSampling2D,
    ZeroPadding2D,
)
from ferrnn.models import Sequential
from models.streaming import positive, randomised

HEIGHT, WIDTH, FEATURES, STEPS = 7, 6, 4, 5
FRAME = (HEIGHT, WIDTH, FEATURES)
BOTH = each_case("dtype", ["float32", "float64"])


def frames(rows, shape=FRAME, dtype="float32"):
    return np.random.default_rng(3).normal(size=(rows, STEPS, *shape)).astype(dtype)


def check(model, inputs):
    expected = np.asarray(model.predict_on_batch(inputs))
    assert np.ptp(expected) > 0
    tolerance = 3e-6 if inputs.dtype == np.float32 else 1e-13
    for rows in (len(inputs), 1):
        stream = model.stream(streams=rows)
        received = np.stack([stream(inputs[:rows, step]) for step in range(STEPS)], axis=1)
        assert received.dtype == expected.dtype
        np.testing.assert_allclose(received, expected[:rows], rtol=tolerance, atol=tolerance)
    alone = model.stream()
    received = [alone(step) for step in inputs[0]]
    np.testing.assert_allclose(received, expected[0], rtol=tolerance, atol=tolerance)


OF_FRAMES = {
    "conv": lambda **k: [Conv2D(5, 3, **k)],
    "conv, same": lambda **k: [Conv2D(5, (3, 2), padding="same", activation="relu", **k)],
    "conv, strides": lambda **k: [Conv2D(5, (2, 3), strides=(2, 1), use_bias=False, **k)],
    "conv, dilated": lambda **k: [Conv2D(5, (2, 3), dilation_rate=(3, 2), **k)],
    "conv, groups": lambda **k: [Conv2D(6, (3, 2), groups=2, padding="same", **k)],
    "depthwise": lambda **k: [DepthwiseConv2D((3, 2), depth_multiplier=2, padding="same", **k)],
    "depthwise, once": lambda **k: [DepthwiseConv2D(2, strides=2, activation="tanh", **k)],
    "separable": lambda **k: [SeparableConv2D(5, (2, 3), padding="same", **k)],
    "greatest": lambda **k: [MaxPooling2D((2, 3), **k)],
    "greatest, same": lambda **k: [MaxPooling2D(3, strides=2, padding="same", **k)],
    "mean": lambda **k: [AveragePooling2D((3, 2), strides=1, **k)],
    "mean, same": lambda **k: [AveragePooling2D((3, 2), padding="same", **k)],
    "padded, cropped": lambda **k: [
        ZeroPadding2D(((1, 2), (0, 3)), **k),
        Cropping2D(((2, 0), (1, 1)), **k),
    ],
    "enlarged": lambda **k: [UpSampling2D((2, 3), **k)],
}


@BOTH
@each_case("order", ["channels_last", "channels_first"])
@each_case("name", OF_FRAMES)
def test_layers_of_frames_stream(name, order, dtype):
    shape = FRAME if order == "channels_last" else (FEATURES, HEIGHT, WIDTH)
    layers = OF_FRAMES[name](data_format=order, dtype=dtype)
    model = Sequential(
        [
            Input((None, *shape), dtype=dtype),
            *(TimeDistributed(layer, dtype=dtype) for layer in layers),
            TimeDistributed(Flatten(data_format=order, dtype=dtype), dtype=dtype),
            LSTM(3, return_sequences=True, dtype=dtype),
        ]
    )
    check(randomised(model), frames(3, shape, dtype))


@pytest.mark.parametrize("order", ["channels_last", "channels_first"])
@pytest.mark.parametrize("layer", [GlobalMaxPooling2D, GlobalAveragePooling2D])
def test_frames_are_pooled_as_a_whole(layer, order):
    pooled = layer(data_format=order)
    model = Sequential([Input((None, *FRAME)), TimeDistributed(pooled), GRU(5, return_sequences=1)])
    check(randomised(model), frames(2))


def test_a_model_of_frames_streams_inside_a_time_distributed():
    eye = Sequential(
        [
            Input(FRAME),
            Conv2D(6, 3, padding="same"),
            BatchNormalization(),
            LeakyReLU(0.1),
            MaxPooling2D(2),
            Dense(5, "gelu"),
            Dropout(0.5),
            Permute((3, 1, 2)),
            Reshape((-1,)),
        ],
        name="eye",
    )
    layers = [TimeDistributed(eye), LSTM(7, return_sequences=True), Dense(2)]
    model = positive(Sequential([Input((None, *FRAME)), *layers], name="m"))
    check(model, frames(2))


def test_a_row_of_places_streams():
    layers = [
        TimeDistributed(Conv1D(5, 3, padding="same", activation="relu")),
        TimeDistributed(MaxPooling1D(2)),
        TimeDistributed(Conv1D(3, 2, groups=1)),
        TimeDistributed(GlobalAveragePooling1D()),
        GRU(4, return_sequences=True),
    ]
    model = randomised(Sequential([Input((None, 9, 4)), *layers]))
    check(model, frames(2, (9, 4)))


CONV_LSTMS = {
    "valid": {"kernel_size": (3, 2)},
    "same": {"kernel_size": (2, 3), "padding": "same"},
    "strides": {"kernel_size": 3, "strides": (2, 1), "padding": "same"},
    "dilated": {"kernel_size": 2, "dilation_rate": (3, 2), "use_bias": False},
    "activations": {
        "kernel_size": 2,
        "activation": "softsign",
        "recurrent_activation": "hard_sigmoid",
    },
}


@BOTH
@each_case("order", ["channels_last", "channels_first"])
@each_case("name", CONV_LSTMS)
def test_a_convolutional_lstm_streams(name, order, dtype):
    shape = FRAME if order == "channels_last" else (FEATURES, HEIGHT, WIDTH)
    settings = {**CONV_LSTMS[name], "data_format": order, "dtype": dtype}
    model = Sequential(
        [
            Input((None, *shape), dtype=dtype),
            ConvLSTM2D(5, return_sequences=True, **settings),
            ConvLSTM2D(3, 2, padding="same", data_format=order, dtype=dtype, return_sequences=True),
        ]
    )
    check(randomised(model), frames(2, shape, dtype))


def test_a_convolutional_lstm_over_a_row_streams():
    layers = [ConvLSTM1D(5, 3, padding="same", return_sequences=True, name="row")]
    model = randomised(Sequential([Input((None, 9, 4)), *layers]))
    check(model, frames(2, (9, 4)))


def forecasting():
    layers = [
        ConvLSTM2D(4, 3, padding="same", return_sequences=True, name="first"),
        BatchNormalization(),
        ConvLSTM2D(3, 3, name="last"),
        Conv2D(2, 3, padding="same", activation="sigmoid"),
    ]
    return positive(Sequential([Input((None, *FRAME)), *layers], name="m"))


def test_a_model_of_last_frames_gives_those_of_the_sequence_so_far():
    model = forecasting()
    inputs, stream = frames(2), model.stream(2)
    for step in range(STEPS):
        expected = model.predict_on_batch(inputs[:, : step + 1])
        np.testing.assert_allclose(stream(inputs[:, step]), expected, rtol=1e-5, atol=1e-6)


def test_states_of_frames_go_out_and_come_back():
    model = forecasting()
    inputs, stream = frames(3), model.stream(3)
    stream(inputs[:, 0])
    saved, twin = stream.state, stream.copy()
    assert {name: array.shape for name, array in saved.items()} == {
        "first/h": (3, HEIGHT, WIDTH, 4),
        "first/c": (3, HEIGHT, WIDTH, 4),
        "last/h": (3, HEIGHT - 2, WIDTH - 2, 3),
        "last/c": (3, HEIGHT - 2, WIDTH - 2, 3),
    }
    later = model.stream(3)
    later.state = saved
    expected = stream(inputs[:, 1])
    np.testing.assert_array_equal(later(inputs[:, 1]), expected)
    np.testing.assert_array_equal(twin(inputs[:, 1]), expected)
    stream.reset([1])
    first = model.stream()(inputs[1, 2])
    received = stream(inputs[:, 2])
    np.testing.assert_array_equal(received[1], first)
    np.testing.assert_array_equal(received[0], later(inputs[:, 2])[0])


def test_out_of_frames_is_written():
    model = forecasting()
    inputs, stream, twin = frames(2), model.stream(2), model.stream(2)
    out = np.zeros((2, HEIGHT - 2, WIDTH - 2, 2), np.float32)
    for step in range(STEPS):
        assert stream(inputs[:, step], out=out) is out
        np.testing.assert_array_equal(out, twin(inputs[:, step]))
    for wrong in (out[:1], out[..., :1], np.asfortranarray(out)):
        with pytest.raises(ValueError, match="`out`: expected a C-contiguous array of the shape"):
            stream(inputs[:, 0], out=wrong)
    with pytest.raises(TypeError, match="`out`: expected a NumPy array, received list"):
        stream(inputs[:, 0], out=[])


def test_frames_of_another_shape_are_refused():
    stream = forecasting().stream(2)
    assert repr(stream) == (
        "<Stream streams=2, inputs=(7, 6, 4), outputs=(5, 4, 2), dtype=float32>"
    )
    for wrong in (np.zeros((7, 6, 4)), np.zeros((2, 6, 7, 4)), np.zeros((2, 168))):
        with pytest.raises(ValueError, match=r"`inputs`: expected the shape \(2, 7, 6, 4\)"):
            stream(wrong)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (ConvLSTM2D(2, 2, go_backwards=True, name="odd"), "layer 'odd' .* go_backwards=True"),
        (ConvLSTM2D(2, 2, activation="mish", name="odd"), "layer 'odd' .* its activation mish"),
        (Conv2D(2, 2, name="odd"), "layer 'odd' .* in a TimeDistributed it would see one"),
        (
            TimeDistributed(UpSampling2D(2, interpolation="bilinear", name="odd")),
            "odd' .* it computes with its inputs",
        ),
        (TimeDistributed(Dense(3, "softmax", name="odd")), "odd' .* softmax over the features"),
    ],
)
def test_frames_that_cannot_stream_say_why(layer, message):
    shape = (4, 7, 6, 4) if not isinstance(layer, Conv2D) else (7, 6, 4)
    model = Sequential([Input(shape), layer], name="m")
    with pytest.raises((TypeError, ValueError), match=message):
        model.stream()
