"""Layers for frames: gradients, both orders of axes, convolutions as sums, and what is refused."""

import numpy as np
import pytest

import ferrnn
from each_case import each_case
from ferrnn import Call, Parameter, layers
from ferrnn._src.convolution.geometry import Geometry
from ferrnn._src.convolution.product import Packed, convolution
from ferrnn.testing import check_vjp

RNG = np.random.default_rng(3)
FRAMES = RNG.normal(size=(2, 6, 7, 4))
STEPS = RNG.normal(size=(2, 9, 4))

OF_FRAMES = {
    "Conv2D": [
        {"filters": 5, "kernel_size": (3, 2)},
        {"filters": 6, "kernel_size": 3, "padding": "same", "strides": (2, 3), "groups": 2},
        {"filters": 3, "kernel_size": 2, "dilation_rate": (3, 2), "activation": "mish"},
        {"filters": 3, "kernel_size": 3, "padding": "same", "activation": "tanh"},
    ],
    "DepthwiseConv2D": [
        {"kernel_size": (3, 2), "depth_multiplier": 2, "strides": 2},
        {"kernel_size": 3, "padding": "same", "dilation_rate": 2, "activation": "sigmoid"},
    ],
    "SeparableConv2D": [
        {"filters": 3, "kernel_size": 2, "depth_multiplier": 2, "use_bias": False},
        {"filters": 5, "kernel_size": 3, "padding": "same", "strides": 2},
    ],
    "Conv2DTranspose": [
        {"filters": 3, "kernel_size": (3, 2), "strides": (2, 3), "output_padding": (1, 0)},
        {"filters": 2, "kernel_size": 3, "padding": "same", "strides": 2, "activation": "tanh"},
        {"filters": 2, "kernel_size": 2, "dilation_rate": 3, "padding": "same"},
    ],
    "MaxPooling2D": [{"pool_size": (2, 3)}, {"pool_size": 3, "strides": 2, "padding": "same"}],
    "AveragePooling2D": [{"pool_size": 2}, {"pool_size": 4, "strides": 3, "padding": "same"}],
    "GlobalMaxPooling2D": [{}],
    "GlobalAveragePooling2D": [{"keepdims": True}],
    "ZeroPadding2D": [{"padding": ((1, 2), (0, 3))}],
    "Cropping2D": [{"cropping": ((1, 2), (0, 3))}],
    "UpSampling2D": [{"size": (2, 3)}, {"interpolation": "bicubic"}, {"interpolation": "lanczos3"}],
    "SpatialDropout2D": [{"rate": 0.5, "seed": 1}],
}
OF_STEPS = {
    "DepthwiseConv1D": [{"kernel_size": 3, "depth_multiplier": 2, "strides": 2}],
    "SeparableConv1D": [{"filters": 3, "kernel_size": 2, "activation": "relu"}],
    "Conv1DTranspose": [{"filters": 3, "kernel_size": 4, "strides": 3, "padding": "same"}],
    "AdaptiveAveragePooling1D": [{"output_size": 4}],
    "AdaptiveMaxPooling1D": [{"output_size": 4}],
}
STRIDES = [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (2, 1))]
CASES = [(FRAMES, k, o) for k, all_ in OF_FRAMES.items() for o in all_]
CASES += [(STEPS, k, o) for k, all_ in OF_STEPS.items() for o in all_]
each_layer = each_case(("inputs", "kind", "options"), CASES)


def made(kind, options, shape):
    layer = getattr(layers, kind)(**options, dtype="float64")
    layer.build(shape)
    layer.set_weights([RNG.normal(size=weight.shape) for weight in layer.weights])
    return layer


@each_layer
def test_gradients_match_finite_differences(inputs, kind, options):
    layer = made(kind, options, inputs.shape)
    check_vjp(lambda x: layer.forward(x, Call(differentiable=True)), inputs, layer.weights)


@each_layer
def test_features_first_are_features_last_turned(inputs, kind, options):
    last = made(kind, options, inputs.shape)
    turned = np.moveaxis(inputs, -1, 1)
    first = made(kind, {**options, "data_format": "channels_first"}, turned.shape)
    first.set_weights(last.get_weights())
    expected, found = last(inputs), first(turned)
    assert expected.shape == last.compute_output_shape(inputs.shape)
    assert found.shape == first.compute_output_shape(turned.shape)
    assert first.compute_output_shape((None, *turned.shape[1:]))[1:] == found.shape[1:]
    wide = np.moveaxis(found, 1, -1) if found.ndim == inputs.ndim else found
    np.testing.assert_array_equal(wide, expected)
    check_vjp(lambda x: first.forward(x, Call(differentiable=True)), turned, first.weights)


@each_layer
def test_configurations_make_equal_layers(inputs, kind, options):
    layer = made(kind, options, inputs.shape)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert layer.as_data()["module"] == "keras.layers"


@each_case("padding", ["valid", "same"])
@each_case(("stride", "dilation"), STRIDES)
@each_case("rank", [1, 2, 3])
def test_convolutions_are_sums_over_windows(rank, stride, dilation, padding):
    size, strides, distances = (2, 3, 2)[:rank], (*stride, 1)[:rank], (*dilation, 2)[:rank]
    geometry = Geometry(size, strides, distances, padding)
    x, kernel = RNG.normal(size=(2, *(5, 7, 6)[:rank], 3)), RNG.normal(size=(*size, 3, 4))
    weights = Packed().of(Parameter(kernel, "kernel"), None)
    outputs = convolution(weights, [x], geometry, False).outputs
    counts, ends = geometry.counts(x.shape[1:-1]), geometry.ends(x.shape[1:-1])
    assert outputs.shape == (2, *counts, 4)
    wide = np.pad(x, [(0, 0), *ends, (0, 0)])
    for window in np.ndindex(*counts):
        expected = np.zeros((2, 4))
        for tap in np.ndindex(*size):
            rows = zip(window, strides, tap, distances, strict=True)
            expected += wide[(slice(None), *(w * s + t * d for w, s, t, d in rows))] @ kernel[tap]
        np.testing.assert_allclose(
            outputs[(slice(None), *window)], expected, rtol=1e-12, atol=1e-12
        )


def test_a_frame_has_the_same_bits_alone_and_in_a_batch():
    layer = layers.Conv2D(5, 3, padding="same")
    x = FRAMES.astype("float32")
    np.testing.assert_array_equal(layer(x)[1:], layer(x[1:]))


@each_case(
    ("kind", "shape", "options"),
    [
        ("Conv2D", (3, 11, 13, 3), {"filters": 17, "padding": "same", "activation": "relu"}),
        ("Conv2D", (3, 11, 13, 4), {"filters": 8, "strides": (3, 2), "activation": "gelu"}),
        ("Conv2D", (3, 11, 13, 6), {"filters": 6, "groups": 3, "activation": "mish"}),
        ("Conv2D", (3, 11, 13, 2), {"filters": 5, "dilation_rate": (2, 1), "padding": "same"}),
        ("ConvLSTM2D", (3, 4, 11, 13, 3), {"filters": 5, "padding": "same"}),
        ("ConvLSTM2D", (3, 4, 11, 13, 1), {"filters": 9, "strides": (2, 3), "use_bias": False}),
        ("ConvLSTM2D", (3, 4, 11, 13, 2), {"filters": 2, "activation": "elu", "padding": "same"}),
    ],
)
@each_case("dtype", ["float32", "float64"])
def test_predictions_have_the_bits_of_training(kind, shape, options, dtype):
    layer = getattr(layers, kind)(kernel_size=3, dtype=dtype, **options)
    x = RNG.normal(size=shape).astype(dtype)
    trained, _ = layer.forward(x, Call(differentiable=True))
    for given in (x, np.asfortranarray(x)):
        np.testing.assert_array_equal(layer.forward(given, Call())[0], trained)


def test_a_transposed_convolution_is_the_way_back_of_a_convolution():
    forth = made(
        "Conv2D", {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}, FRAMES.shape
    )
    back = layers.Conv2DTranspose(4, 3, strides=2, padding="same", use_bias=False, dtype="float64")
    outputs, vjp = forth.forward(FRAMES[:, :, :6], Call(differentiable=True))
    back.build(outputs.shape)
    back.set_weights([forth.kernel.value])
    d_outputs = RNG.normal(size=outputs.shape)
    d_inputs = vjp(d_outputs, ferrnn.Gradients())
    np.testing.assert_allclose(back(d_outputs), d_inputs, rtol=1e-12, atol=1e-12)


def test_batch_normalization_of_channels_normalizes_each():
    for axis, data in ((-1, FRAMES), (1, np.moveaxis(FRAMES, -1, 1))):
        layer = layers.BatchNormalization(axis=axis, dtype="float64")
        outputs = np.moveaxis(layer(data, training=True), axis, -1)
        np.testing.assert_allclose(outputs.mean(axis=(0, 1, 2)), 0, atol=1e-12)
        np.testing.assert_allclose(outputs.std(axis=(0, 1, 2)), 1, rtol=2e-3)


def test_the_session_says_the_order_of_axes():
    ferrnn.config.set_image_data_format("channels_first")
    try:
        assert layers.Conv2D(3, 2)(np.ones((2, 4, 5, 6))).shape == (2, 3, 4, 5)
    finally:
        ferrnn.config.set_image_data_format("channels_last")
    assert layers.MaxPooling2D().data_format == "channels_last"


@each_case("data_format", ["channels_last", "channels_first"])
@each_case(
    "options",
    [
        {"padding": "same", "return_sequences": True},
        {"strides": (2, 1), "return_state": True, "go_backwards": True},
        {"dilation_rate": (1, 2), "unit_forget_bias": False},
    ],
)
def test_gradients_of_conv_lstm_match_finite_differences(options, data_format):
    layer = layers.ConvLSTM2D(3, (3, 2), data_format=data_format, dtype="float64", **options)
    x = RNG.normal(size=(2, 3, 5, 6, 2))
    x = x if data_format == "channels_last" else np.moveaxis(x, -1, 2)
    layer.build(x.shape)
    shape = layer.compute_output_shape(x.shape)
    state = shape[1] if options.get("return_state") else (shape[0], *shape[-3:])
    states = [RNG.normal(size=state) for _ in range(2)]
    mask = np.array([[True, True, False], [False, True, True]])
    check_vjp(
        lambda given: layer.forward(given, Call(differentiable=True, mask=mask)),
        (x, *states),
        layer.weights,
    )


def test_one_place_and_one_tap_is_an_lstm():
    layer = layers.ConvLSTM2D(4, 1, return_sequences=True, dtype="float64")
    plain = layers.LSTM(4, return_sequences=True, dtype="float64")
    x = RNG.normal(size=(3, 5, 1, 1, 2))
    layer.build(x.shape)
    plain.build((3, 5, 2))
    kernel, recurrent, bias = layer.get_weights()
    plain.set_weights([kernel[0, 0], recurrent[0, 0], bias])
    np.testing.assert_allclose(layer(x)[:, :, 0, 0], plain(x[:, :, 0, 0]), rtol=1e-12)


def test_models_of_frames_learn():
    x = RNG.normal(size=(8, 3, 6, 6, 1)).astype("float32")
    y = x.mean(axis=(1, 2, 3))
    distributed = [
        layers.TimeDistributed(layers.Conv2D(4, 3, activation="relu")),
        layers.TimeDistributed(layers.MaxPooling2D(2)),
        layers.TimeDistributed(layers.Flatten()),
        layers.LSTM(5),
    ]
    recurrent = [layers.ConvLSTM2D(4, 3), layers.BatchNormalization(), layers.Flatten()]
    for parts in (distributed, recurrent):
        model = ferrnn.Sequential([ferrnn.Input((3, 6, 6, 1)), *parts, layers.Dense(1)])
        model.compile(ferrnn.optimizers.Adam(0.02), "mse")
        losses = model.fit(x, y, epochs=15, verbose=0).history["loss"]
        assert losses[-1] < 0.5 * losses[0]


@each_case(
    ("make", "message"),
    [
        (lambda: layers.Conv2D(4, 3, padding="causal"), "`padding` argument must be one of"),
        (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2), "not supported in conjunction"),
        (lambda: layers.Conv2D(4, 9)(FRAMES), "Computed output size would be zero or negative"),
        (lambda: layers.Conv2D(4, 3)(STEPS), "expected ndim=4, found ndim=3"),
        (lambda: layers.Conv2D(4, 3).build((None, 5, 5, None)), "should be defined"),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "strictly positive"),
        (lambda: layers.Conv2DTranspose(2, 3, output_padding=1), "strictly less than `strides`"),
        (lambda: layers.MaxPooling2D(9)(FRAMES), "Computed output size would be negative"),
        (lambda: layers.Cropping2D(4)(FRAMES), "should be smaller than the corresponding"),
        (lambda: layers.ZeroPadding2D((1, 2, 3)), "should have two elements"),
        (lambda: layers.UpSampling2D(interpolation="area"), "`interpolation` must be one of"),
        (lambda: layers.ConvLSTM2D(3, 9)(np.ones((1, 2, 5, 5, 2))), "for at least"),
        (
            lambda: ferrnn.config.set_image_data_format("last"),
            "'channels_last' or 'channels_first'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_shapes_of_noise_and_masks_are_checked():
    for shape, message in (
        ("steps", "Expected a tuple or list of integers"),
        ((2, 1.5), "Expected all elements to be integers or None"),
        ((2, 0), "Expected all dimensions to be positive integers or None"),
    ):
        with pytest.raises(ValueError, match=message):
            layers.Dropout(0.5, noise_shape=shape)
    with pytest.raises(ValueError, match="must not have more dimensions"):
        layers.Softmax()(np.zeros((1, 3)), mask=np.ones((1, 1, 3), bool))
    with pytest.raises(ValueError, match="Duplicate axes"):
        layers.LayerNormalization(axis=[-1, 1])(np.zeros((2, 4)))
    mask = np.array([[True, False]])
    pooled = layers.GlobalAveragePooling1D()(np.array([[[1.0], [3.0]]]), mask)
    assert pooled.tolist() == [[1.0]]
